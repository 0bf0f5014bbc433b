"""`.safetensors` files, memory-mapped."""

import contextlib
import functools
import math
import pathlib

import numpy as np

from keras_residual.weights.arrays import Entries, Entry, bfloat16_to_float32
from keras_residual.weights.errors import WeightsError

_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip


def entries(path: pathlib.Path, stack: contextlib.ExitStack) -> Entries:
    """Returns the entries of a file, whose values are views of its memory map."""
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise ImportError(f"Reading {path} needs safetensors: pip install safetensors") from error
    # The library validates the header; the format has no gaps between tensors, so their order gives
    # the offsets. Views of a memory map, because `get_tensor` needs memory for the file and a copy.
    with safe_open(path, framework="numpy") as file:
        keys = list(file.offset_keys())
        specs = [(file.get_slice(key).get_dtype(), file.get_slice(key).get_shape()) for key in keys]
        found = Entries(metadata=file.metadata())
    if not keys:
        return found
    mapping = np.asarray(np.memmap(path, dtype=np.uint8, mode="c"))
    offset = 8 + int.from_bytes(mapping[:8].tobytes(), "little")
    for key, (kind, shape) in zip(keys, specs, strict=True):
        if kind not in _DTYPES:
            raise WeightsError(f"{path}: {key!r} has the unsupported element type {kind}")
        size = math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize
        raw = mapping[offset : offset + size].view(_DTYPES[kind]).reshape(shape)
        read = functools.partial(bfloat16_to_float32 if kind == "BF16" else np.asarray, raw)
        dtype = np.dtype(np.float32 if kind == "BF16" else _DTYPES[kind])
        found[key] = Entry(tuple(shape), dtype, read)
        offset += size
    return found
