"""HDF5 weight files: keras.applications' layout by layer, and Keras 3's by variable path."""

import contextlib
import functools
import math
import pathlib

import h5py
import numpy as np

from keras_residual.weights._readers import hdf5_chunks
from keras_residual.weights.arrays import Entries, Entry, LayerEntry, bfloat16_to_float32
from keras_residual.weights.errors import WeightsError

# Optimizer state is not part of a model and can be twice its size.
_NOT_WEIGHTS = ("optimizer", "optimizer_weights")
# Nesting of groups; each nested model takes three levels.
_DEEPEST = 60
# Variable-length strings may refer to one long string many times.
_LARGEST_TEXT = 1 << 30


def entries(
    path: pathlib.Path, stack: contextlib.ExitStack, origin: pathlib.Path | None = None
) -> Entries:
    """Returns every array of the file by its path below the root of the weights.

    The root is the group `model_weights` in files written by `model.save("x.h5")`, otherwise the
    file itself. Arrays are in the order of `layer_names` and `weight_names`, or of `vars/0, 1, …`.
    The file stays open until `stack` is closed. Errors name `origin`, the archive that contained
    the file, if there is one.
    """
    file = stack.enter_context(h5py.File(path, "r"))
    path = origin or path
    root = file
    if not _listed(file, "layer_names"):
        member = file.get("model_weights", getlink=True)
        if isinstance(member, h5py.HardLink) and isinstance(file["model_weights"], h5py.Group):
            root = file["model_weights"]
    return _legacy(root, path) if _listed(root, "layer_names") else _by_path(root, path)


def _legacy(root: h5py.Group, path: pathlib.Path) -> Entries:
    found, layers = Entries(), []
    for name in _names(root, "layer_names", path, lambda: _layers(root, path)):
        group = _descend(root, name, path)
        weights = _names(group, "weight_names", path, lambda group=group: _by_path(group, path))
        keys = tuple(f"{name}/{weight}" for weight in weights)
        for key, weight in zip(keys, weights, strict=True):
            if key in found:
                raise WeightsError(f"{path}: damaged: it lists {key!r} twice")
            found[key] = _entry(_descend(group, weight, path), key, path)
        layers.append(LayerEntry(name, name, keys))
    found.layers = tuple(layers)
    return found


def _layers(root: h5py.Group, path: pathlib.Path) -> list[str]:
    """Returns the names of the groups that list weights; layer names may contain slashes."""
    found = []

    def visit(group, prefix):
        if _listed(group, "weight_names"):
            found.append(prefix.rstrip("/"))
        elif prefix.count("/") < _DEEPEST:
            for name in group:
                item = _linked(group, name, path)
                if isinstance(item, h5py.Group) and _address(item) not in visited:
                    visited.add(_address(item))
                    visit(item, f"{prefix}{name}/")

    visited = set()
    visit(root, "")
    return found


def _address(group: h5py.Group) -> int:
    """Returns the unique address of a group in its file."""
    return h5py.h5o.get_info(group.id).addr


def _by_path(root: h5py.Group, path: pathlib.Path) -> Entries:
    found, layers, visited = Entries(), [], set()

    def visit(group: h5py.Group, prefix: str) -> None:
        # Links can form a graph of few groups with a huge number of paths.
        address = _address(group)
        if address in visited or prefix.count("/") > _DEEPEST:
            raise WeightsError(f"{path}: refused: its groups are linked in circles or too deep")
        visited.add(address)
        members = [name for name in _ordered(group) if prefix or name not in _NOT_WEIGHTS]
        for name in members:
            key = prefix + name
            item = _linked(group, name, path)
            if isinstance(item, h5py.Group):
                visit(item, key + "/")
            else:
                found[key] = _entry(item, key, path)
        if prefix.endswith("vars/") and "name" in group.attrs:
            keys = tuple(prefix + name for name in members if prefix + name in found)
            owner = prefix.removesuffix("vars/").rstrip("/")
            layers.append(LayerEntry(owner, _single(group, "name"), keys))

    visit(root, "")
    found.layers = tuple(layers)
    return found


def _ordered(group: h5py.Group) -> list[str]:
    """Returns the member names, numbers in numerical order (`10` after `9`)."""
    names = list(group)
    numbered = all(name.isdecimal() and len(name) < 10 for name in names)
    return sorted(names, key=int) if numbered else names


def _listed(group: h5py.Group, name: str) -> bool:
    return name in group.attrs or f"{name}0" in group.attrs


def _names(group: h5py.Group, attribute: str, path: pathlib.Path, members) -> list[str]:
    """Returns a list of names, which Keras splits into `name0`, `name1`, … if it is long.

    A file may refer to one long string many times. If that could exhaust the memory, the names are
    those of the existing `members`, in their order.
    """
    parts = [attribute] if attribute in group.attrs else []
    while parts != [attribute] and f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    types = [group.attrs.get_id(part) for part in parts]
    pointers = sum(math.prod(each.shape or ()) for each in types if each.dtype.kind == "O")
    if pointers * pathlib.Path(group.file.filename).stat().st_size > _LARGEST_TEXT:
        found = list(members())
        if pointers > len(found) + 1:
            raise WeightsError(
                f"{path}: refused: {attribute!r} lists {pointers} names, there are {len(found)}"
            )
        return found
    return [_text(item) for part in parts for item in np.ravel(group.attrs[part])]


def _single(owner: h5py.Group | h5py.Dataset, name: str) -> str:
    """Returns a string attribute, empty if there is none."""
    if name not in owner.attrs or owner.attrs.get_id(name).shape:
        return ""
    return _text(owner.attrs[name])


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _descend(group: h5py.Group, names: str, path: pathlib.Path) -> h5py.Group | h5py.Dataset:
    for name in names.split("/"):
        group = _linked(group, name, path)
    return group


def _linked(group: h5py.Group, name: str, path: pathlib.Path) -> h5py.Group | h5py.Dataset:
    """Returns a member of this file; external links, which could name any file, are refused."""
    if not isinstance(group, h5py.Group) or name not in group:
        raise WeightsError(f"{path}: damaged: it lists {name!r}, which it does not hold")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise WeightsError(f"{path}: refused: {name!r} is a link to somewhere else")
    return group[name]


def _entry(dataset: h5py.Dataset, key: str, path: pathlib.Path) -> Entry:
    if not isinstance(dataset, h5py.Dataset):
        raise WeightsError(f"{path}: damaged: {key!r} is not an array")
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{path}: refused: the values of {key!r} lie in another file")
    bfloat16 = _single(dataset, "dtype") == "bfloat16" and dataset.dtype.itemsize == 2
    if dataset.shape is None or (dataset.dtype.kind not in "fiub" and not bfloat16):
        raise WeightsError(f"{path}: {key!r} has the unsupported element type {dataset.dtype}")
    # A few bytes of header can declare terabytes that the file does not store.
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if dataset.id.get_storage_size() < (1 if dataset.chunks else size) <= size:
        raise WeightsError(f"{path}: damaged: {key!r} claims {size} bytes it lacks")
    dtype = np.dtype(np.float32) if bfloat16 else dataset.dtype
    read = functools.partial(_values, dataset, bfloat16, key, path)
    return Entry(tuple(dataset.shape), dtype, read)


def _values(dataset: h5py.Dataset, bfloat16: bool, key: str, path: pathlib.Path) -> np.ndarray:
    hdf5_chunks.check(dataset, f"{path}: {key!r}")
    values = dataset[()] if dataset.shape else np.asarray(dataset[()])
    return bfloat16_to_float32(values.view(np.uint16)) if bfloat16 else values
