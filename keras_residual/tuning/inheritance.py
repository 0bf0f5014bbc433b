"""Weights of a residual network for a changed one that computes the same function.

A wider layer keeps the old channels and gets new ones, random ones, which nothing reads yet: the
weights from new channels to old ones are zero. Batch normalization, which treats each channel by
itself, and groups, within which old channels stay together, leave that exact. A further block
begins with a branch of zero, a further gate at one half with the branch doubled, a larger kernel
with a border of zeros.
"""

import dataclasses
import re
from collections.abc import Mapping

import keras
import numpy as np

from keras_residual.layers import ResidualStage
from keras_residual.layers.bottleneck_block import EXPANSION
from keras_residual.layers.equal_blocks import named_weights
from keras_residual.models.resnet_architecture import ResNetArchitecture

_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
# What may differ without another function; the sizes are compared one by one.
_FREE = {"drop_path_rate", "dropout_rate", "se_divisor", "execution", "rematerialize"}
_SIZES = {
    "depths",
    "widths",
    "stem_width",
    "se_ratio",
    "kernel_sizes",
    "cardinality",
    "base_width",
    "stage_strides",
}
# Options that this file knows; with another value than the default, any other means layers that it
# does not.
_KNOWN = (
    _FREE
    | _SIZES
    | {
        "block",
        "activation",
        "activation_order",
        "conv_bias",
        "kernel_initializer",
        "kernel_regularizer",
        "norm_epsilon",
        "norm_momentum",
        "normalize_identity",
        "pool_padding",
        "share_preactivation",
        "shortcut",
        "stem",
        "stem_pool",
        "strided_conv",
        "zero_init_residual",
    }
)


class NotKeptError(ValueError):
    """Raised when a change cannot keep the function; the message says why."""


def weights_of(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the variables of a network by name, such as `stage2.block1.conv1.conv.kernel`.

    Raises:
        NotKeptError: If a stage is scanned: its variables are those of several blocks.
    """
    found = {}
    for layer in model.layers:
        if isinstance(layer, ResidualStage):
            for block, sublayer in _blocks(layer).items():
                for path, variable in named_weights(sublayer).items():
                    found[f"{layer.name}.{block}.{path}"] = variable
        elif layer.weights and layer.name != "standardize":
            for path, variable in named_weights(layer).items():
                found[f"{layer.name}.{path}"] = variable
    return found


def _blocks(stage):
    if stage.equal is not None and stage.equal.scanned:
        raise NotKeptError(f"the blocks of {stage.name} are scanned")
    blocks = [stage.first, *(stage.equal.blocks if stage.equal is not None else ())]
    blocks += [stage.last] if stage.last is not None else []
    return {f"block{number}": block for number, block in enumerate(blocks, start=1)}


@dataclasses.dataclass(frozen=True)
class Inheritance:
    """What a changed network takes over.

    Attributes:
        weights: All weights of the new network by name.
        is_exact: Whether the function is kept; without it, blocks have been taken out.
        left_out: The blocks that were taken out, such as `stage2.block3`.
    """

    weights: dict[str, np.ndarray]
    is_exact: bool
    left_out: tuple[str, ...]


def inherited(
    before: ResNetArchitecture,
    after: ResNetArchitecture,
    old: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    spatial: tuple[int, ...],
) -> Inheritance:
    """Takes the weights of a network over into a changed one.

    Args:
        before: The architecture of the old network.
        after: That of the new one. Where a stage has fewer blocks, those of the weakest branches
            are taken out; that alone changes the function.
        old: The weights of the old network by name, see `weights_of`.
        new: The initial weights of the new one, which what is added keeps.
        spatial: Height and width, or the number of steps, of the inputs.

    Raises:
        NotKeptError: If the change cannot keep the function.
    """
    shorter, rest, left_out = _without_weakest(before, after, dict(old))
    change = _Change(shorter, after, rest, new, spatial)
    change.network()
    return Inheritance(change.result, not left_out, left_out)


def _without_weakest(before, after, old):
    """Takes out blocks, the weakest first, until no stage has more than the new network's."""
    depths, left_out = list(before.depths), []
    for stage in range(min(len(depths), len(after.depths))):
        numbers = list(range(1, depths[stage] + 1))
        while len(numbers) > after.depths[stage]:
            # The first block changes the size.
            weakest = min(
                numbers[1:], key=lambda number: _strength(old, f"stage{stage + 1}.block{number}.")
            )
            numbers.remove(weakest)
            left_out.append(f"stage{stage + 1}.block{weakest}")
        renamed = {
            f"stage{stage + 1}.block{number}.": f"stage{stage + 1}.block{place}."
            for place, number in enumerate(numbers, start=1)
        }
        old = {_renamed(name, f"stage{stage + 1}.", renamed): old[name] for name in old}
        old.pop("", None)
        depths[stage] = len(numbers)
    return dataclasses.replace(before, depths=tuple(depths)), old, tuple(left_out)


def _renamed(name, stage, blocks):
    """Returns the name of a weight in the shorter network, empty if its block is left out."""
    if not name.startswith(stage):
        return name
    block = ".".join(name.split(".")[:2]) + "."
    return blocks[block] + name.removeprefix(block) if block in blocks else ""


def _strength(old, block):
    """Returns how strong a block's branch is, by the scale of its last normalization or kernel."""
    norms = sorted(n for n in old if n.startswith(block) and re.search(r"conv\d\.norm\.gamma$", n))
    kernels = sorted(
        n for n in old if n.startswith(block) and re.search(r"conv\d\.conv\.kernel", n)
    )
    has_norm = norms and norms[-1].split(".")[2] == kernels[-1].split(".")[2]
    return float(np.abs(old[norms[-1] if has_norm else kernels[-1]]).mean())


@dataclasses.dataclass
class _Change:
    """One change; its methods fill `result` stage by stage."""

    before: ResNetArchitecture
    after: ResNetArchitecture
    old: Mapping[str, np.ndarray]
    new: Mapping[str, np.ndarray]
    spatial: tuple[int, ...]

    def __post_init__(self):
        self.result = {name: np.array(value) for name, value in self.new.items()}
        self._check()

    def _check(self):
        for field in dataclasses.fields(self.before):
            ours, theirs = getattr(self.after, field.name), getattr(self.before, field.name)
            if field.name not in _FREE | _SIZES and ours != theirs:
                raise NotKeptError(f"`{field.name}` is {ours!r} in place of {theirs!r}")
            if field.name not in _KNOWN and ours != field.default:
                raise NotKeptError(f"`{field.name}` is {ours!r}")
        if self.before.block not in ("basic", "bottleneck"):
            raise NotKeptError(f"`block` is {self.before.block!r}")
        if self.before.normalization != "batch":
            raise NotKeptError("only batch normalization treats each channel by itself")
        if len(self.before.kernel_sizes) != len(self.after.kernel_sizes):
            raise NotKeptError("the number of `kernel_sizes` is another")
        if len(self.after.depths) < len(self.before.depths):
            raise NotKeptError("a stage less")
        strides = self.before.stage_strides_or_default()
        if self.after.stage_strides_or_default()[: len(strides)] != strides:
            raise NotKeptError("`stage_strides` are others")
        if any(name.endswith("alpha") for name in self.old):
            raise NotKeptError("the activation has weights")

    @property
    def preactivated(self):
        return self.after.activation_order == "pre"

    # Each of these writes one kind of weight.

    def embed(self, name, *maps):
        """Writes an array into a larger one: `maps` has new positions of old ones for each axis.

        New inputs, on the axis before the last, have no effect on old outputs.
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
        """Makes a normalization pass some channels as they are."""
        if f"{prefix}.gamma" not in self.result:
            return
        values = np.sqrt(1 + self.after.norm_epsilon), 0.0, 0.0, 1.0
        for kind, value in zip(_NORM, values, strict=True):
            if f"{prefix}.{kind}" in self.result:
                self.result[f"{prefix}.{kind}"][channels] = value

    def kernel(self, name, inputs, outputs):
        """Writes a convolution's kernel, an old one in the middle of a larger one."""
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
        """Writes the kernel of a grouped convolution, whose channels lie at `inner` now."""
        name = f"{prefix}.conv.kernel"
        old, new = self.old[name].shape, self.new[name].shape
        size, wider = old[-2], new[-2]
        for output, place in enumerate(inner):
            inputs = inner[output // size * size :][:size] - place // wider * wider
            self.result[name][..., place] = 0.0
            self.result[name][..., inputs, place] = self.old[name][..., output]
        self.norm(f"{prefix}.norm", inner)

    def identity(self, prefix, inputs, outputs):
        """Makes a 1×1 convolution pass some channels as they are."""
        kernel = self.result[f"{prefix}.conv.kernel"]
        kernel[..., outputs] = 0.0
        kernel[..., inputs, outputs] = 1.0
        self.neutral(f"{prefix}.norm", outputs)

    # And these walk through the network.

    def network(self):
        channels = self.stem()
        for stage in range(len(self.after.depths)):
            channels = self.stage(stage, channels)
        self.norm("final_norm.norm", channels)
        self.norm("final_norm", channels)
        classes = np.arange(self.old["classifier.bias"].size)
        if self.new["classifier.bias"].size != classes.size:
            raise NotKeptError("the number of classes is another")
        self.embed("classifier.kernel", channels, classes)
        self.embed("classifier.bias", classes)

    def stem(self):
        """Returns the places of the stem's channels."""
        names = [name for name in self.old if name.startswith("stem.")]
        for name in sorted(names, key=lambda name: not name.endswith("kernel")):
            before, after = self.old[name].shape, self.new[name].shape
            if any(ours < theirs for ours, theirs in zip(after, before, strict=True)):
                raise NotKeptError("the stem is narrower")
            self.embed(name, *map(np.arange, before))
        kernels = [name for name in names if name.endswith("kernel")]
        last = max(kernels, default=None)
        return np.arange(self.old[last].shape[-1] if last else self._input_channels())

    def _input_channels(self):
        return self.old["stage1.block1.conv1.conv.kernel"].shape[-2]

    def width(self, architecture, stage):
        expansion = EXPANSION if architecture.block == "bottleneck" else 1
        return int(architecture.widths[stage] * expansion)

    def stage(self, stage, inputs):
        """Writes a stage and returns the places of its channels."""
        outputs = self.shortcut(stage, inputs)
        is_new = stage >= len(self.before.depths)
        before = 0 if is_new else self.before.depths[stage]
        after = self.after.depths[stage]
        if after < before:
            raise NotKeptError(f"stage {stage + 1} has a block less")
        for number in range(after):
            prefix = f"stage{stage + 1}.block{number + 1}"
            if number < before:
                self.block(prefix, inputs if number == 0 else outputs, outputs)
            else:
                self.silent(prefix)
            if number > 0:
                self.identity_norm(prefix, outputs, is_new=number >= before)
        return outputs

    def shortcut(self, stage, inputs):
        """Writes the first shortcut of a stage and returns the places of the stage's channels."""
        is_new = stage >= len(self.before.depths)
        count = len(inputs) if is_new else self.width(self.before, stage)
        wanted, prefix = self.width(self.after, stage), f"stage{stage + 1}.block1.shortcut"
        if wanted < count:
            raise NotKeptError(f"stage {stage + 1} is narrower")
        stride = self.after.stage_strides_or_default()[stage]
        projects = f"{prefix}.conv.conv.kernel" in self.new
        was_projected = f"{prefix}.conv.conv.kernel" in self.old and not is_new
        if is_new and stride > 1:
            self._check_pooled(stride)
        if projects and was_projected:
            outputs = np.arange(count)
            self.conv(f"{prefix}.conv", inputs, outputs)
        elif was_projected:
            raise NotKeptError(f"the shortcut of stage {stage + 1} was a projection")
        elif projects:
            outputs = np.arange(count)
            self._check_identity(stage, count, len(inputs), stride, is_new)
            self.identity(f"{prefix}.conv", inputs, outputs)
        else:
            outputs = self._padded(stage, inputs, count, wanted, is_new)
            self.identity_norm(f"stage{stage + 1}.block1", outputs, is_new)
        return outputs

    def _check_pooled(self, stride):
        """A new stage that strides leaves the mean over positions only where it averages."""
        if self.after.shortcut != "pooled" or self.preactivated:
            raise NotKeptError('a stage more that strides needs post-activation, shortcut="pooled"')
        reduced = int(np.prod(self.before.stage_strides_or_default()))
        if any(size % (reduced * stride) for size in self.spatial) or self.after.stem != "conv3":
            raise NotKeptError("a stage more needs sizes that its stride divides")

    def _check_identity(self, stage, count, before, stride, is_new):
        if count != before or (stride > 1 and not is_new):
            raise NotKeptError(f"the shortcut of stage {stage + 1} is new")
        shares = stage == 0 and self.after.share_preactivation
        if self.preactivated and not shares:
            raise NotKeptError("a projection follows the activation, an identity does not")

    def _padded(self, stage, inputs, count, wanted, is_new):
        """The places of channels behind a shortcut that pads, or passes on, its inputs."""
        if self.after.shortcut == "none":
            return np.arange(count)
        before = len(inputs)
        wide = self._channels_before(stage)
        start, moved = (count - before) // 2, (wanted - wide) // 2
        outside = [*range(moved), *range(moved + wide, wanted)]
        if len(outside) < count - before:
            raise NotKeptError(f"the shortcut of stage {stage + 1} pads fewer channels")
        outputs = np.empty(count, int)
        rest = [channel for channel in range(count) if not start <= channel < start + before]
        outputs[rest] = outside[: len(rest)]
        outputs[start : start + before] = moved + inputs
        return outputs

    def _channels_before(self, stage):
        if stage:
            return self.width(self.after, stage - 1)
        return self.new["stage1.block1.conv1.conv.kernel"].shape[-2]

    def identity_norm(self, prefix, outputs, is_new):
        """Writes the normalization of an identity, where there is one."""
        name = f"{prefix}.shortcut.norm"
        if f"{name}.gamma" not in self.new:
            return
        if is_new:
            self.neutral(name, slice(None))
        elif f"{name}.gamma" not in self.old:
            raise NotKeptError(f"{name} is new")
        else:
            self.norm(name, outputs)

    def block(self, prefix, inputs, outputs):
        self.norm(f"{prefix}.norm1.norm", inputs)
        self.norm(f"{prefix}.norm1", inputs)
        if self.after.block == "bottleneck":
            inner = self._inner(prefix)
            self.conv(f"{prefix}.conv1", inputs, inner)
            self.grouped(f"{prefix}.conv2", inner)
            last = "conv3"
            self.conv(f"{prefix}.{last}", inner, outputs)
        else:
            last = f"conv{len(self.after.kernel_sizes)}"
            for number in range(1, len(self.after.kernel_sizes) + 1):
                is_last = number == len(self.after.kernel_sizes)
                width = self.old[f"{prefix}.conv{number}.conv.kernel"].shape[-1]
                places = outputs if is_last else np.arange(width)
                self.conv(f"{prefix}.conv{number}", inputs, places)
                inputs = places
        self.gate(prefix, last, outputs)

    def _inner(self, prefix):
        """The places of the channels between a bottleneck's convolutions, group by group."""
        old, new = (arrays[f"{prefix}.conv2.conv.kernel"].shape for arrays in (self.old, self.new))
        size, wider = old[-2], new[-2]
        groups, more = old[-1] // size, new[-1] // wider
        together = 1 if more >= groups else wider // size
        if wider < size or more * together < groups:
            raise NotKeptError(f"the groups of {prefix} do not hold the old ones")
        return np.concatenate(
            [
                np.arange(size) + group // together * wider + group % together * size
                for group in range(groups)
            ]
        )

    def gate(self, prefix, last, outputs):
        """Writes squeeze and excitation; a new one is 1/2 throughout, of twice the branch."""
        names = [f"{prefix}.squeeze_excite.{part}" for part in ("reduce", "expand")]
        reduce, expand = names
        was, now = (f"{reduce}.kernel" in arrays for arrays in (self.old, self.new))
        if was and not now:
            raise NotKeptError("squeeze and excitation is left out")
        if was:
            hidden = np.arange(self.old[f"{reduce}.bias"].size)
            if hidden.size > self.new[f"{reduce}.bias"].size:
                raise NotKeptError("squeeze and excitation is narrower")
            self.embed(f"{reduce}.kernel", outputs, hidden)
            self.embed(f"{reduce}.bias", hidden)
            self.embed(f"{expand}.kernel", hidden, outputs)
            self.embed(f"{expand}.bias", outputs)
        elif now:
            self.result[f"{expand}.kernel"][:, outputs] = 0.0
            self.result[f"{expand}.bias"][outputs] = 0.0
            linear = ("norm.gamma", "norm.beta")
            if self.preactivated:
                linear = ("conv.kernel", "conv.bias")
            for name in (f"{prefix}.{last}.{kind}" for kind in linear):
                if name in self.result:
                    self.result[name][..., outputs] *= 2.0

    def silent(self, prefix):
        """Makes the branch of a new block zero."""
        if self.after.activation_order == "post" and self.after.activation not in ("relu", None):
            raise NotKeptError(f"{self.after.activation!r} is not itself applied twice")
        if self.after.shortcut == "none":
            raise NotKeptError("a block without a shortcut passes nothing on")
        last = max(
            (name for name in self.new if re.match(rf"{prefix}\.conv\d+\.", name)),
            key=lambda name: name.removeprefix(prefix).split(".")[1],
        )
        last = ".".join(last.split(".")[:3])
        kinds = ("conv.kernel", "conv.bias") if self.preactivated else ("norm.gamma", "norm.beta")
        for name in (f"{last}.{kind}" for kind in kinds):
            if name in self.result:
                self.result[name][:] = 0.0
