"""Transfers the weights of a network to a modified one, stage by stage."""

import re

import numpy as np

from keras_residual.layers.bottleneck_block import EXPANSION
from keras_residual.tuning.comparison import check_settings
from keras_residual.tuning.transfer import NotKeptError, Transfer


class Change(Transfer):
    """One modification of a network; `network` fills `result` stage by stage.

    Raises:
        NotKeptError: If the modification cannot preserve the function.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()

    def _check(self):
        check_settings(self.before, self.after)
        if any(name.endswith("alpha") for name in self.old):
            raise NotKeptError("the activation has weights")

    def network(self):
        channels = self.stem()
        for stage in range(len(self.after.depths)):
            channels = self.stage(stage, channels)
        self.norm("final_norm.norm", channels)
        self.norm("final_norm", channels)
        classes = np.arange(self.old["classifier.bias"].size)
        if self.new["classifier.bias"].size != classes.size:
            raise NotKeptError("the number of classes differs")
        self.embed("classifier.kernel", channels, classes)
        self.embed("classifier.bias", classes)

    def stem(self):
        """Returns the new positions of the stem's channels."""
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
        """Writes a stage and returns the new positions of its channels."""
        outputs = self.shortcut(stage, inputs)
        is_new = stage >= len(self.before.depths)
        before = 0 if is_new else self.before.depths[stage]
        after = self.after.depths[stage]
        if after < before:
            raise NotKeptError(f"stage {stage + 1} has fewer blocks")
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
        """Writes a stage's first shortcut and returns the positions of the stage's channels."""
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
            if not is_new:
                self.moved_norm(f"{prefix}.norm", f"{prefix}.conv.norm", outputs)
        else:
            outputs = self._padded(stage, inputs, count, wanted, is_new)
            self.identity_norm(f"stage{stage + 1}.block1", outputs, is_new)
        return outputs

    def _check_pooled(self, stride):
        """Raises if a new strided stage would change the mean over positions."""
        if self.after.shortcut != "pooled" or self.preactivated:
            raise NotKeptError('an added strided stage needs post-activation and shortcut="pooled"')
        reduced = int(np.prod(self.before.stage_strides_or_default()))
        if any(size % (reduced * stride) for size in self.spatial) or self.after.stem != "conv3":
            raise NotKeptError("an added stage needs sizes that its stride divides")

    def _check_identity(self, stage, count, before, stride, is_new):
        if count != before or (stride > 1 and not is_new):
            raise NotKeptError(f"the shortcut of stage {stage + 1} is new")
        shares = stage == 0 and self.after.share_preactivation
        if self.preactivated and not shares:
            raise NotKeptError("a projection follows the activation, an identity does not")

    def _padded(self, stage, inputs, count, wanted, is_new):
        """Returns the channel positions after a shortcut that pads its inputs or leaves them."""
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
        """Writes the normalization of an identity shortcut, if there is one."""
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
        """Returns the positions of the channels inside a bottleneck, group by group."""
        old, new = (arrays[f"{prefix}.conv2.conv.kernel"].shape for arrays in (self.old, self.new))
        size, wider = old[-2], new[-2]
        groups, more = old[-1] // size, new[-1] // wider
        per_group = 1 if more >= groups else wider // size
        if wider < size or more * per_group < groups:
            raise NotKeptError(f"the groups of {prefix} do not hold the old ones")
        return np.concatenate(
            [
                np.arange(size) + group // per_group * wider + group % per_group * size
                for group in range(groups)
            ]
        )

    def gate(self, prefix, last, outputs):
        """Writes squeeze-and-excitation; an added gate is 1/2, and its branch is doubled."""
        names = [f"{prefix}.squeeze_excite.{part}" for part in ("reduce", "expand")]
        reduce, expand = names
        was, now = (f"{reduce}.kernel" in arrays for arrays in (self.old, self.new))
        if was and not now:
            raise NotKeptError("squeeze-and-excitation was removed")
        if was:
            hidden = np.arange(self.old[f"{reduce}.bias"].size)
            if hidden.size > self.new[f"{reduce}.bias"].size:
                raise NotKeptError("squeeze-and-excitation is narrower")
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
        """Makes the residual branch of a new block zero."""
        if self.after.activation_order == "post" and self.after.activation not in ("relu", None):
            raise NotKeptError(f"{self.after.activation!r} is not idempotent")
        if self.after.shortcut == "none":
            raise NotKeptError("a block without a shortcut cannot be the identity")
        last = max(
            (name for name in self.new if re.match(rf"{prefix}\.conv\d+\.", name)),
            key=lambda name: name.removeprefix(prefix).split(".")[1],
        )
        last = ".".join(last.split(".")[:3])
        kinds = ("conv.kernel", "conv.bias") if self.preactivated else ("norm.gamma", "norm.beta")
        for name in (f"{last}.{kind}" for kind in kinds):
            if name in self.result:
                self.result[name][:] = 0.0
