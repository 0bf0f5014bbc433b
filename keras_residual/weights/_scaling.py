"""Infers the scaling of pixels that weights expect from the file they are stored in."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_residual import _description
from keras_residual.weights import _hub, cache, files, sources
from keras_residual.weights._detection import layout_of_names
from keras_residual.weights._keras_layouts import KERAS_2, KERAS_DENSENET, KERAS_V1, KERAS_V2
from keras_residual.weights._keras_names import by_layer_names
from keras_residual.weights._layout import Layout
from keras_residual.weights._layouts import OWN
from keras_residual.weights._readers import keras_archive
from keras_residual.weights._readers.torch_file import from_state_dict
from keras_residual.weights._resolution import resolve_for_factory
from keras_residual.weights._torch_layouts import TRANSFORMERS
from keras_residual.weights.arrays import Entries
from keras_residual.weights.errors import WeightsError, first_line
from keras_residual.weights.preprocessing import Preprocessing

# Libraries in which all networks of a kind expect the same scaling.
_MODES = {
    KERAS_V1.name: "caffe",
    KERAS_2.name: "caffe",
    KERAS_V2.name: "tf",
    KERAS_DENSENET.name: "torch",
    TRANSFORMERS.name: "torch",
}
# Formats of torchvision and timm; files in other formats with their names were converted by users.
_TORCH_FORMATS = ("", "torch", "safetensors")
METADATA_KEY = "preprocessing"
_MOST_BYTES = 1 << 20


def for_factory(weights, variant) -> Preprocessing | None:
    """Returns the scaling that the weights of a factory expect, `None` if it is unknown.

    Without weights it is ImageNet's mean and standard deviation, as any scaling would do.
    """
    if weights is None:
        return Preprocessing()
    source, path = resolve_for_factory(weights, variant)
    if source is not None:
        return source.preprocessing
    model_name = None if variant is None else variant.name
    if isinstance(weights, Mapping):
        entries = from_state_dict(weights)
        return expected(layout_of_names(entries), entries, model_name)
    path = cache.fetch(weights) if path is None else path
    with files.opened(path) as entries:
        layout = layout_of_names(by_layer_names(entries))
        return expected(layout, entries, model_name, path)


def expected(
    layout: Layout, entries: Entries, model_name: str | None, path: pathlib.Path | None = None
) -> Preprocessing | None:
    """Returns the scaling that the weights of a file expect, `None` if it is unknown.

    Args:
        layout: The layout of the file's names.
        entries: The entries of the file.
        model_name: Published name of the network, `None` if it has none.
        path: Path of the file; names of files and folders of timm and the hub identify weights.
    """
    stated = _stated(entries, path)
    if stated is not None:
        return stated
    if layout.name in _MODES:
        return Preprocessing.from_mode(_MODES[layout.name])
    beside = _beside(path)
    if beside is not None:
        return beside
    tagged = None if path is None else _tagged(path)
    if tagged is not None:
        return tagged.preprocessing
    if layout is OWN or entries.format not in _TORCH_FORMATS or model_name is None:
        return None
    return _published(layout, entries.format, model_name)


def _stated(entries: Entries, path: pathlib.Path | None) -> Preprocessing | None:
    """Returns the scaling stated in the metadata of a file of this package.

    Raises:
        WeightsError: If the statement is damaged.
    """
    try:
        if METADATA_KEY in entries.metadata:
            return Preprocessing.from_dict(json.loads(entries.metadata[METADATA_KEY]))
        if entries.format != "keras" or path is None:
            return None
        steps = _layer_inside(path)
        if steps is not None:
            return steps
        description = _description.read_from(path)
        return None if description is None else of_description(description)
    except WeightsError:
        raise
    # Damaged text makes JSON, zipfile and the checks of values raise many kinds of exception.
    except Exception as error:
        raise WeightsError(
            f"{path}: damaged: the scaling of pixels that it states ({first_line(error)})"
        ) from error


def _layer_inside(path: pathlib.Path) -> Preprocessing | None:
    """Returns the scaling of the layer that a factory's `include_preprocessing` adds."""
    for node in keras_archive.objects(keras_archive.configuration(path)):
        if node["class_name"] == "ImageNormalization" and "keras_residual" in str(node):
            config = node["config"]
            if config["name"] == "preprocessing":
                names = ("mean", "std", "divisor", "channels")
                return Preprocessing.from_dict({name: config[name] for name in names})
    return None


def of_description(description: _description.Description) -> Preprocessing:
    """Returns the scaling of pixels in a model's description."""
    if description.preprocessing is None:
        return Preprocessing.from_white(description.white)
    return Preprocessing.from_dict(description.preprocessing)


def _beside(path: pathlib.Path | None) -> Preprocessing | None:
    """Returns the scaling in the `config.json` beside a file, as written by timm and `push`.

    A folder may hold further weights, to which it does not apply.
    """
    configuration = None if path is None else path.parent / _hub.CONFIGURATION
    if configuration is None or not configuration.is_file():
        return None
    if configuration.stat().st_size > _MOST_BYTES:
        return None
    try:
        content = json.loads(configuration.read_bytes())
        if content.get("library") == "keras_residual":
            steps = content["preprocessing"] if content["file"] == path.name else None
            return None if steps is None else Preprocessing.from_dict(steps)
        return _from_timm(content["pretrained_cfg"]) if path.name in _hub.DEFAULT_FILES else None
    # A file of another program, in an unknown format.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _from_timm(published: dict[str, Any]) -> Preprocessing:
    """Returns the steps in timm's configuration of published weights."""
    size = published.get("input_size", (3, 224, 224))[-1]
    return Preprocessing(
        tuple(published["mean"]),
        tuple(published["std"]),
        resize=int(size / published.get("crop_pct", 0.875)),
        crop=size,
        interpolation=published.get("interpolation", "bilinear"),
    )


def _tagged(path: pathlib.Path) -> sources.WeightSource | None:
    """Returns the published weights whose tag is in a path, as in the hub's cache."""
    parts = {path.stem, *(part.removeprefix("models--timm--") for part in path.parts[:-1])}
    for source in sources.list_sources():
        if source.is_hub and source.location.rpartition("/")[2] in parts:
            return source
    return None


def _published(layout: Layout, file_format: str, model_name: str) -> Preprocessing | None:
    """Returns the scaling that all published weights of a network with torch's names share."""
    known = [
        source
        for source in sources.list_sources()
        if source.model.lower() == model_name.lower() and source.layout in ("torchvision", "timm")
    ]
    by_torchvision = [source for source in known if source.layout == "torchvision"]
    # timm publishes safetensors files, torchvision does not.
    if file_format != "safetensors" and by_torchvision:
        known = by_torchvision
    scalings = {source.preprocessing.without_resizing() for source in known}
    if len({(each.mean, each.std, each.divisor, each.channels) for each in scalings}) != 1:
        return None
    return known[0].preprocessing
