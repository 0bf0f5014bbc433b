"""The options of the ResNet family and the layers that follow from them."""

from dataclasses import dataclass
from typing import ClassVar

from keras_residual import _checks
from keras_residual.layers import (
    BottleneckBlock,
    NormActivation,
    ResidualBlock,
    ResidualStage,
    Stem,
)
from keras_residual.layers.bottleneck_block import EXPANSION
from keras_residual.layers.residual_unit import ORDERS
from keras_residual.layers.shortcut import KINDS as SHORTCUTS
from keras_residual.layers.stem import KINDS as STEMS
from keras_residual.layers.stem import PADDINGS, POOLING
from keras_residual.models._requirements import SHARED, Requirement, downsampling
from keras_residual.models.assembly import Body


def check_stem(architecture):
    """Checks the options of the stem by their names here, which are not those of `layers.Stem`."""
    _checks.choice("stem", architecture.stem, STEMS)
    _checks.integer("stem_width", architecture.stem_width)
    pool = _checks.boolean("stem_pool", architecture.stem_pool)
    padding = _checks.choice("pool_padding", architecture.pool_padding, PADDINGS)
    blocks = _checks.boolean("space_to_depth", architecture.space_to_depth)
    stem = architecture.stem
    pools = pool and stem in POOLING
    _checks.effective(
        "pool_padding", padding, "minimum", pools, "max pooling", stem=stem, stem_pool=pool
    )
    _checks.effective("space_to_depth", blocks, False, stem == "conv7", 'stem="conv7"', stem=stem)


def _strided(options, _):
    return max(options.stage_strides_or_default()) > 1


def _normalizes_identity(options, _):
    normalizes = options.normalization not in ("none", "folded")
    return normalizes and options.activation_order != "pre" and options.shortcut != "none"


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
    Requirement("strided_conv", "strides in a stage", ("depths", "stage_strides"), _strided),
    Requirement("strided_block", "strides in a stage", ("depths", "stage_strides"), _strided),
    Requirement(
        "shortcut",
        "strides on the first block of a stage",
        ("strided_block", "depths", "stage_strides", "output_stride"),
        lambda options, body: options.shortcut != "pooled" or _averages(options, body),
    ),
)


@dataclass(frozen=True)
class ResNetArchitecture:
    """The options of a residual network; `ResNet` documents them."""

    requirements: ClassVar = REQUIREMENTS

    block: str = "bottleneck"
    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    stem: str = "conv7"
    stem_width: int = 64
    stem_pool: bool = True
    pool_padding: str = "minimum"
    space_to_depth: bool = False
    activation_order: str = "post"
    shortcut: str = "projection"
    strided_conv: str = "conv2"
    strided_block: str = "first"
    kernel_sizes: tuple[int, ...] = (3, 3)
    normalize_identity: bool = False
    share_preactivation: bool = True
    cardinality: int = 1
    base_width: int = 64
    se_ratio: float = 0.0
    se_divisor: int = 1
    drop_path_rate: float = 0.0
    dropout_rate: float = 0.0
    blur_pool: bool = False
    output_stride: int | None = None
    stage_strides: tuple[int, ...] | None = None
    zero_init_residual: bool = False
    conv_bias: bool = False
    normalization: str = "batch"
    activation: object = "relu"
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    kernel_initializer: object = None
    kernel_regularizer: object = None
    execution: str = "auto"
    rematerialize: bool = False

    def body(self, dtype, data_format: str) -> Body:
        """Returns the layers in order: stem, stages, and the last activation if pre-activated."""
        self._check()
        shared = {
            "normalization": self.normalization,
            "activation": self.activation,
            "norm_momentum": self.norm_momentum,
            "norm_epsilon": self.norm_epsilon,
            "dtype": dtype,
            "data_format": data_format,
        }
        stem = self._stem(shared)
        layers, features = [stem], {}
        strides, dilation = stem.total_strides, 1
        limit = self._checked_output_stride(strides)
        for stage, stride in enumerate(self.stage_strides_or_default()):
            before = dilation
            if strides * stride > limit:
                dilation, stride = dilation * stride, 1
            strides *= stride
            layers.append(self._stage(stage, stride, before, dilation, shared))
            features[f"C{stage + 2}"] = len(layers) - 1
        if self.activation_order == "pre":
            layers.append(NormActivation(name="final_norm", **shared))
            features[f"C{len(self.depths) + 1}"] = len(layers) - 1
        return Body(layers, features, strides)

    def _check(self):
        _checks.choice("block", self.block, ("basic", "bottleneck"))
        check_stem(self)
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
        _checks.boolean("share_preactivation", self.share_preactivation)
        order = _checks.choice("activation_order", self.activation_order, ORDERS)
        _checks.effective(
            "conv_bias",
            _checks.boolean("conv_bias", self.conv_bias),
            False,
            order == "pre",
            'activation_order="pre"',
            activation_order=order,
        )
        _checks.real("drop_path_rate", self.drop_path_rate, 0.0, 1.0, open_end=True)

    def _check_stages(self):
        depths = _checks.integers("depths", self.depths)
        widths = _checks.integers("widths", self.widths)
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
        if self.block == "basic" and (self.cardinality, self.base_width) != (1, 64):
            raise ValueError(
                '`cardinality` and `base_width` need block="bottleneck". Received: block="basic", '
                f"cardinality={self.cardinality!r}, base_width={self.base_width!r}"
            )
        if self.block == "basic" and self.strided_conv != "conv2":
            raise ValueError(
                '`strided_conv` needs block="bottleneck"; the first convolution of a basic block '
                f'takes the strides. Received: block="basic", strided_conv={self.strided_conv!r}'
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

    def _checked_output_stride(self, strides):
        reachable = [strides]
        for stride in self.stage_strides_or_default():
            reachable.append(reachable[-1] * stride)
        if self.output_stride is None:
            return reachable[-1]
        return _checks.choice("output_stride", self.output_stride, sorted(set(reachable)))

    def _stem(self, shared):
        return Stem(
            self.stem_width,
            self.stem,
            pool=self.stem_pool,
            pool_padding=self.pool_padding,
            preactivated=self.activation_order == "pre",
            space_to_depth=self.space_to_depth,
            blur_pool=self.blur_pool,
            conv_bias=self.conv_bias,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            name="stem",
            **shared,
        )

    def _block(self, width, dilation_rate, shared):
        options = {
            "dilation_rate": dilation_rate,
            "activation_order": self.activation_order,
            "shortcut": self.shortcut,
            "normalize_identity": self.normalize_identity,
            "se_ratio": self.se_ratio,
            "se_divisor": self.se_divisor,
            "dropout_rate": self.dropout_rate,
            "blur_pool": self.blur_pool,
            "zero_init_residual": self.zero_init_residual,
            "conv_bias": self.conv_bias,
            "kernel_initializer": self.kernel_initializer,
            "kernel_regularizer": self.kernel_regularizer,
            **shared,
        }
        if self.block == "basic":
            return ResidualBlock(width, self.kernel_sizes, **options)
        return BottleneckBlock(
            width * EXPANSION, self.cardinality, self.base_width, self.strided_conv, **options
        )

    def _stage(self, stage, stride, dilation_before, dilation, shared):
        # What comes before the place of the strides still sees the denser grid.
        step = {"strides": stride}
        if dilation != dilation_before:
            step = {"dilation_rate": dilation, "first_dilation_rate": dilation_before}
        first, last = {}, {}
        if stage == 0 and self.activation_order == "pre":
            first["share_preactivation"] = self.share_preactivation
        if self.strided_block == "first":
            first.update(step)
        elif step != {"strides": 1}:
            last = {**step, "shortcut": "none" if self.shortcut == "none" else "pad"}
        inner = dilation if self.strided_block == "first" else dilation_before
        return ResidualStage(
            self._block(self.widths[stage], inner, shared),
            self.depths[stage],
            first=first,
            last=last,
            drop_path_rates=self._drop_path_rates(stage),
            execution=self.execution,
            rematerialize=self.rematerialize,
            name=f"stage{stage + 1}",
        )

    def _drop_path_rates(self, stage):
        """The rate grows linearly over all blocks, from 0 to `drop_path_rate` of the last."""
        start, total = sum(self.depths[:stage]), sum(self.depths)
        if total == 1:
            return [self.drop_path_rate]
        step = self.drop_path_rate / (total - 1)
        return [step * (start + index) for index in range(self.depths[stage])]
