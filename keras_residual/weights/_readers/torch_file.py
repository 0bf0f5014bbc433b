"""PyTorch checkpoints (`.pth`, `.pt`): tensors only, never arbitrary pickles."""

import contextlib
import functools
import mmap
import pathlib
import pickle
import pickletools
import re
import zipfile
from typing import Any

import numpy as np

from keras_residual.weights._readers import pickles, zip_files
from keras_residual.weights.arrays import Entries, Entry
from keras_residual.weights.errors import WeightsError, first_line, listed

_CONTAINERS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "params_ema", "params",
)  # fmt: skip
_WRAPPERS = ("module.", "_orig_mod.")
# The old format is a sequence of pickles: magic number, version, machine, content, keys.
_LEGACY_PICKLES = 5


def entries(path: pathlib.Path, stack: contextlib.ExitStack) -> Entries:
    """Returns the entries of a checkpoint, whose values PyTorch memory-maps."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Reading {path} needs PyTorch: pip install 'keras-residual[torch]'"
        ) from error
    zipped = zipfile.is_zipfile(path)
    _check_zipped(path) if zipped else _check_legacy(path)
    try:
        # Only the zip format can be memory-mapped; the older one is read tensor by tensor.
        content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: refused: {_forbidden(error)}") from error
    return from_state_dict(content, str(path))


def _check_zipped(path: pathlib.Path) -> None:
    with zipfile.ZipFile(path) as archive:
        # PyTorch stores members uncompressed, so their sizes add up to at most the file's.
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise WeightsError(
                    f"{path}: refused: its member {info.filename!r} is compressed, "
                    "as PyTorch never does"
                )
    zip_files.check(path, limit=path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.split("/")[-1] == "data.pkl":
                # Compared above where there is one.
                info.CRC = None
                pickles.check(path, pickletools.genops(archive.read(info)))


def _check_legacy(path: pathlib.Path) -> None:
    # Without a memory map PyTorch would first allocate what the pickle declares.
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for _ in range(_LEGACY_PICKLES):
            pickles.check(path, pickletools.genops(mapped))


def _forbidden(error: pickle.UnpicklingError) -> str:
    """Returns in one line why PyTorch's restricted unpickler refused a file."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    if found is None:
        return f"not a checkpoint of tensors only: {first_line(error)}"
    return pickles.holds(found[1])


def from_state_dict(content: object, origin: str = "the state dict") -> Entries:
    """Returns the entries of a torch state dict, also from the usual containers.

    Containers are dicts with the tensors under `state_dict`, `model_state_dict`, `model_state`,
    `model`, `net`, or BasicSR's `params_ema` or `params`. The prefixes `module.` (data parallel)
    and `_orig_mod.` (compiled) are removed. The values share memory with CPU tensors, except for
    bfloat16, which becomes float32.
    """
    seen = set()
    while isinstance(content, dict) and not any(map(_is_array, content.values())):
        inner = next((key for key in _CONTAINERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        seen.add(id(content))
        content = content[inner]
        if id(content) in seen:
            raise WeightsError(f"{origin}: refused: it holds itself")
    if not isinstance(content, dict):
        raise WeightsError(f"{origin}: expected a dict of tensors, found {type(content).__name__}")
    wrong = [repr(key) for key in content if not isinstance(key, str)]
    if wrong:
        raise WeightsError(f"{origin}: entries whose names are not text: {listed(wrong)}")
    wrong = [f"{key!r} ({type(v).__name__})" for key, v in content.items() if not _is_array(v)]
    if wrong:
        raise WeightsError(f"{origin}: entries that are not arrays: {listed(wrong)}")
    return Entries((key, _entry(value)) for key, value in _unwrapped(content).items())


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "detach")


def _entry(value) -> Entry:
    if isinstance(value, np.ndarray):
        return Entry(value.shape, value.dtype, lambda: value)
    name = str(value.dtype).removeprefix("torch.")
    dtype = {"bfloat16": "float32"}.get(name, name)
    try:
        dtype = np.dtype(dtype)
    except TypeError:
        raise WeightsError(f"the element type {name} of a tensor is not supported") from None
    return Entry(tuple(value.shape), dtype, functools.partial(_to_numpy, value))


def _to_numpy(value) -> np.ndarray:
    value = value.detach().cpu()
    return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()


def _unwrapped(state: dict[Any, Any]) -> dict[Any, Any]:
    """Returns `state` without the prefixes that training wrappers add to every name."""
    for prefix in _WRAPPERS * 2:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state
