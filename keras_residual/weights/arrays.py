"""What reading a weight file returns."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class LayerEntry:
    """One layer of a Keras HDF5 file: its path, its name and the keys of its weights, in order."""

    path: str
    name: str
    keys: tuple[str, ...]


class Arrays(dict[str, np.ndarray]):
    """The arrays of a weight file by name, in the file's order.

    Attributes:
        format: `"safetensors"`, `"hdf5"`, `"npz"`, `"torch"` or `"keras"`.
        metadata: Text that the file says about itself, empty if none.
        layers: The layers of a Keras HDF5 file in its order, also those without weights; empty in
            other formats.
    """

    def __init__(self, *args, metadata: dict[str, str] | None = None, layers=()):
        super().__init__(*args)
        self.format = ""
        self.metadata = dict(metadata or {})
        self.layers: tuple[LayerEntry, ...] = tuple(layers)


def bfloat16_to_float32(raw: np.ndarray) -> np.ndarray:
    """Returns the float32 array equal to bfloat16 values stored as 16-bit integers."""
    # A bfloat16 is the upper half of a float32, so the conversion is a shift and loses nothing.
    return np.left_shift(raw.astype(np.uint32), 16).view(np.float32)
