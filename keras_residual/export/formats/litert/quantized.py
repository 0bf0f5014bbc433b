"""Quantizes and dequantizes the tensors of a LiteRT file by scale and zero point."""

from typing import Any

import numpy as np


def to_tensor(values, details: dict[str, Any]) -> np.ndarray:
    """Returns values quantized for a tensor; `details` are those of the interpreter."""
    values = np.asarray(values)
    scale, zero = details["quantization"]
    if not scale:
        return values.astype(details["dtype"], copy=False)
    limits = np.iinfo(details["dtype"])
    steps = np.round(values / scale) + zero
    return np.clip(steps, limits.min, limits.max).astype(details["dtype"])


def from_tensor(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Returns the dequantized values of a tensor."""
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values
