"""The options of the ResNet family and the layers that follow from them."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras

from keras_residual import _checks
from keras_residual.layers import (
    BottleneckBlock,
    ConvNorm,
    NormActivation,
    ResidualBlock,
    ResidualStage,
)
from keras_residual.layers.bottleneck_block import EXPANSION
from keras_residual.layers.composite import checked_activation
from keras_residual.layers.residual_unit import ORDERS
from keras_residual.layers.shortcut import KINDS as SHORTCUTS
from keras_residual.models._requirements import SHARED, Requirement, downsampling
from keras_residual.models.assembly import Body
from keras_residual.models.image_architecture import ImageArchitecture
from keras_residual.models.level_shortcuts import LevelShortcuts


def _strided(options, _):
    return max(options.stage_strides_or_default()) > 1


def _normalizes_identity(options, _):
    normalizes = options.normalization not in ("none", "folded")
    bare = options.activation_order in ("pre", "outer") or options.shortcut in ("none", "half")
    return normalizes and not bare


def _averages(options, body):
    return options.strided_block == "first" and downsampling(body)


REQUIREMENTS = (
    *SHARED,
    Requirement(
        "share_preactivation",
        'activation_order="pre"',
        ("activation_order",),
        lambda options, _: options.activation_order == "pre",
    ),
    Requirement(
        "normalize_identity",
        "a normalization behind an identity",
        ("activation_order", "normalization", "shortcut"),
        _normalizes_identity,
    ),
    Requirement(
        "shake_drop",
        "`drop_path_rate`",
        ("drop_path_rate",),
        lambda options, _: options.drop_path_rate > 0,
    ),
    Requirement("strided_conv", "strides in a stage", ("depths", "stage_strides"), _strided),
    Requirement("strided_block", "strides in a stage", ("depths", "stage_strides"), _strided),
    Requirement(
        "shortcut",
        "strides on the first block of a stage",
        ("strided_block", "depths", "stage_strides", "output_stride"),
        lambda options, body: options.shortcut != "pooled" or _averages(options, body),
    ),
)


# Options that are passed on to the blocks unchanged.
BLOCK_OPTIONS = (
    "activation_order",
    "shortcut",
    "normalize_identity",
    "se_ratio",
    "se_divisor",
    "dropout_rate",
    "blur_pool",
    "zero_init_residual",
    "conv_bias",
    "attention",
    "spatial",
    "branches",
    "shake_drop",
    "shake_shake",
    "reversible",
)
OF_BOTTLENECKS = {
    "cardinality": 1,
    "base_width": 64,
    "strided_conv": "conv2",
    "expansion": EXPANSION,
    "group_width": None,
    "first_reduction": 1,
}


@dataclass(frozen=True)
class ResNetArchitecture(ImageArchitecture):
    """The options of a residual network; `ResNet` documents them."""

    requirements: ClassVar[tuple[Requirement, ...]] = REQUIREMENTS

    block: str = "bottleneck"
    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] | None = None
    activation_order: str = "post"
    shortcut: str = "projection"
    shortcut_levels: int = 1
    strided_conv: str = "conv2"
    strided_block: str = "first"
    kernel_sizes: tuple[int, ...] = (3, 3)
    normalize_identity: bool = False
    share_preactivation: bool | str = True
    cardinality: int = 1
    base_width: int = 64
    expansion: float = EXPANSION
    group_width: int | None = None
    first_reduction: int = 1
    spatial: str = "plain"
    branches: int = 2
    attention: str = "squeeze_excite"
    se_ratio: float = 0.0
    se_divisor: int = 1
    drop_path_rate: float = 0.0
    shake_drop: bool = False
    shake_shake: bool = False
    reversible: bool = False
    stage_strides: tuple[int, ...] | None = None
    zero_init_residual: bool = False
    conv_bias: bool = False
    final_layer: str | int = "norm"
    execution: str = "auto"

    def __post_init__(self) -> None:
        depths = _checks.integers("depths", self.depths)
        widths = self.widths
        if widths is None:
            widths = tuple(64 * 2**stage for stage in range(len(depths)))
        object.__setattr__(self, "depths", depths)
        object.__setattr__(self, "widths", widths)

    def body(self, dtype: Any, data_format: str) -> Body:
        """Returns the layers in order: stem, stages, and the last activation if pre-activated."""
        self._check()
        shared = self.layer_options(dtype, data_format)
        preactivated = self.activation_order == "pre"
        # The first unit begins with a normalization or an activation of its own.
        bare = self.activation_order in ("pyramid", "leading")
        stem_options = {**shared, "activation": None} if bare else shared
        # The first block of a reversible network takes a normalized and activated input.
        layers = self.stem_layers(
            preactivated and not self.reversible, stem_options, conv_bias=self.conv_bias
        )
        features = {} if self.stem == "none" else {"C1": 0}
        strides, dilation = layers[0].total_strides * 2 ** (len(layers) - 1), 1
        stem_strides = strides
        limit = self.largest_stride(strides, self.stage_strides_or_default())
        levels = self._level_shortcuts(shared)
        for stage, stride in enumerate(self.stage_strides_or_default()):
            before = dilation
            if strides * stride > limit:
                dilation, stride = dilation * stride, 1
            strides *= stride
            last = levels.last_block(stage)
            layers.append(self._stage(stage, stride, before, dilation, shared, last))
            layers += levels.after(stage, layers[-1], stride)
            features[f"C{stage + 2}"] = len(layers) - 1
        final = self._final_layer(dtype, data_format, shared)
        if final is not None:
            layers.append(final)
            features[f"C{len(self.depths) + 1}"] = len(layers) - 1
        return Body(layers, features, strides, levels.skips, stem_strides)

    def _level_shortcuts(self, shared):
        order = self.activation_order
        return LevelShortcuts(self.shortcut_levels, len(self.depths), order, shared, self.conv_bias)

    def _final_layer(self, dtype, data_format, shared):
        """Returns the layer between the last stage and the head, or `None`."""
        leading = self.activation_order == "leading" and self.final_layer == "norm"
        if self.final_layer == "activation" or leading:
            activation = checked_activation(self.activation)
            return keras.layers.Activation(activation, dtype=dtype, name="final_activation")
        if self.final_layer == "norm":
            if self.activation_order not in ("pre", "pyramid"):
                return None
            return NormActivation(name="final_norm", **self.norm_options(dtype, data_format))
        if isinstance(self.final_layer, str):
            _checks.choice("final_layer", self.final_layer, ("norm", "activation"))
        width = _checks.integer("final_layer", self.final_layer)
        return ConvNorm(width, 1, name="final_conv", **shared)

    def _check(self):
        _checks.choice("block", self.block, ("basic", "bottleneck"))
        self._check_stages()
        self._check_block()
        zero = _checks.boolean("zero_init_residual", self.zero_init_residual)
        if zero and _checks.choice("shortcut", self.shortcut, SHORTCUTS) == "none":
            raise ValueError(
                "`zero_init_residual` needs shortcuts: blocks that start at zero would pass on "
                f"nothing. Received: zero_init_residual={self.zero_init_residual!r}, "
                'shortcut="none"'
            )
        _checks.choice("strided_block", self.strided_block, ("first", "last"))
        _checks.choice("share_preactivation", self.share_preactivation, (False, True, "all"))
        order = _checks.choice("activation_order", self.activation_order, ORDERS)
        _checks.effective(
            "conv_bias",
            _checks.boolean("conv_bias", self.conv_bias),
            False,
            order == "pre",
            'activation_order="pre"',
            activation_order=order,
        )
        # The next block takes what was normalized.
        levels, needs = self.shortcut_levels, 'another `activation_order` than "outer"'
        _checks.effective(
            "shortcut_levels", levels, 1, order != "outer", needs, activation_order=order
        )
        _checks.real("drop_path_rate", self.drop_path_rate, 0.0, 1.0, open_end=True)

    def _check_stages(self):
        widths, depths = _checks.integers("widths", self.widths), self.depths
        if len(depths) != len(widths):
            raise ValueError(
                "`depths` and `widths` must have one entry for each stage. "
                f"Received: depths={self.depths!r}, widths={self.widths!r}"
            )
        if self.stage_strides is not None:
            strides = _checks.integers("stage_strides", self.stage_strides)
            if len(strides) != len(depths):
                raise ValueError(
                    f"`stage_strides` must have one entry for each of the {len(depths)} stages. "
                    f"Received: stage_strides={self.stage_strides!r}"
                )

    def _check_block(self):
        for name, default in OF_BOTTLENECKS.items():
            if self.block == "basic" and getattr(self, name) != default:
                raise ValueError(
                    f'`{name}` needs block="bottleneck". '
                    f'Received: block="basic", {name}={getattr(self, name)!r}'
                )
        kernel_sizes = _checks.integers("kernel_sizes", self.kernel_sizes)
        if self.block == "bottleneck" and kernel_sizes != (3, 3):
            raise ValueError(
                '`kernel_sizes` needs block="basic". '
                f'Received: block="bottleneck", kernel_sizes={self.kernel_sizes!r}'
            )

    def stage_strides_or_default(self) -> tuple[int, ...]:
        """Returns the strides of each stage."""
        if self.stage_strides is not None:
            return tuple(self.stage_strides)
        rest = (2,) * (len(self.depths) - 1)
        return (1, *rest) if self.strided_block == "first" else (*rest, 1)

    def _block(self, width, dilation_rate, shared):
        options = {name: getattr(self, name) for name in BLOCK_OPTIONS}
        options["share_preactivation"] = self.share_preactivation == "all"
        options |= {"dilation_rate": dilation_rate, **shared}
        if self.block == "basic":
            return ResidualBlock(width, self.kernel_sizes, **options)
        options |= {name: getattr(self, name) for name in OF_BOTTLENECKS}
        expansion = _checks.real("expansion", self.expansion, 0.0, 64.0, open_start=True)
        return BottleneckBlock(_checks.integer("widths", int(width * expansion)), **options)

    def _stage(self, stage, stride, dilation_before, dilation, shared, last):
        # Convolutions before the one that would be strided still see the denser grid.
        step = {"strides": stride}
        if dilation != dilation_before:
            step = {"dilation_rate": dilation, "first_dilation_rate": dilation_before}
        first = {}
        if stage == 0 and self.activation_order == "pre":
            first["share_preactivation"] = self.share_preactivation is not False
        if self.strided_block == "first":
            first.update(step)
        elif step != {"strides": 1}:
            last = {**last, **step, "shortcut": "none" if self.shortcut == "none" else "pad"}
        inner = dilation if self.strided_block == "first" else dilation_before
        return ResidualStage(
            self._block(self.widths[stage], inner, shared),
            self.depths[stage],
            first=first,
            last=last,
            drop_path_rates=drop_path_rates(self.drop_path_rate, self.depths, stage),
            execution=self.execution,
            rematerialize=self.rematerialize,
            name=f"stage{stage + 1}",
        )


def drop_path_rates(last: float, depths: tuple[int, ...], stage: int) -> list[float]:
    """Returns the rates of a stage's blocks; they grow linearly from 0 to that of the last."""
    start, total = sum(depths[:stage]), sum(depths)
    if total == 1:
        return [last]
    return [last / (total - 1) * (start + index) for index in range(depths[stage])]
