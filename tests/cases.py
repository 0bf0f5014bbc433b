"""Every public layer and model once: the arguments of a tiny one, and its input."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from keras_residual import layers, models
from keras_residual.layers.residual_stage import SCANNED_FROM
from keras_residual.models._keyword_architecture import BCResNetArchitecture, KeywordArchitecture
from keras_residual.models.densenet import DenseNetArchitecture
from keras_residual.models.dual_path import DualPathArchitecture
from keras_residual.models.fractal import FractalArchitecture
from keras_residual.models.highway import HighwayArchitecture
from keras_residual.models.registry import BUILDERS, find_variant
from keras_residual.models.video import VideoResNetArchitecture

# A valid value of every argument that differs from its default, for `get_config`.
BLOCK_OPTIONS = {
    "normalization": "group",
    "activation": "elu",
    "norm_momentum": 0.8,
    "norm_epsilon": 1e-3,
    "kernel_initializer": "glorot_uniform",
    "kernel_regularizer": "l2",
    "weight_standardization": True,
    "data_format": "channels_first",
}
UNIT_OPTIONS = {
    "filters": 8,
    "strides": 2,
    "activation_order": "pre",
    "shortcut": "pad",
    "share_preactivation": True,
    "se_ratio": 0.5,
    "se_divisor": 2,
    "drop_path_rate": 0.1,
    "dropout_rate": 0.2,
    "blur_pool": True,
    "zero_init_residual": True,
    "residual_scale": 0.1,
    "conv_bias": True,
    "attention": "inner_squeeze_excite",
    **BLOCK_OPTIONS,
}
# Those that have no effect beside the ones above.
MORE_FORMS = (
    {"shake_shake": True, "activation_order": "leading", "shortcut": "shifted"},
    {"reversible": True, "activation_order": "pre"},
)
MORE_UNIT_OPTIONS = {
    "strides": 1,
    "dilation_rate": 2,
    "first_dilation_rate": 3,
    "normalize_identity": True,
}


@dataclass(frozen=True)
class LayerCase:
    """A public layer.

    Attributes:
        name: Its name in `keras_residual.layers`.
        arguments: Arguments of the tiny layer that computes.
        shape: Shape of a channels-last input, with the batch.
        settings: One or more sets of arguments that together change every one from its default.
        variant: What sets the case apart from others of the same layer.
        random: Whether a training call draws random numbers.
        spatial: Whether the layer has a `data_format`.
        planar: Whether it takes two spatial axes only.
        make_with: Turns overriding arguments into a layer, where that is not a plain call.
    """

    name: str
    arguments: dict
    shape: tuple[int, ...]
    settings: tuple[dict, ...] = ()
    variant: str = ""
    random: bool = False
    spatial: bool = True
    planar: bool = False
    make_with: Callable | None = field(default=None, repr=False)

    @property
    def id(self):
        return f"{self.name}[{self.variant}]" if self.variant else self.name

    @property
    def layer_class(self):
        return getattr(layers, self.name)

    def make(self, **overrides):
        arguments = {**self.arguments, **overrides}
        if self.make_with is not None:
            return self.make_with(**arguments)
        return self.layer_class(**arguments)

    def all_settings(self):
        return [{**self.arguments, **setting} for setting in self.settings]


def _stage(dtype=None, data_format=None, **arguments):
    """The blocks of a stage carry its dtype and data format."""
    options = arguments.pop("options", {})
    pattern = layers.ResidualBlock(4, dtype=dtype, data_format=data_format, **options)
    return layers.ResidualStage(arguments.pop("block", pattern), **arguments)


# Of all stacks of recurrent layers: those of the cells, and those of the stack.
_CELL_OPTIONS = {
    "activation": "elu",
    "recurrent_activation": "hard_sigmoid",
    "kernel_initializer": "ones",
    "recurrent_initializer": "ones",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "recurrent_regularizer": "l2",
    "bias_regularizer": "l2",
    "kernel_constraint": "non_neg",
    "recurrent_constraint": "non_neg",
    "bias_constraint": "non_neg",
}
_STACK_OPTIONS = (
    {"units": 5, "num_layers": 4, "first_residual": 0, "residual_projection": True},
    {"seed": 3, "dropout": 0.1, "recurrent_dropout": 0.2, "stateful": True, "unroll": True},
    {"activity_regularizer": "l2", "go_backwards": True, "return_sequences": False},
    {"return_state": True, "bidirectional_bottom": True},
)
_STAGE = {"depth": 4, "first": {"strides": 2}}
_PRE_STAGE = {**_STAGE, "options": {"activation_order": "pre"}}

_BLOCKS = {
    "reversible": {"filters": 8, "strides": 2, "activation_order": "pre", "reversible": True},
    "leading": {"filters": 6, "strides": 2, "activation_order": "leading", "shortcut": "shifted"},
    "pre": {"filters": 6, "strides": 2, "activation_order": "pre", "shortcut": "pooled"},
    "two streams": {"filters": 6, "strides": 2, "activation_order": "outer", "shortcut": "half"}
    | {"kernel_sizes": (3,)},
    "pyramid": {
        "filters": 6,
        "strides": 2,
        "activation_order": "pyramid",
        "shortcut": "pooled_pad",
    },
    "inner": {
        "filters": 4,
        "activation_order": "inner",
        "activation": "prelu",
        "residual_scale": 0.1,
    },
}
_RANDOM_BLOCKS = {
    "shaken": {"filters": 4, "activation_order": "leading", "shake_shake": True},
    "dropping": {"filters": 4, "drop_path_rate": 0.5, "dropout_rate": 0.5},
}
LAYERS = [
    LayerCase(
        "BatchNorm",
        {},
        (4, 3, 3, 5),
        settings=({"axis": 1, "momentum": 0.5, "epsilon": 0.1, "center": False, "scale": False},),
        spatial=False,
    ),
    LayerCase(
        "BlurPool",
        {},
        (2, 5, 6, 3),
        settings=({"strides": 3, "kernel_size": 5, "data_format": "channels_first"},),
    ),
    LayerCase(
        "BottleneckBlock",
        {"filters": 8, "cardinality": 2, "strides": 2},
        (2, 5, 6, 4),
        settings=(
            MORE_UNIT_OPTIONS,
            {**UNIT_OPTIONS, "filters": 16, "cardinality": 4, "base_width": 32},
            {"strided_conv": "conv1", "filters": 16, "cardinality": 1, "first_reduction": 2},
            {"expansion": 1, "group_width": 4, "cardinality": 1},
            {"spatial": "multi_scale", "branches": 4, "shake_drop": True},
            *MORE_FORMS,
        ),
    ),
    LayerCase(
        "BottleneckBlock",
        {"filters": 16, "strides": 2, "spatial": "multi_scale"},
        (2, 5, 6, 4),
        variant="multi_scale",
    ),
    LayerCase(
        "BottleneckBlock",
        {"filters": 8, "activation_order": "pre", "se_ratio": 0.5, "shortcut": "identity"}
        | {"attention": "inner_squeeze_excite", "expansion": 0.5},
        (2, 5, 6, 8),
        variant="inverted",
    ),
    LayerCase(
        "BottleneckBlock",
        {"filters": 8, "activation_order": "pre", "se_ratio": 0.5},
        (2, 5, 6, 8),
        variant="pre",
    ),
    LayerCase(
        "BroadcastedResidualBlock",
        {"filters": 6, "strides": 2, "dilation_rate": 2, "sub_bands": 2, "dropout_rate": 0.0},
        (2, 5, 8, 4),
        settings=(
            {**BLOCK_OPTIONS, "filters": 8, "strides": 1, "dilation_rate": 1, "sub_bands": 5},
            {"dropout_rate": 0.1},
        ),
        planar=True,
    ),
    LayerCase(
        "BroadcastedResidualBlock",
        {"filters": 4, "sub_bands": 2, "dropout_rate": 0.5},
        (4, 5, 4, 4),
        variant="dropping",
        random=True,
    ),
    LayerCase(
        "ConvNorm",
        {"filters": 4, "strides": 2},
        (2, 5, 6, 3),
        settings=(
            {**BLOCK_OPTIONS, "filters": 8, "groups": 2, "use_bias": True, "zero_gamma": True},
            {"kernel_size": 5, "strides": 1, "dilation_rate": 2, "blur_pool": True},
            {"space_to_depth": True, "kernel_size": 7, "strides": 2},
        ),
    ),
    LayerCase(
        "ConvNorm",
        {"filters": 4, "normalization": "evonorm", "activation": None}
        | {"weight_standardization": True, "strides": 2, "blur_pool": "average3_before"},
        (2, 5, 6, 3),
        variant="evonorm",
    ),
    LayerCase(
        "ConvNorm",
        {"filters": 4, "activation": "prelu"},
        (2, 5, 6, 3),
        variant="prelu",
    ),
    LayerCase(
        "Convolution",
        {"filters": 4, "strides": 2, "groups": 2, "use_bias": True},
        (2, 5, 6, 4),
        settings=(
            {"kernel_initializer": "ones", "kernel_regularizer": "l1", "use_bias": False},
            {"weight_standardization": True},
            {"filters": 8, "kernel_size": (3, 5), "strides": 1, "dilation_rate": 2, "groups": 1},
            {"groups": 1, "space_to_depth": True, "data_format": "channels_first"},
            {"lora_rank": 2, "lora_alpha": 4.0, "bias_initializer": "ones"},
        ),
    ),
    LayerCase(
        "DenseBlock",
        {"depth": 3, "growth_rate": 3, "bottleneck": 2},
        (2, 5, 6, 4),
        settings=(
            {**BLOCK_OPTIONS, "depth": 2, "growth_rate": 4, "bottleneck": 0},
            {"dropout_rate": 0.5, "dilation_rate": 2, "rematerialize": True},
        ),
    ),
    LayerCase(
        "DenseBlock",
        {"depth": 3, "growth_rate": 3, "bottleneck": 2, "rematerialize": True},
        (2, 5, 6, 4),
        variant="rematerialized",
    ),
    LayerCase(
        "DenseTransition",
        {},
        (2, 5, 6, 4),
        settings=({**BLOCK_OPTIONS, "compression": 0.75, "strides": 1, "blur_pool": True},),
    ),
    LayerCase(
        "DenseUnit",
        {"growth_rate": 3, "bottleneck": 2},
        (2, 5, 6, 4),
        settings=(
            {**BLOCK_OPTIONS, "growth_rate": 4, "bottleneck": 0, "dropout_rate": 0.5},
            {"dilation_rate": 2},
        ),
    ),
    LayerCase(
        "DualPathBlock",
        {"depth": 2, "filters": 4, "growth_rate": 2, "width": 4, "cardinality": 2, "strides": 2},
        (2, 5, 6, 3),
        settings=(
            {**BLOCK_OPTIONS, "split_last": True, "dropout_rate": 0.5, "blur_pool": True},
            {"depth": 1, "filters": 6, "growth_rate": 3, "width": 6, "cardinality": 1},
            {"strides": 1, "dilation_rate": 2, "first_dilation_rate": 3, "rematerialize": True},
        ),
    ),
    LayerCase(
        "DualPathBlock",
        {"depth": 2, "filters": 4, "growth_rate": 2, "width": 4}
        | {"split_last": True, "rematerialize": True},
        (2, 5, 6, 3),
        variant="rematerialized",
    ),
    LayerCase(
        "DualPathUnit",
        {"filters": 4, "growth_rate": 2, "width": 4, "cardinality": 2},
        (2, 5, 6, 7),
        settings=(
            {**BLOCK_OPTIONS, "projection": True, "strides": 2, "blur_pool": True},
            {"filters": 5, "growth_rate": 3, "width": 6, "cardinality": 1, "split_last": True},
            {"dilation_rate": 2, "dropout_rate": 0.5},
        ),
    ),
    LayerCase(
        "EfficientChannelAttention",
        {},
        (2, 5, 6, 8),
        settings=(
            {"kernel_initializer": "ones", "kernel_regularizer": "l2"},
            {"data_format": "channels_first"},
        ),
    ),
    LayerCase(
        "FactorizedBlock",
        {"filters": 6, "strides": 2},
        (2, 3, 4, 4, 4),
        settings=(
            {k: v for k, v in UNIT_OPTIONS.items() if k != "blur_pool"} | {"inner_filters": 5},
            MORE_UNIT_OPTIONS,
            {"shake_drop": True, "activation_order": "pyramid", "shortcut": "pooled_pad"},
            *MORE_FORMS,
        ),
    ),
    LayerCase(
        "FractalBlock",
        {"filters": 4, "columns": 2},
        (2, 5, 6, 3),
        settings=(
            {**BLOCK_OPTIONS, "filters": 8, "columns": 3, "drop_path_rate": 0.1},
            {"strides": 1, "dilation_rate": 2, "dropout_rate": 0.5, "rematerialize": True},
            {"global_drop_path": 0.5, "column_seed": 3},
        ),
    ),
    LayerCase(
        "FractalBlock",
        {"filters": 4, "drop_path_rate": 0.3, "dropout_rate": 0.2, "rematerialize": True}
        | {"global_drop_path": 0.5},
        (4, 5, 6, 3),
        variant="dropping",
        random=True,
    ),
    LayerCase(
        "Highway",
        {},
        (2, 3, 5),
        settings=(
            {"activation": "elu", "transform_bias": -3.0, "kernel_initializer": "he_normal"},
            {"kernel_regularizer": "l2"},
        ),
        spatial=False,
    ),
    LayerCase(
        "HighwayBlock",
        {},
        (2, 5, 6, 4),
        settings=({**BLOCK_OPTIONS, "kernel_size": 5, "dilation_rate": 2, "transform_bias": -1.0},),
    ),
    LayerCase(
        "HighwayStage",
        {"filters": 4, "depth": 3, "normalization": "batch"},
        (2, 5, 6, 3),
        settings=(
            {**BLOCK_OPTIONS, "filters": 8, "depth": 2, "kernel_size": 5, "transform_bias": -1.0},
            {"strides": 1, "dilation_rate": 2, "dropout_rate": 0.5, "rematerialize": True},
        ),
    ),
    LayerCase(
        "ImageNormalization",
        {},
        (2, 4, 4, 3),
        settings=(
            {"mean": (0.1, 0.2, 0.3), "std": (1.0, 2.0, 3.0), "divisor": 1.0, "channels": "bgr"},
            {"data_format": "channels_first"},
        ),
    ),
    LayerCase(
        "KeywordBlock",
        {"filters": 4, "dilation_rates": (1, 2)},
        (2, 5, 6, 4),
        settings=(
            {**BLOCK_OPTIONS, "filters": 8, "dilation_rates": (2, 2), "normalize_input": False},
        ),
    ),
    LayerCase(
        "LogMelSpectrogram",
        {"sampling_rate": 800, "num_mel_bins": 6, "sequence_length": 42, "sequence_stride": 16}
        # The tests' ramps have hardly any power in most bands: its logarithm would be noise.
        | {"fft_length": 64, "offset": 1e-2},
        (2, 100, 1),
        settings=(
            {"sampling_rate": 1600, "num_mel_bins": 8, "sequence_length": 40, "norm": "slaney"},
            {"sequence_stride": 10, "fft_length": 80, "min_freq": 20.0, "max_freq": 300.0},
            {"mel_scale": "slaney", "offset": 2e-2, "num_coefficients": 4, "padding": "zeros"},
        ),
        spatial=False,
    ),
    LayerCase(
        "MultiScaleConvolution",
        {"filters": 8, "branches": 4},
        (2, 5, 6, 8),
        settings=(
            {**BLOCK_OPTIONS, "filters": 16, "branches": 2, "groups": 2},
            {"cascade": False, "strides": 2, "blur_pool": True},
            {"dilation_rate": 2},
        ),
    ),
    LayerCase(
        "MultiScaleConvolution",
        {"filters": 8, "branches": 4, "cascade": False, "strides": 2},
        (2, 5, 6, 4),
        variant="alone",
    ),
    LayerCase(
        "NormActivation",
        {},
        (2, 5, 6, 4),
        settings=(
            {k: v for k, v in BLOCK_OPTIONS.items() if not k.startswith(("kernel", "weight"))}
            | {"affine": False},
        ),
    ),
    LayerCase(
        "PixelShuffle",
        {},
        (2, 3, 4, 8),
        settings=({"scale": 3, "data_format": "channels_first"},),
    ),
    LayerCase(
        "ResidualBlock",
        {"filters": 6, "strides": 2},
        (2, 5, 6, 4),
        settings=(
            {**UNIT_OPTIONS, "kernel_sizes": (5, 3, 3)},
            MORE_UNIT_OPTIONS,
            {"spatial": "selective", "branches": 3, "se_ratio": 0.5},
            {"shake_drop": True, "activation_order": "pyramid", "shortcut": "pooled_pad"},
            *MORE_FORMS,
        ),
    ),
    *(
        LayerCase("ResidualBlock", options, (2, 5, 6, 4), variant=variant)
        for variant, options in _BLOCKS.items()
    ),
    *(
        LayerCase("ResidualBlock", options, (4, 5, 6, 4), variant=variant, random=True)
        for variant, options in _RANDOM_BLOCKS.items()
    ),
    LayerCase(
        "ResidualGRU",
        {"units": 4, "num_layers": 2, "return_sequences": True},
        (2, 5, 4),
        settings=(
            {"reset_after": False, "use_bias": False, **_CELL_OPTIONS},
            *_STACK_OPTIONS,
        ),
        spatial=False,
    ),
    LayerCase(
        "RecurrentHighway",
        {"units": 4, "num_layers": 2, "return_sequences": True},
        (2, 5, 4),
        settings=(
            {"recurrence_depth": 2, "coupled": False, "transform_bias": -1.0, **_CELL_OPTIONS},
            {"use_bias": False},
            *_STACK_OPTIONS,
        ),
        spatial=False,
    ),
    LayerCase(
        "HighwayLSTM",
        {"units": 4, "return_sequences": True},
        (2, 5, 4),
        settings=(
            {"depth_bias": -1.0, "use_bias": False, "unit_forget_bias": False, **_CELL_OPTIONS},
            *({k: v for k, v in s.items() if k != "bidirectional_bottom"} for s in _STACK_OPTIONS),
        ),
        spatial=False,
    ),
    LayerCase(
        "ResidualLSTM",
        {"units": 4, "num_layers": 3, "return_sequences": True},
        (2, 5, 4),
        settings=(
            {"units": 5, "num_layers": 2, "first_residual": 0, "residual_projection": True},
            {"implementation": "wavefront", "rematerialize": True, "seed": 3, "dropout": 0.1},
            {"activation": "elu", "recurrent_activation": "hard_sigmoid", "use_bias": False},
            {"kernel_initializer": "ones", "recurrent_initializer": "ones", "stateful": True},
            {"bias_initializer": "ones", "unit_forget_bias": False, "recurrent_dropout": 0.2},
            {"kernel_regularizer": "l2", "recurrent_regularizer": "l2", "bias_regularizer": "l2"},
            {"activity_regularizer": "l2", "kernel_constraint": "non_neg", "go_backwards": True},
            {"recurrent_constraint": "non_neg", "bias_constraint": "non_neg", "unroll": True},
            {"return_sequences": False, "return_state": True, "bidirectional_bottom": True},
        ),
        spatial=False,
    ),
    LayerCase(
        "ResidualStage",
        {**_STAGE, "execution": "unrolled"},
        (2, 5, 6, 3),
        settings=(
            {"depth": 3, "first": {"strides": 3}, "last": {"strides": 2, "shortcut": "pad"}},
            {"block": layers.BottleneckBlock(16), "execution": "scanned", "rematerialize": True},
            {"drop_path_rates": (0.0, 0.1, 0.2, 0.3)},
        ),
        make_with=_stage,
    ),
    LayerCase(
        "ResidualStage",
        {**_PRE_STAGE, "execution": "scanned"},
        (2, 5, 6, 3),
        variant="scanned",
        make_with=_stage,
    ),
    LayerCase(
        "ResidualStage",
        {**_PRE_STAGE, "execution": "scanned", "rematerialize": True},
        (2, 5, 6, 3),
        variant="scanned, rematerialized",
        make_with=_stage,
    ),
    LayerCase(
        "ResidualStage",
        {**_STAGE, "options": {"activation_order": "pre", "reversible": True}}
        | {"rematerialize": True},
        (2, 5, 6, 2),
        variant="reversible",
        make_with=_stage,
    ),
    LayerCase(
        "SelectiveKernel",
        {"filters": 8, "strides": 2, "ratio": 0.5, "split_input": True},
        (2, 5, 6, 4),
        settings=(
            {**BLOCK_OPTIONS, "filters": 16, "groups": 2, "branches": 3, "split_input": False},
            {"strides": 1, "dilation_rate": 2, "divisor": 2, "blur_pool": "average"},
            {"ratio": 0.25},
        ),
    ),
    LayerCase(
        "ShakeDrop",
        {"rate": 0.5},
        (4, 3, 3, 2),
        settings=({"rate": 0.25, "seed": 3},),
        random=True,
        spatial=False,
    ),
    LayerCase(
        "ShakeShake",
        {},
        (4, 3, 3, 2),
        settings=({"seed": 3},),
        spatial=False,
    ),
    LayerCase(
        "Shortcut",
        {"filters": 6, "strides": 2},
        (2, 5, 6, 4),
        settings=(
            {**BLOCK_OPTIONS, "filters": 8, "kind": "pad", "blur_pool": True},
            {"normalize_identity": True, "strides": 3, "use_bias": True},
        ),
    ),
    LayerCase(
        "SplitAttention",
        {"filters": 8, "strides": 2, "groups": 2},
        (2, 5, 6, 4),
        settings=(
            {**BLOCK_OPTIONS, "filters": 16, "groups": 1, "branches": 3},
            {"strides": 1, "dilation_rate": 2, "blur_pool": "average3", "ratio": 0.5},
        ),
    ),
    LayerCase(
        "SqueezeExcite",
        {"ratio": 0.5},
        (2, 5, 6, 4),
        settings=(
            {"ratio": 0.25, "divisor": 2, "activation": "elu", "gate_activation": "hard_sigmoid"},
            {"kernel_initializer": "ones", "kernel_regularizer": "l2", "width": 3},
            {"data_format": "channels_first"},
        ),
    ),
    LayerCase(
        "Stem",
        {"filters": 4},
        (2, 9, 8, 3),
        settings=(
            {**BLOCK_OPTIONS, "filters": 8, "kind": "deep", "pool_padding": "zero"},
            {"pool": False},
            {"preactivated": True, "space_to_depth": True, "blur_pool": True, "conv_bias": True},
        ),
    ),
    LayerCase(
        "StochasticDepth",
        {"rate": 0.5},
        (4, 3, 3, 2),
        settings=({"rate": 0.25, "seed": 3},),
        random=True,
        spatial=False,
    ),
    LayerCase(
        "SubSpectralNormalization",
        {"sub_bands": 3},
        (2, 4, 6, 3),
        settings=(
            {"sub_bands": 2, "momentum": 0.5, "epsilon": 0.1, "center": False},
            {"scale": False, "data_format": "channels_first"},
        ),
        planar=True,
    ),
]
LAYERS = [case for case in LAYERS if case.name in layers.__all__]
# Public in `layers` without being layers; `tests/layers` has what they promise.
INITIALIZERS = ("ICNR",)


@dataclass(frozen=True)
class ModelCase:
    """A public model.

    Attributes:
        name: Its name in `keras_residual`.
        options: Options that make it tiny and keep what sets it apart.
        shape: Input shape of the tiny model, without the batch.
    """

    name: str
    options: dict
    shape: tuple[int, ...] = (32, 32, 3)

    def make(self, **overrides):
        arguments = {"input_shape": self.shape, "classes": 5, **self.options, **overrides}
        return getattr(models, self.name)(**arguments)


# Groups of 32 and more need widths of 16 to have a whole channel each.
_MOST_GROUPS = 16
# Options of single networks that the rule below does not make small.
_OPTIONS = {
    "DPN": {"depths": (1, 2), "growth_rates": (2, 3), "widths": (4, 4)}
    | {"base_width": 4, "cardinality": 2, "stem_width": 4},
    "FractalNet": {"widths": (4, 6), "columns": 2},
    "HighwayNet": {"widths": (4, 6), "depths": (2, 3), "final_width": 8},
    "DenseNet": {"depths": (2, 2, 1), "growth_rate": 4, "stem_width": 8, "stem": "conv3"},
    "VideoResNet": {"depths": (1, 1), "widths": (4, 6), "stem_width": 4},
    "ResNet": {"depths": (1, 2, 1, 1), "widths": (4, 4, 8, 8), "stem_width": 4},
    "ResNet1D": {"widths": (4, 6, 6)},
    "KeywordResNet": {"depth": 2, "width": 4},
    "BCResNet": {"depths": (1, 1, 1, 1), "width_factor": 0.25},
}
_SHAPES = {"ResNet1D": (20, 2), "VideoResNet": (4, 8, 8, 3)}
_CLIP = (8, 16, 16, 3)
# A tenth of a second at a low rate; most bands of the tests' ramps are rounding errors.
_TINY_SOUND = {"sampling_rate": 2000, "frame_length": 0.1, "log_offset": 1e-2}
_SOUND_SHAPE = (240,)


def tiny_options(architecture) -> dict:
    """Returns options that make a network tiny but keep what distinguishes it."""
    if isinstance(architecture, BCResNetArchitecture):
        factor = max(0.25, architecture.width_factor / 8)
        return _TINY_SOUND | {"width_factor": factor, "depths": (1,) * 4}
    if isinstance(architecture, KeywordArchitecture):
        depth = 2 + architecture.depth % 2
        return _TINY_SOUND | {"depth": depth, "width": architecture.width // 9}
    if getattr(architecture, "activation_order", None) == "pyramid":
        widths = (4, 5, 6, 7, 8, 9)
        strides = (1, 1, 2, 1, 2, 1)
        return {"depths": (1,) * 6, "widths": widths, "stem_width": 4, "stage_strides": strides}
    if isinstance(architecture, FractalArchitecture):
        return {"widths": (4, 6, 6)}
    if isinstance(architecture, HighwayArchitecture):
        return {"widths": (4, 6, 6), "depths": (2, 1, 2), "final_width": 8}
    stages = len(architecture.depths)
    if isinstance(architecture, VideoResNetArchitecture):
        return {"depths": (1,) * stages, "widths": (4, 4, 6, 8), "stem_width": 4}
    if isinstance(architecture, DenseNetArchitecture):
        depths = (2, 2, *(1,) * (stages - 2))
        return {"depths": depths, "growth_rate": 4, "stem_width": 8}
    if isinstance(architecture, DualPathArchitecture):
        sizes = {"growth_rates": (2, 3, 2, 2), "widths": (4, 4, 8, 8), "base_width": 4}
        return {"depths": (1, 2, 1, 1), "cardinality": 2, "stem_width": 4, **sizes}
    options = {"depths": (1, 2, *(1,) * (stages - 2)), "stem_width": 4}
    if max(architecture.depths) > SCANNED_FROM and stages == 3:
        options |= {"depths": (2, 3, 1), "execution": "scanned"}
    widths = (4, 6, 8) if stages == 3 or architecture.block == "basic" else (4, 4, 8, 8)
    options["widths"] = (*widths, 10)[:stages]
    if architecture.cardinality >= _MOST_GROUPS:
        options["widths"] = (16 * architecture.first_reduction,) * stages
    if architecture.cardinality > 1 and stages == 3:
        options |= {"cardinality": 2, "widths": widths[:stages]}
    if architecture.group_width:
        options |= {"widths": (8, 8, 16, 16), "group_width": 4}
    if architecture.expansion != 4 or architecture.spatial == "multi_scale":
        options["widths"] = (16, 16, 32, 32)
    if architecture.spatial == "split" and architecture.cardinality > 1:
        options["widths"] = (32,) * stages
    if isinstance(architecture.final_layer, int):
        options["final_layer"] = 16
    return options


def _case(name: str) -> ModelCase:
    variant = find_variant(name)
    options = _OPTIONS.get(name) or tiny_options(variant.architecture)
    if isinstance(variant.architecture, KeywordArchitecture):
        return ModelCase(name, options, _SOUND_SHAPE)
    stages = len(getattr(variant.architecture, "depths", ()))
    shape = (32, 32, 3) if stages == 4 else (8, 8, 3)
    shape = _CLIP if len(variant.input_shape) == 4 else shape
    return ModelCase(name, options, _SHAPES.get(name, shape))


BUILDERS_OF_CLASSIFIERS = ("DPN", "DenseNet", "FractalNet", "HighwayNet", "ResNet", "VideoResNet")
BUILDERS_OF_KEYWORDS = ("BCResNet", "KeywordResNet")
MODELS = [
    *(
        ModelCase(name, _OPTIONS[name], _SHAPES.get(name, (32, 32, 3)))
        for name in BUILDERS_OF_CLASSIFIERS
    ),
    *(ModelCase(name, _OPTIONS[name] | _TINY_SOUND, _SOUND_SHAPE) for name in BUILDERS_OF_KEYWORDS),
    *(_case(name) for name in models.list_models(kind="classifier")),
]


def _different(cases: list[ModelCase]) -> list[ModelCase]:
    """Returns one case of each group of names with the same tiny network."""
    seen = {}
    for case in cases:
        architecture = ()
        if case.name not in BUILDERS:
            architecture = replace(find_variant(case.name).architecture, **case.options)
        seen.setdefault((repr(architecture), case.shape), case)
    return list(seen.values())


DIFFERENT = _different(MODELS)
# Without keras.applications' signature; `tests/models` has what they promise.
SEQUENCE_MODELS = (
    "GNMT",
    "ResidualLSTMClassifier",
    "ResidualLSTMSegmentClassifier",
    "ResidualLSTMTagger",
    "ResidualLSTMTranscriber",
)
# From images to larger images.
SUPER_RESOLUTION_MODELS = ("EDSR", "EDSRLarge", "SRResNet", "VDSR")
FUNCTIONS = (
    "flat_view",
    "get_model",
    "list_models",
    "model_for",
    "pretrained_classifier",
    *SEQUENCE_MODELS,
    *SUPER_RESOLUTION_MODELS,
)
_TINY_LSTM = {"classes": 3, "units": 4, "num_layers": 3}
_TINY_IMAGES = {"scale": 2, "filters": 4, "input_shape": (6, 6, 3)}
# Tiny members of the models that are not called as those of `MODELS`.
OTHER_MODELS = {
    "GNMT": lambda: models.GNMT(7, 9, units=4, num_layers=3),
    "ResidualLSTMClassifier": lambda: models.ResidualLSTMClassifier(
        (5, 2), first_residual=0, residual_projection=True, dropout=0.5, **_TINY_LSTM
    ),
    "ResidualLSTMSegmentClassifier": lambda: models.ResidualLSTMSegmentClassifier(
        (5, 2), bidirectional_bottom=True, **_TINY_LSTM
    ),
    "ResidualLSTMTagger": lambda: models.ResidualLSTMTagger(vocabulary_size=9, **_TINY_LSTM),
    "ResidualLSTMTranscriber": lambda: models.ResidualLSTMTranscriber(
        (5, 2), front="causal", **_TINY_LSTM
    ),
    "EDSR": lambda: models.EDSR(depth=3, **_TINY_IMAGES),
    "EDSRLarge": lambda: models.EDSRLarge(depth=2, **_TINY_IMAGES),
    "SRResNet": lambda: models.SRResNet(depth=3, **_TINY_IMAGES),
    "VDSR": lambda: models.VDSR(depth=8, **_TINY_IMAGES),
}
# One of each way to build, for what costs time.
FAMILIES = [
    case
    for case in MODELS
    if case.name
    in (
        "DenseNet121",
        "DenseNetBC100_12",
        "R2Plus1D18",
        "ResNeXt50_32x4d",
        "ResNet1D",
        "ResNet18",
        "ResNet18D",
        "ResNet20",
        "ResNet50V1",
        "ResNet50V2",
        "ResNet1001V2",
        "SEResNet50",
        "WideResNet28_10",
    )
]
# Further ways to build; what they are made of has layer cases of its own.
MORE_FAMILIES = [
    case
    for case in MODELS
    if case.name
    in (
        "BCResNet1",
        "BiTResNet50x1",
        "DPN68b",
        "MC3_18",
        "FractalNet20",
        "HighwayNet19",
        "RevNet38",
        "ShakeShake26_2x32d",
        "RegNetZ040H",
        "RoR3_110",
        "Res15Narrow",
        "Res2Net50_26w_4s",
        "ResNeSt50D",
        "ResNetRS50",
        "SKResNet18",
    )
]
# Families whose files for phones are tried too; the layer cases have the options that they add.
EXPORTED_TOO = [
    case
    for case in MODELS
    if case.name
    in (
        "ECAResNet50T",
        "PyramidNet110_48",
        "RegNetY004",
        "ResNet50V2DEvoS",
        "ResNetBlur50",
        "WideRiR18",
    )
]
# JAX compiles every shape that a model initializes: these stay within seconds.
QUICK_TO_COMPILE = ("DenseNetBC100_12", "ResNet1D", "ResNet20", "ResNet1001V2")
