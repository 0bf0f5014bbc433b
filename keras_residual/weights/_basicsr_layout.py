"""The layout of BasicSR's EDSR, which computes with pixels in 0…255."""

import dataclasses

import numpy as np

from keras_residual.weights._layout import Layout
from keras_residual.weights._slots import Slot

_KINDS = {"kernel": "weight", "bias": "bias"}
_PLACES = {"head": "conv_first", "trunk": "conv_after_body", "tail": "conv_last"}
# BasicSR's `img_range`: pixels in 0…1, less the mean, are multiplied by it, outputs divided by it.
_RANGE = 255.0


@dataclasses.dataclass(frozen=True)
class BasicSRLayout(Layout):
    """BasicSR's EDSR (X. Wang et al.).

    Convolutions and ReLU commute with a positive factor, so the network computes the same function
    of pixels in 0…1 if its biases are divided by the range; kernels are unchanged. PyTorch's
    `PixelShuffle` has another channel order than ours.

    Attributes:
        positions: Number of positions in a block of a `PixelShuffle`.
    """

    positions: int = 4

    @classmethod
    def of(cls, slots: list[Slot]) -> "BasicSRLayout":
        """Returns the layout of a network with these weights."""
        kernels = [slot for slot in slots if (slot.section, slot.kind) == ("upsample", "kernel")]
        positions = kernels[0].shape[-1] // kernels[0].shape[-2] if kernels else 4
        return cls(
            "BasicSR's EDSR",
            {},
            options={"activation": "relu"},
            exact=False,
            positions=positions,
        )

    def key(self, slot: Slot, role: str | None = None, kind: str | None = None) -> str | None:
        kind = _KINDS.get(kind or slot.kind)
        place = _PLACES.get(slot.section)
        if slot.section == "stage":
            place = f"body.{slot.block - 1}.{(role or slot.role).partition('.')[0]}"
        if slot.section == "upsample":
            # Convolutions and shuffles alternate.
            place = f"upsample.{2 * (slot.number - 1)}"
        return f"{place}.{kind}" if place and kind else None

    def to_ours(self, slot: Slot, array: np.ndarray) -> np.ndarray:
        array = super().to_ours(slot, array)
        if array.shape != slot.shape:
            return array
        if slot.section == "upsample":
            array = self._reordered(array, (-1, self.positions))
        return array.astype(np.float64) / _RANGE if slot.kind == "bias" else array

    def from_ours(self, slot: Slot, array: np.ndarray) -> np.ndarray:
        if slot.section == "upsample":
            array = self._reordered(array, (self.positions, -1))
        array = array.astype(np.float64) * _RANGE if slot.kind == "bias" else array
        return super().from_ours(slot, array)

    @staticmethod
    def _reordered(array: np.ndarray, parts: tuple[int, int]) -> np.ndarray:
        """Returns the array with the two factors of its last axis swapped."""
        return array.reshape(*array.shape[:-1], *parts).swapaxes(-1, -2).reshape(array.shape)
