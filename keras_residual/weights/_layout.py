"""Layouts: how a library names and orders the weights of its networks."""

import dataclasses
import re
from collections.abc import Callable, Mapping

import numpy as np

from keras_residual.weights._slots import Slot

# A prefix, and the name of the module for each role of `Slot`.
Section = tuple[str, Mapping[str, str]]

_TORCH_KINDS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "v": "v",
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Names and array order of one library's networks.

    Attributes:
        name: Name of the layout in messages, e.g. `"torchvision"`.
        sections: Prefix and names by section. Both are formats of `stage`, `block` (from 1) and
            `stage0`, `block0` (from 0), `stage2` (from 2), `strides` (of a stage).
        torch: Whether kernels are `(filters, channels, *size)` and variables have torch's names.
        pointwise: Sections and roles whose dense kernels are stored as 1×1 convolutions.
        aliases: Regular expressions and replacements (as for `re.sub`) that turn other spellings
            into these names.
        options: Architecture options of all networks that use these names.
        epsilon: Epsilon of the normalizations, `None` if it varies.
        exact: Whether values are the same in both forms, so that an export is lossless.
    """

    name: str
    sections: Mapping[str, Section]
    torch: bool = True
    pointwise: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str | Callable[[re.Match], str]], ...] = ()
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    epsilon: float | None = None
    exact: bool = True

    def key(self, slot: Slot, role: str | None = None, kind: str | None = None) -> str | None:
        """Returns the name of a slot, or of another role and kind in its block, or `None`."""
        role, kind = role or slot.role, kind or slot.kind
        prefix, names = self.sections.get(slot.section, ("", {}))
        if role not in names:
            return None
        kind = _TORCH_KINDS[kind] if self.torch else kind
        return f"{self._prefix(prefix + names[role], slot.number, slot.block)}.{kind}"

    def prefixes(self, section: str, number: int) -> tuple[str, ...]:
        """Returns the prefixes of all names of a section, for every block of it."""
        if section not in self.sections:
            return ()
        prefix, names = self.sections[section]
        if "{block" in prefix:
            return (self._prefix(prefix.partition("{block")[0], number, 1),)
        return tuple(f"{self._prefix(prefix, number, 1)}{name}." for name in names.values())

    def _prefix(self, text: str, stage: int, block: int) -> str:
        return text.format(
            stage=stage,
            stage0=stage - 1,
            stage2=stage + 1,
            strides=1 if stage == 1 else 2,
            block=block,
            block0=block - 1,
        )

    def canonical(self, name: str) -> str:
        """Returns a file's name in the spelling of this layout."""
        for pattern, replacement in self.aliases:
            name = re.sub(pattern, replacement, name)
        return name

    def to_ours(self, slot: Slot, array: np.ndarray) -> np.ndarray:
        """Returns the array in Keras' order, as a view."""
        if not self.torch or slot.kind != "kernel" or array.ndim < 2:
            return array
        if len(slot.shape) == 2:
            # Some versions of a library store a dense kernel as a 1×1 convolution.
            return array.reshape(array.shape[:2]).T if array[0, 0].size == 1 else array
        return array.transpose(*range(2, array.ndim), 1, 0)

    def from_ours(self, slot: Slot, array: np.ndarray) -> np.ndarray:
        """Returns the array in this layout's order."""
        if not self.torch or slot.kind != "kernel":
            return array
        array = array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
        if slot.section in self.pointwise or slot.role in self.pointwise:
            array = array[..., None, None]
        return array


class OwnLayout(Layout):
    """The names of this package's own files: those of the slots."""

    def key(self, slot: Slot, role: str | None = None, kind: str | None = None) -> str | None:
        return slot.name if role is None and kind is None else None

    def prefixes(self, section: str, number: int) -> tuple[str, ...]:
        numbered = section in ("stage", "dense", "dual", "fractal", "highway", "transition")
        return (f"{section}{number}." if numbered else f"{section}.",)
