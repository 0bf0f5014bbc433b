"""HDF5 weight files: keras.applications' layout by layer names, and Keras 3's by variable paths."""

import pathlib

import h5py
import numpy as np

from keras_residual.weights.arrays import Arrays, LayerEntry, bfloat16_to_float32
from keras_residual.weights.errors import WeightsError

# Optimizer state is not part of a model and can be twice its size.
_NOT_WEIGHTS = ("optimizer", "optimizer_weights")


def read(path: pathlib.Path, origin: pathlib.Path | None = None) -> Arrays:
    """Returns every array of the file under its full path, seen from the root of the weights.

    That root is the group `model_weights` in files written by `model.save("x.h5")`, otherwise the
    file itself. Arrays come in the order of `layer_names` and `weight_names`, or of `vars/0, 1, …`.
    Errors name `origin`, the archive that the file was taken from, if there is one.
    """
    with h5py.File(path, "r") as file:
        path = origin or path
        root = file
        if not _attribute(file, "layer_names") and isinstance(
            file.get("model_weights"), h5py.Group
        ):
            root = file["model_weights"]
        names = _attribute(root, "layer_names")
        return _legacy(root, names, path) if names else _by_path(root, path)


def _legacy(root: h5py.Group, names: list[str], path: pathlib.Path) -> Arrays:
    arrays, layers = Arrays(), []
    for name in names:
        group = _linked(root, name, path)
        keys = []
        for weight in _attribute(group, "weight_names"):
            key = f"{name}/{weight}"
            arrays[key] = _values(_descend(group, weight, path), key, path)
            keys.append(key)
        layers.append(LayerEntry(name, name, tuple(keys)))
    arrays.layers = tuple(layers)
    return arrays


def _by_path(root: h5py.Group, path: pathlib.Path) -> Arrays:
    arrays, layers = Arrays(), []

    def visit(group: h5py.Group, prefix: str) -> None:
        members = [name for name in _ordered(group) if prefix or name not in _NOT_WEIGHTS]
        for name in members:
            key = prefix + name
            item = _linked(group, name, path)
            if isinstance(item, h5py.Group):
                visit(item, key + "/")
            else:
                arrays[key] = _values(item, key, path)
        if prefix.endswith("vars/") and "name" in group.attrs:
            keys = tuple(prefix + name for name in members if prefix + name in arrays)
            owner = prefix.removesuffix("vars/").rstrip("/")
            layers.append(LayerEntry(owner, _text(group.attrs["name"]), keys))

    visit(root, "")
    arrays.layers = tuple(layers)
    return arrays


def _ordered(group: h5py.Group) -> list[str]:
    """Returns the member names, numbers in numerical order (`10` after `9`)."""
    names = list(group)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else names


def _attribute(group: h5py.Group, name: str) -> list[str]:
    """Returns a list of names, which Keras splits into `name0`, `name1`, … when it is long."""
    if name in group.attrs:
        return [_text(item) for item in group.attrs[name]]
    parts, index = [], 0
    while f"{name}{index}" in group.attrs:
        parts.extend(_text(item) for item in group.attrs[f"{name}{index}"])
        index += 1
    return parts


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _descend(group: h5py.Group, names: str, path: pathlib.Path) -> h5py.Dataset:
    for name in names.split("/"):
        group = _linked(group, name, path)
    return group


def _linked(group: h5py.Group, name: str, path: pathlib.Path) -> h5py.Group | h5py.Dataset:
    """Returns a member that lies in this file; a link could name any file of this machine."""
    if not isinstance(group, h5py.Group) or name not in group:
        raise WeightsError(f"{path}: damaged: it lists {name!r}, which it does not hold")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise WeightsError(f"{path}: refused: {name!r} is a link to somewhere else")
    return group[name]


def _values(dataset: h5py.Dataset, key: str, path: pathlib.Path) -> np.ndarray:
    if not isinstance(dataset, h5py.Dataset):
        raise WeightsError(f"{path}: damaged: {key!r} is not an array")
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{path}: refused: the values of {key!r} lie in another file")
    bfloat16 = _text(dataset.attrs.get("dtype", "")) == "bfloat16" and dataset.dtype.itemsize == 2
    if dataset.dtype.kind not in "fiub" and not bfloat16:
        raise WeightsError(f"{path}: {key!r} has the unsupported element type {dataset.dtype}")
    # A few bytes of header can claim terabytes that the file does not store.
    if dataset.id.get_storage_size() < (1 if dataset.chunks else dataset.nbytes) <= dataset.nbytes:
        raise WeightsError(f"{path}: damaged: {key!r} claims {dataset.nbytes} bytes it lacks")
    values = dataset[()] if dataset.shape else np.asarray(dataset[()])
    return bfloat16_to_float32(values.view(np.uint16)) if bfloat16 else values
