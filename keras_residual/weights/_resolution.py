"""Resolves the argument `weights` or `source`: published weights, a file, or an address."""

import os
import pathlib
import re
from collections.abc import Mapping

from keras_residual.weights import sources
from keras_residual.weights.sources import WeightSource

_ADDRESSES = ("https://", "http://", "hf://")
_SUFFIXES = (".safetensors", ".h5", ".hdf5", ".npz", ".pth", ".pt", ".bin", ".keras")

# Published weights, if they are known, and the path, if it is a file.
Resolved = tuple[WeightSource | None, pathlib.Path | None]


def resolve(model_name: str, source) -> Resolved:
    """Resolves `source` for a model of that name."""
    if isinstance(source, WeightSource):
        return source, None
    if isinstance(source, str) and source.startswith(_ADDRESSES):
        return sources.find_named(source), None
    if isinstance(source, os.PathLike) or (
        isinstance(source, str) and source and not is_name(source)
    ):
        path = pathlib.Path(source).expanduser()
        return _by_file_name(path.name), path
    if isinstance(source, str) and source:
        named = sources.find_named(source) if "." in source else None
        return named or _find(model_name, source), None
    raise ValueError(
        "`source` must be a path, a URL, an hf:// address, the name of published weights or a "
        f"torch state dict. Received: source={source!r} of type {type(source).__name__}"
    )


def resolve_for_factory(weights, variant) -> Resolved:
    """Resolves a factory's argument `weights`; names are those of `variant`'s weights."""
    if weights is None:
        return None, None
    empty = isinstance(weights, (str, Mapping)) and not weights
    if empty or not isinstance(weights, (str, os.PathLike, WeightSource, Mapping)):
        raise ValueError(
            "`weights` must be None, the name of published weights, a path, a URL, an hf:// "
            f"address or a torch state dict. Received: weights={weights!r}"
        )
    if isinstance(weights, Mapping):
        return None, None
    if not (isinstance(weights, str) and is_name(weights)):
        return resolve("", weights)
    if variant is None:
        raise ValueError(
            "`weights` must be a path, a URL or an hf:// address for a network without a name "
            f"of its own. Received: weights={weights!r}"
        )
    return sources.find(variant.name, weights.removeprefix(f"{variant.name}.")), None


def is_name(source: str) -> bool:
    """Returns whether a string is the name of weights and not a path."""
    if re.fullmatch(r"[\w.-]+", source) is None or pathlib.Path(source).exists():
        return False
    known = (item.name.lower() for item in sources.list_sources())
    return not source.lower().endswith(_SUFFIXES) or source.lower() in known


def _find(model_name: str, tag: str) -> WeightSource:
    known = {item.model.lower() for item in sources.list_sources()}
    if model_name.lower() in known:
        return sources.find(model_name, tag)
    raise ValueError(
        "`source` must be a path, a URL, an hf:// address or the full name of published weights, "
        f"such as 'ResNet50.IMAGENET1K_V2', for the model {model_name!r}, whose name is none of "
        f"published weights. Received: source={tag!r}"
    )


def _by_file_name(name: str) -> WeightSource | None:
    """Returns the source whose published file has this name."""
    known = (item for item in sources.list_sources() if not item.is_hub)
    return next((item for item in known if item.file_name == name), None)
