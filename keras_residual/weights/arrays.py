"""The entries of a weight file: names, shapes and types first, values on demand."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class LayerEntry:
    """One layer of a Keras HDF5 file: its path, its name and the keys of its weights, in order."""

    path: str
    name: str
    keys: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One array of a weight file, whose values have not been read yet.

    Attributes:
        shape: The shape that the file states.
        dtype: The type of the values as `read` returns them; float32 for bfloat16.
        read: Returns the values; each call reads the file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def outline(self) -> np.ndarray:
        """An array of zeros with this shape and type that takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


class Entries(dict[str, Entry]):
    """The entries of a weight file by name, in the file's order.

    Attributes:
        format: `"safetensors"`, `"hdf5"`, `"npz"`, `"torch"` or `"keras"`; empty in memory.
        metadata: The text metadata of the file, empty if there is none.
        layers: The layers of a Keras HDF5 file in its order, including those without weights; empty
            in other formats.
    """

    def __init__(self, *args, metadata: Mapping[str, str] | None = None, layers=()):
        super().__init__(*args)
        self.format = ""
        self.metadata = dict(metadata or {})
        self.layers: tuple[LayerEntry, ...] = tuple(layers)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Entries":
        """Returns the entries of arrays in memory."""
        return cls(
            (name, Entry(array.shape, array.dtype, lambda array=array: array))
            for name, array in arrays.items()
        )


class Arrays(dict[str, np.ndarray]):
    """The arrays of a weight file by name, in the file's order; attributes as in `Entries`."""

    def __init__(
        self,
        *args: Any,
        metadata: Mapping[str, str] | None = None,
        layers: Sequence[Any] = (),
        format: str = "",
    ):
        super().__init__(*args)
        self.format = format
        self.metadata = dict(metadata or {})
        self.layers: tuple[LayerEntry, ...] = tuple(layers)


def bfloat16_to_float32(raw: np.ndarray) -> np.ndarray:
    """Returns the float32 array equal to bfloat16 values stored as 16-bit integers."""
    # A bfloat16 is the upper half of a float32, so the conversion is a shift and lossless.
    return np.left_shift(raw.astype(np.uint32), 16).view(np.float32)
