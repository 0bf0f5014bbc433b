"""Transfers individual weights of a network to a modified one."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from keras_residual.models.resnet_architecture import ResNetArchitecture

_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


class NotKeptError(ValueError):
    """Raised when a modification cannot preserve the function; the message says why."""


@dataclasses.dataclass
class Transfer:
    """The weights of a modified network; each method writes one kind of weight.

    Attributes:
        before: The architecture of the old network.
        after: The architecture of the new network.
        old: The weights of the old network by name.
        new: The initial weights of the new network, which added parts keep.
        spatial: Height and width, or the number of steps, of the inputs.
        result: The weights of the new network written so far.
    """

    before: ResNetArchitecture
    after: ResNetArchitecture
    old: Mapping[str, np.ndarray]
    new: Mapping[str, np.ndarray]
    spatial: tuple[int, ...]
    result: dict[str, np.ndarray] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.result = {name: np.array(value) for name, value in self.new.items()}

    @property
    def preactivated(self):
        return self.after.activation_order == "pre"

    def embed(self, name, *maps):
        """Writes an array into a larger one; `maps` gives the new position of each index per axis.

        New inputs, on the second-last axis, get zero weights to old outputs.
        """
        value, target = self.old.get(name), self.result[name]
        if value is None:
            return
        if target.ndim > 1:
            target[..., maps[-1]] = 0.0
        target[np.ix_(*maps)] = value

    def vector(self, name, channels):
        if name in self.result and name in self.old:
            self.embed(name, channels)

    def norm(self, prefix, channels):
        for kind in _NORM:
            self.vector(f"{prefix}.{kind}", channels)

    def neutral(self, prefix, channels):
        """Makes a normalization pass some channels unchanged."""
        if f"{prefix}.gamma" not in self.result:
            return
        values = np.sqrt(1 + self.after.norm_epsilon), 0.0, 0.0, 1.0
        for kind, value in zip(_NORM, values, strict=True):
            if f"{prefix}.{kind}" in self.result:
                self.result[f"{prefix}.{kind}"][channels] = value

    def moved_norm(self, before, after, channels):
        """Writes a normalization of the old network, if it has it, under another name."""
        for kind in _NORM:
            if f"{before}.{kind}" not in self.old:
                continue
            if f"{after}.{kind}" not in self.result:
                raise NotKeptError(f"{before} was removed")
            self.result[f"{after}.{kind}"][channels] = self.old[f"{before}.{kind}"]

    def kernel(self, name, inputs, outputs):
        """Writes a convolution's kernel, centred in a larger one."""
        if name not in self.old:
            raise NotKeptError(f"{name} is new")
        sizes, wanted = self.old[name].shape[:-2], self.new[name].shape[:-2]
        if any(size > new for size, new in zip(sizes, wanted, strict=True)):
            raise NotKeptError(f"the kernel of {name} is smaller")
        places = [
            np.arange(size) + (new - 1) // 2 - (size - 1) // 2
            for size, new in zip(sizes, wanted, strict=True)
        ]
        self.embed(name, *places, inputs, outputs)

    def conv(self, prefix, inputs, outputs):
        self.kernel(f"{prefix}.conv.kernel", inputs, outputs)
        self.vector(f"{prefix}.conv.bias", outputs)
        self.norm(f"{prefix}.norm", outputs)

    def grouped(self, prefix, inner):
        """Writes the kernel of a grouped convolution, whose channels move to `inner`."""
        name = f"{prefix}.conv.kernel"
        old, new = self.old[name].shape, self.new[name].shape
        size, wider = old[-2], new[-2]
        for output, place in enumerate(inner):
            inputs = inner[output // size * size :][:size] - place // wider * wider
            self.result[name][..., place] = 0.0
            self.result[name][..., inputs, place] = self.old[name][..., output]
        self.norm(f"{prefix}.norm", inner)

    def identity(self, prefix, inputs, outputs):
        """Makes a 1×1 convolution pass some channels unchanged."""
        kernel = self.result[f"{prefix}.conv.kernel"]
        kernel[..., outputs] = 0.0
        kernel[..., inputs, outputs] = 1.0
        if f"{prefix}.conv.bias" in self.result:
            self.result[f"{prefix}.conv.bias"][outputs] = 0.0
        self.neutral(f"{prefix}.norm", outputs)
