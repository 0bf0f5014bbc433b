"""PyTorch checkpoints (`.pth`, `.pt`): tensors only, never arbitrary pickles."""

import pathlib
import pickle
import re
import zipfile

import numpy as np

from keras_residual.weights._readers import zip_files
from keras_residual.weights.arrays import Arrays
from keras_residual.weights.errors import WeightsError, first_line

_CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "net")
_WRAPPERS = ("module.", "_orig_mod.")


def read(path: pathlib.Path) -> Arrays:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Reading {path} needs PyTorch: pip install 'keras-residual[torch]'"
        ) from error
    zipped = zipfile.is_zipfile(path)
    if zipped:
        zip_files.check(path)
    try:
        # Only the zip format can be mapped into memory; the older one is read tensor by tensor.
        content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: refused: {_forbidden(error)}") from error
    return from_state_dict(content, str(path))


def _forbidden(error: pickle.UnpicklingError) -> str:
    """Returns what PyTorch's restricted unpickler met, in one line."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    if found is None:
        return f"not a checkpoint of tensors only: {first_line(error)}"
    return (
        f"it holds the Python object {found[1]}, which could run code; "
        "save model.state_dict() alone"
    )


def from_state_dict(content: object, origin: str = "the state dict") -> Arrays:
    """Returns the arrays of a torch state dict, taken out of the usual containers.

    Containers are dicts with the tensors under `state_dict`, `model_state_dict`, `model_state`,
    `model` or `net`. The prefixes `module.` (data parallel) and `_orig_mod.` (compiled) go. The
    arrays share memory with CPU tensors, except for bfloat16, which becomes float32.
    """
    while isinstance(content, dict) and not any(map(_is_array, content.values())):
        inner = next((key for key in _CONTAINERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        content = content[inner]
    if not isinstance(content, dict):
        raise WeightsError(f"{origin}: expected a dict of tensors, found {type(content).__name__}")
    others = [f"{key!r} ({type(v).__name__})" for key, v in content.items() if not _is_array(v)]
    if others:
        raise WeightsError(f"{origin}: entries that are not arrays: {', '.join(others[:10])}")
    return Arrays((key, _to_numpy(value)) for key, value in _unwrapped(content).items())


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "detach")


def _to_numpy(value) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    value = value.detach().cpu()
    return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()


def _unwrapped(state: dict) -> dict:
    """Returns `state` without the prefixes that training wrappers put before every name."""
    for prefix in _WRAPPERS * 2:
        if state and all(str(key).startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state
