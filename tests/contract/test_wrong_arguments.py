"""A layer's constructor rejects wrong arguments by name, value and accepted values."""

import pytest
import wrong_values
from cases import LAYERS
from contract.test_layers import arguments_of

from keras_residual import layers

POSITIVE = (0, -1, 2.5, "8", True, None)
RATE = (-0.1, 1.0, "0.5", None, float("nan"), True)
FLAG = (1, "yes", None)
NAME = ("unheard_of", 3, None)
WRONG = {
    **wrong_values.of_blocks(POSITIVE, NAME),
    "filters": POSITIVE,
    "kernel_size": (0, -3, "3", (), (3, 0), None),
    "kernel_sizes": (3, "33", (), (3, -1), ((1, 0), 3), None),
    "strides": POSITIVE,
    "dilation_rate": POSITIVE,
    "first_dilation_rate": (0, 2.5, "8", True),
    "groups": POSITIVE,
    "depth": POSITIVE,
    "growth_rate": POSITIVE,
    "divisor": POSITIVE,
    "columns": POSITIVE,
    "scale": POSITIVE,
    "bottleneck": (-1, 1.5, "4", None),
    "ratio": (0.0, -0.5, 1.5, "half", None),
    "residual_scale": (-0.1, 1.5, "half", None),
    "compression": (0.0, -0.5, 1.5, "half", None),
    "rate": RATE,
    "drop_path_rate": RATE,
    "dropout_rate": RATE,
    "global_drop_path": (-0.1, 1.1, "half", None),
    "column_seed": ("a", 1.5, -1),
    "drop_path_rates": (0.5, (0.1,), (0.1, 0.2, 0.3, 1.0), ("a",) * 4),
    "norm_momentum": (-0.1, 1.1, "high", None),
    "norm_epsilon": (-1e-5, 2.0, "low", None),
    "normalization": NAME,
    "activation": ("unheard_of", 3),
    "gate_activation": ("unheard_of", 3),
    "kernel_initializer": ("unheard_of", 3),
    "kernel_regularizer": ("unheard_of", 3),
    "bias_initializer": ("unheard_of", 3),
    "transform_bias": ("low", None, float("nan")),
    "data_format": ("NHWC", 3),
    "kind": NAME,
    "lora_rank": (0, 2.5, "4", True),
    "lora_alpha": (-1.0, "4", 2.0),
    "width": (0, 2.5, "8", True),
    "inner_filters": (0, 2.5, "8", True),
    "pool_padding": NAME,
    "block": ("basic", None, 3),
    "first": (5, "strides", {"unheard_of": 1}),
    "last": (5, "strides", {"unheard_of": 1}),
    "seed": ("a", 1.5),
    **dict.fromkeys(
        ("normalize_identity", "share_preactivation", "blur_pool", "zero_init_residual"), FLAG
    ),
    **dict.fromkeys(("conv_bias", "space_to_depth", "pool", "preactivated"), FLAG),
    **dict.fromkeys(("rematerialize", "zero_gamma", "weight_standardization"), FLAG),
    **dict.fromkeys(
        (
            "split_input",
            "cascade",
            "shake_drop",
            "shake_shake",
            "reversible",
            "projection",
            "split_last",
            "affine",
            "normalize_input",
        ),
        FLAG,
    ),
    "use_bias": (1, "yes"),
    "sub_bands": POSITIVE,
    "dilation_rates": (0, (), (1, 0), "2"),
}
# Tested where they are made: arguments of Keras, or of layers with tests of their own.
ELSEWHERE = (
    "BatchNorm",
    "ImageNormalization",
    "HighwayLSTM",
    "LogMelSpectrogram",
    "RecurrentHighway",
    "ResidualGRU",
    "ResidualLSTM",
    "SubSpectralNormalization",
)
CASES = {case.name: case for case in reversed(LAYERS) if case.name not in ELSEWHERE}


def wrong_arguments():
    for name, case in CASES.items():
        for argument in arguments_of(case.layer_class):
            if name == "ResidualStage" and argument == "data_format":
                continue  # read off the block
            for value in WRONG[argument]:
                yield pytest.param(case, argument, value, id=f"{name}-{argument}={value!r}")


@pytest.mark.parametrize(("case", "argument", "value"), list(wrong_arguments()))
def test_wrong_argument_is_named(case, argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`") as error:
        case.make(**{argument: value})
    assert f"{argument}={value!r}" in str(error.value) or f"{argument}={value}" in str(error.value)


COMBINATIONS = {
    "groups_divide_filters": lambda: layers.Convolution(4, groups=3),
    "space_to_depth_needs_strides": lambda: layers.Convolution(4, space_to_depth=True),
    "space_to_depth_of_a_dilation": lambda: layers.Convolution(
        4, strides=2, dilation_rate=2, space_to_depth=True
    ),
    "filters_of_a_bottleneck": lambda: layers.BottleneckBlock(6),
    "base_width_too_small": lambda: layers.BottleneckBlock(8, cardinality=2, base_width=4),
    "pooled_over_three": lambda: layers.Shortcut(4, strides=3, kind="pooled"),
    "even_blur": lambda: layers.BlurPool(kernel_size=4),
    "divisor_without_squeeze": lambda: layers.ResidualBlock(4, se_divisor=2),
    "dilation_in_place_of_strides": lambda: layers.ResidualBlock(
        4, strides=2, first_dilation_rate=2
    ),
    "nothing_preactivated_to_share": lambda: layers.BottleneckBlock(4, share_preactivation=True),
    "no_convolution_to_bias": lambda: layers.ResidualBlock(
        4, activation_order="inner", conv_bias=True
    ),
    "no_bare_convolution_to_bias": lambda: layers.Stem(4, conv_bias=True),
    "nothing_pooled_to_pad": lambda: layers.Stem(4, pool=False, pool_padding="zero"),
    "no_7x7_over_blocks": lambda: layers.Stem(4, "deep", space_to_depth=True),
    "no_gamma_to_be_zero": lambda: layers.ConvNorm(4, normalization="none", zero_gamma=True),
    "blur_of_unequal_strides": lambda: layers.ConvNorm(4, strides=(1, 2), blur_pool=True),
    "blurred_shortcut_of_unequal_strides": lambda: layers.Shortcut(4, (1, 2), blur_pool=True),
    "pooled_over_three_of_one_axis": lambda: layers.Shortcut(4, (1, 3), kind="pooled"),
    "blurred_space_to_depth": lambda: layers.ConvNorm(
        4, strides=2, space_to_depth=True, blur_pool=True
    ),
}
SHAPES = {
    "pixels_do_not_divide_the_channels": (lambda: layers.PixelShuffle(2), (1, 4, 4, 6)),
    "no_spatial_axis_to_shuffle": (lambda: layers.PixelShuffle(2), (1, 4)),
    "groups_divide_channels": (lambda: layers.Convolution(4, groups=2), (1, 4, 4, 3)),
    "strides_of_another_rank": (lambda: layers.Convolution(4, strides=(1, 2, 2)), (1, 4, 4, 3)),
    "strides_of_a_shortcut": (lambda: layers.Shortcut(4, (1, 2, 2)), (1, 4, 4, 3)),
    "too_small_for_strides_of_one_axis": (lambda: layers.ConvNorm(4, 3, (1, 2)), (1, 1, 1, 3)),
    "kernel_size_of_another_rank": (lambda: layers.Convolution(4, (3, 3)), (1, 4, 3)),
    "pad_would_shrink": (lambda: layers.ResidualBlock(4, shortcut="pad"), (1, 4, 4, 6)),
    "too_small_for_strides": (lambda: layers.ResidualBlock(4, strides=2), (1, 1, 4, 4)),
    "too_small_for_a_stem": (lambda: layers.Stem(4), (1, 2, 8, 3)),
    "too_small_for_a_blur": (lambda: layers.BlurPool(kernel_size=5), (1, 2, 4, 4)),
    "too_small_for_a_transition": (lambda: layers.DenseTransition(), (1, 1, 4, 4)),
    "no_spatial_axis": (lambda: layers.ResidualBlock(4), (1, 4)),
    "four_spatial_axes": (lambda: layers.ResidualBlock(4), (1, 4, 4, 4, 4, 4)),
    "no_spatial_axis_to_normalize": (lambda: layers.NormActivation(), (1, 4)),
    "no_spatial_axis_to_squeeze": (lambda: layers.SqueezeExcite(), (1, 4)),
    "no_spatial_axis_to_blur": (lambda: layers.BlurPool(), (1, 4)),
    "unknown_channels": (lambda: layers.ConvNorm(4), (1, 4, 4, None)),
    "unequal_blocks": (
        lambda: layers.ResidualStage(layers.ResidualBlock(4, strides=2), 3),
        (1, 8, 8, 4),
    ),
    "unequal_scanned_blocks": (
        lambda: layers.ResidualStage(
            layers.ResidualBlock(4), 3, first={"filters": 8}, execution="scanned"
        ),
        (1, 8, 8, 4),
    ),
}


@pytest.mark.parametrize("make", COMBINATIONS.values(), ids=COMBINATIONS)
def test_combination_is_refused_when_made(make):
    with pytest.raises(ValueError, match=r"Received: .*="):
        make()


@pytest.mark.parametrize(("make", "shape"), SHAPES.values(), ids=SHAPES)
def test_shape_is_refused_when_built(make, shape):
    with pytest.raises(ValueError, match="Received: "):
        make().build(shape)
    with pytest.raises(ValueError, match="Received: "):
        make().compute_output_shape(shape)
