"""`.keras` archives, which are refused before loading if their configuration could run code."""

import collections.abc
import contextlib
import json
import pathlib
import shutil
import tempfile
import zipfile
from typing import Any

from keras_residual.weights._readers import hdf5_file, zip_files
from keras_residual.weights.arrays import Entries
from keras_residual.weights.errors import WeightsError, first_line

_WEIGHTS = "model.weights.h5"
# Keras stores its archives uncompressed; others may have compressed them again.
_LARGEST_RATIO = 16
_SMALL = 1 << 26
_LARGEST_CONFIG = 1 << 25
_CODE_CLASSES = (
    "Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer",
)  # fmt: skip
# Keras also has functions that download or write files; these modules hold only model parts.
_KERAS_MODULES = (
    "activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics",
    "models", "ops", "optimizers", "quantizers", "random", "regularizers",
)  # fmt: skip


def check_keras_archive(
    path: str | pathlib.Path, trusted: collections.abc.Collection[str] = ()
) -> None:
    """Raises unless a `.keras` archive is intact and its configuration names only known classes.

    Every member's checksum is compared, then the configuration is searched for layers that contain
    code (`Lambda`, `TFSMLayer`, `TorchModuleWrapper`, …) and for modules other than Keras' model
    parts and this package. Nothing is loaded.

    Args:
        path: The archive.
        trusted: Names of further packages whose classes the configuration may name.

    Raises:
        WeightsError: If the archive is damaged, or names something that could run code.
    """
    path = pathlib.Path(path)
    members = zip_files.names(path)
    zip_files.check(path, limit=max(_SMALL, _LARGEST_RATIO * path.stat().st_size))
    for name in ("config.json", _WEIGHTS):
        if name not in members:
            raise WeightsError(f"{path}: not a .keras archive: it has no {name}")
    for name in members:
        if name.startswith(("/", "\\")) or ".." in pathlib.PurePosixPath(name).parts:
            raise WeightsError(f"{path}: refused: the member {name!r} lies outside the archive")
    for node in objects(configuration(path)):
        _check_node(node, ("keras_residual", *trusted), path)


def configuration(path: pathlib.Path) -> dict[str, Any]:
    """Returns the configuration of the model in an archive, without instantiating anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("config.json").file_size
            if size > _LARGEST_CONFIG:
                raise WeightsError(f"{path}: refused: its config.json has {size:,} bytes")
            return json.loads(archive.read("config.json"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: damaged config.json: {first_line(error)}") from error


def objects(config: object) -> collections.abc.Iterator[dict[str, Any]]:
    """Yields every serialized object in a configuration."""
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _check_node(node: dict[str, Any], trusted: tuple[str, ...], path: pathlib.Path) -> None:
    name, module = node["class_name"], node.get("module")
    if name in _CODE_CLASSES:
        raise WeightsError(f"{path}: refused: it has a {name} layer, which could run code")
    if module is None or (module == "builtins" and name == "function"):
        return
    package, *rest = str(module).split(".")
    if rest[:1] == ["src"]:
        rest = rest[1:]
    if package in trusted or (package == "keras" and (not rest or rest[0] in _KERAS_MODULES)):
        return
    raise WeightsError(
        f"{path}: refused: it names {module}.{name}, no known part of models, which could run code"
    )


def entries(path: pathlib.Path, stack: contextlib.ExitStack) -> Entries:
    """Returns the entries of the weights in an archive, copied to disk until `stack` closes."""
    check_keras_archive(path)
    # HDF5 seeks back and forth, which in a zip member means reading it again each time.
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    copy = pathlib.Path(folder, _WEIGHTS)
    with (
        zipfile.ZipFile(path) as archive,
        archive.open(_WEIGHTS) as source,
        open(copy, "wb") as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    return hdf5_file.entries(copy, stack, origin=path)
