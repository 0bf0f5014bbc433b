"""Datasets from `.npz` files, whose headers are checked before their data is read."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_residual._words import first_line
from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources.arrays import ARRAY_NAMES, from_arrays, from_tuple
from keras_residual.data.sources.options import Options

ACCEPTED_NPZ = (
    f"an .npz file with {', '.join(ARRAY_NAMES)} or x, y, and optionally label_names and groups"
)
_NAMES = (*ARRAY_NAMES, "x", "y", "label_names", "groups", "groups_train", "groups_test")
_LARGEST_HEADER = 2**16
# What zipfile raises for damaged data: RuntimeError for an unknown version or method, ValueError
# for an undecodable name.
_DAMAGED = (OSError, RuntimeError, ValueError, zipfile.BadZipFile)


def from_npz(path: Path, name: str | None = None, options: Options | None = None) -> Dataset:
    """Returns a dataset from an `.npz` file with x_train, y_train, x_test, y_test, or x and y.

    Pickled (object) arrays are refused, because unpickling can run code. No more bytes are read
    than the arrays' headers declare, and none if these exceed `options.max_bytes`.
    """
    options = options or Options()
    if not path.is_file():
        raise DatasetError(f"{path} does not exist. Accepted: {ACCEPTED_NPZ}.")
    arrays, found = read_npz(path, _NAMES, options.max_bytes, ACCEPTED_NPZ)
    labels, where = arrays.get("label_names"), str(path)
    name = name or path.stem
    if "x" in arrays and "y" in arrays and "x_train" not in arrays:
        return from_tuple(
            (arrays["x"], arrays["y"]),
            options,
            label_names=labels,
            name=name,
            where=where,
            groups=arrays.get("groups"),
        )
    if missing := [key for key in ARRAY_NAMES if key not in arrays]:
        raise DatasetError(
            f"{path} lacks {', '.join(missing)}; it holds {', '.join(found) or 'nothing'}. "
            f"Accepted: {ACCEPTED_NPZ}."
        )
    return from_arrays(
        **{key: arrays[key] for key in ARRAY_NAMES},
        label_names=labels,
        name=name,
        where=where,
        options=options,
        groups=(arrays.get("groups_train"), arrays.get("groups_test")),
    )


def names_in(path: Path) -> list[str]:
    """Returns the names of the arrays in a file; none if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [item.removesuffix(".npy") for item in archive.namelist()]
    except _DAMAGED:
        return []


def read_npz(
    path: Path, names: Sequence[str], max_bytes: int, accepted: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Returns the named arrays as far as a file has them, and the names of all its arrays.

    Raises:
        DatasetError: If it is damaged, or its arrays need more than `max_bytes`.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("truncated, or no .npz archive")
        with zipfile.ZipFile(path) as archive:
            inside = [item.removesuffix(".npy") for item in archive.namelist()]
            wanted = [name for name in names if f"{name}.npy" in archive.namelist()]
            sizes = {name: _checked_size(archive, f"{name}.npy") for name in wanted}
            if sum(sizes.values()) > max_bytes:
                largest = max(sizes, key=sizes.get)
                raise DatasetError(
                    f"{path} needs {sum(sizes.values()):,} bytes of memory, {largest} alone "
                    f"{sizes[largest]:,}, more than max_bytes={max_bytes:,}: make it smaller, or "
                    "raise `max_bytes`."
                )
            return {name: _array(archive, f"{name}.npy") for name in wanted}, inside
    except (DatasetError, MemoryError):
        raise
    # For damaged data NumPy and zlib raise more kinds of exception than zipfile.
    except Exception as error:
        raise DatasetError(
            f"{path} cannot be read ({first_line(error)}). Accepted: {accepted}, without pickled "
            "objects."
        ) from error


def _checked_size(archive: zipfile.ZipFile, name: str) -> int:
    """Returns the size of an array in bytes, after checking its header against the archive."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        reader = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(file, max_header_size=_LARGEST_HEADER)
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects")
    size = dtype.itemsize
    for side in shape:
        size *= side
    # A header takes a few hundred bytes.
    if not size <= archive.getinfo(name).file_size <= size + _LARGEST_HEADER:
        raise ValueError(f"{name} is damaged: its header says {size} bytes of data")
    return size


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
