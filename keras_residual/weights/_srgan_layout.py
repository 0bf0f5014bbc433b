"""The layout of a Keras network with Keras' automatic layer names."""

import dataclasses

import numpy as np

from keras_residual.weights._layout import Layout
from keras_residual.weights._slots import Slot

_CLASSES = {"conv": "conv2d", "norm": "batch_normalization", "prelu": "p_re_lu"}


@dataclasses.dataclass(frozen=True)
class SRGANLayout(Layout):
    """The generator of M. Krasser's SRGAN for Keras, an SRResNet: layers are counted by class.

    Attributes:
        blocks: Number of residual blocks.
        steps: Number of upsampling steps.
    """

    blocks: int = 16
    steps: int = 2

    @classmethod
    def of(cls, slots: list[Slot]) -> "SRGANLayout":
        """Returns the layout of a network of that depth."""
        return cls(
            "M. Krasser's Keras SRGAN",
            {},
            torch=False,
            aliases=((r"^batch_normalization_v1", "batch_normalization"),),
            options={"output_activation": "tanh"},
            epsilon=1e-3,
            blocks=max((slot.block for slot in slots if slot.section == "stage"), default=0),
            steps=max((slot.number for slot in slots if slot.section == "prelu"), default=0),
        )

    def key(self, slot: Slot, role: str | None = None, kind: str | None = None) -> str | None:
        role, kind = role or slot.role, kind or slot.kind
        place, _, part = role.rpartition(".")
        part = part or "prelu"
        number = self._count_before(slot, place, part)
        return f"{_CLASSES[part]}{f'_{number}' if number else ''}.{kind}"

    def _count_before(self, slot: Slot, place: str, part: str) -> int:
        """Returns the number of layers of the same class before a layer."""
        activations = part == "prelu"
        # Neither upsampling nor the first convolution is normalized.
        first = 0 if part == "norm" else 1
        if slot.section == "stage" and activations:
            return slot.block
        if slot.section == "stage":
            return first + 2 * (slot.block - 1) + (place == "conv2")
        trunk = first + (1 if activations else 2) * self.blocks
        return {
            "head": 0,
            "trunk": trunk,
            "upsample": trunk + slot.number,
            "prelu": trunk + slot.number - 1,
            "tail": trunk + self.steps + 1,
        }[slot.section]

    def to_ours(self, slot: Slot, array: np.ndarray) -> np.ndarray:
        return array.reshape(-1) if slot.kind == "alpha" else array

    def from_ours(self, slot: Slot, array: np.ndarray) -> np.ndarray:
        return array.reshape(1, 1, -1) if slot.kind == "alpha" else array
