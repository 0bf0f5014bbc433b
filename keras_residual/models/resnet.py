"""ImageNet residual networks: ResNet v1, v1.5, v2 and D, SE-ResNet, ResNeXt, Wide ResNet."""

from collections.abc import Sequence
from typing import Any

from keras_residual.models.factories import classifier, factories
from keras_residual.models.registry import builder
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

HE_2015 = "[He et al., 2015](https://arxiv.org/abs/1512.03385)"
HE_2016 = "[He et al., 2016](https://arxiv.org/abs/1603.05027)"
HE_2018 = "[He et al., 2018](https://arxiv.org/abs/1812.01187)"
HU_2018 = "[Hu et al., 2018](https://arxiv.org/abs/1709.01507)"
XIE_2017 = "[Xie et al., 2017](https://arxiv.org/abs/1611.05431)"
ZAGORUYKO_2016 = "[Zagoruyko and Komodakis, 2016](https://arxiv.org/abs/1605.07146)"

BASIC_18 = {"block": "basic", "depths": (2, 2, 2, 2)}
BASIC_34 = {"block": "basic", "depths": (3, 4, 6, 3)}
BOTTLENECK_50 = {"depths": (3, 4, 6, 3)}
BOTTLENECK_101 = {"depths": (3, 4, 23, 3)}
BOTTLENECK_152 = {"depths": (3, 8, 36, 3)}
BOTTLENECK_200 = {"depths": (3, 24, 36, 3)}

# As in keras.applications: its epsilon, and the strides on the first 1×1 convolution.
V1 = {"strided_conv": "conv1", "norm_epsilon": 1.001e-5}
V2 = {"activation_order": "pre"}
D = {"stem": "deep", "shortcut": "pooled"}
SE = {"se_ratio": 1 / 16}


@builder
@classifier(ResNetArchitecture, input_shape=(224, 224, 3), classes=1000)
def ResNet(
    block: str = "bottleneck",
    depths: Sequence[int] = (3, 4, 6, 3),
    widths: Sequence[int] | None = None,
    **architecture_options: Any,
) -> ResNetArchitecture:
    """Returns a residual network with any combination of options.

    A stem, stages of residual blocks (each halving the resolution but the first), average pooling
    and a classifier. Named members such as `ResNet50` are rows of a table over this function.

    Args:
        block: `"basic"` (two 3×3 convolutions) or `"bottleneck"` (1×1, 3×3, 1×1).
        depths: Number of blocks in each stage.
        widths: Width of each stage; bottlenecks output four times as many channels. Defaults to
            64, 128, 256, …
        stem: `"conv7"`, `"deep"`, `"tiered"`, `"conv3"`, `"strided3"`, `"pooled3"` or `"none"`: the
            first block takes the input as it is (time series); see `layers.Stem`. Defaults to
            `"conv7"`.
        activation_order: `"post"` (v1, v1.5), `"pre"` (v2), `"inner"`: like `"post"` without the
            activations after the sums, `"pyramid"`: the same with a normalization before each block
            and before the head (PyramidNet), `"leading"`: the same with activations there
            (Shake-Shake), or `"outer"`: normalizations behind the sums (RiR). Defaults to
            `"post"`.
        shortcut: `"projection"`, `"strided"`, `"conv3"`, `"pad"`, `"pooled_pad"`, `"pooled"`,
            `"shifted"`, `"half"`, `"identity"` or `"none"`, see `layers.Shortcut`. Defaults to
            `"projection"`.
        shortcut_levels: `1`, only the blocks have shortcuts; `2`, there is one around all stages
            together too; or `3`, and one around each stage (RoR): the identity, or a strided 1×1
            convolution where shapes differ. Defaults to `1`.
        strided_conv: `"conv2"` (v1.5) or `"conv1"` (v1) of a bottleneck takes the strides.
        strided_block: `"first"` or `"last"` block of a stage takes the strides. With `"last"` (the
            v2 networks of keras.applications) the strides default to 2, …, 2, 1, the shortcut of
            a strided block takes every second position (`"pad"`; `"none"` in a plain network), and
            every output in `features` but the last has twice the strides.
        kernel_sizes: Kernel sizes of a basic block's convolutions. Defaults to `(3, 3)`.
        normalize_identity: Whether identity shortcuts are normalized; not with pre-activation.
        share_preactivation: Whether the first unit of a pre-activation network normalizes its
            identity shortcut too, as the paper does; `"all"` for every unit (RegNetV). Defaults to
            `True`.
        cardinality: Groups of a bottleneck's 3×3 convolution (ResNeXt). Defaults to `1`.
        base_width: Width of a group where `widths` is 64. Defaults to `64`.
        expansion: Output channels of a bottleneck divided by its entry of `widths`. Defaults to 4.
        group_width: Channels of a bottleneck's group in place of `cardinality` (RegNet).
        first_reduction: Integer by which a bottleneck's first convolution is narrower.
        spatial: What the 3×3 convolution of a bottleneck (the first of a basic block) is:
            `"plain"`, `"selective"` or `"selective_split"` (SK), `"split"` (ResNeSt) or
            `"multi_scale"` (Res2Net); see `layers.BottleneckBlock`. Defaults to `"plain"`.
        branches: Number of branches of such a convolution. Defaults to `2`.
        attention: `"squeeze_excite"`, `"inner_squeeze_excite"` (RegNet) or `"eca"`, see
            `layers.ResidualBlock`. Defaults to `"squeeze_excite"`.
        se_ratio: Inner width of squeeze-and-excitation as a fraction of the channels; `0` for none.
        se_divisor: The inner width is rounded to a multiple of it.
        drop_path_rate: Drop path rate of the last block; it grows linearly from 0 in the first.
        shake_drop: Whether `layers.ShakeDrop` takes the place of drop path.
        shake_shake: Whether blocks have two residual functions, mixed at random in training.
        reversible: Whether blocks can compute their input from their output, so that with
            `rematerialize=True` the memory of a training step does not grow with the depth; only
            with pre-activation, see `layers.ResidualBlock`.
        dropout_rate: Dropout before the last convolution of each block (Wide ResNet).
        blur_pool: Whether max pooling, strided convolutions after the stem's and projections
            downsample by a blur; shortcuts other than `"projection"` are unchanged. `"average"`,
            `"average3"` or `"average3_before"`, see `layers.ConvNorm`, do not change the stem.
        output_stride: Largest reduction; later stages are dilated instead of strided.
        stage_strides: Strides of each stage. Defaults to 1, 2, 2, …
        zero_init_residual: Whether residual functions start at zero.
        conv_bias: Whether convolutions without a normalization after them have a bias (the v2
            networks of keras.applications). Defaults to `False`.
        final_layer: What follows the last stage: `"norm"`, a normalization and an activation with
            `activation_order="pre"` or `"pyramid"`, an activation with `"leading"`;
            `"activation"`, only an activation; or the width of a 1×1 convolution with both.
        weight_standardization: Whether kernels are standardized (Big Transfer).
        execution: `"auto"`, `"unrolled"` or `"scanned"`, see `layers.ResidualStage`.
        features: `True` for a dict of the outputs of all stages, `"C2"` (strides 4) to `"C5"`
            (strides 32), in place of the top; or a tuple of some of these names and of `"C1"`, the
            stem's output before its pooling (strides 2; of a `"conv3"` stem 1). In a pre-activation
            network the last output is normalized.
        **architecture_options: Those of `ImageArchitecture`.

    Example:

    >>> model = ResNet("basic", (1, 1), (8, 16), stem="conv3", input_shape=(8, 8, 1), classes=2)
    >>> model.output_shape
    (None, 2)

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385)
        - [He et al., 2016](https://arxiv.org/abs/1603.05027), `activation_order="pre"`
    """
    return ResNetArchitecture(block, depths, widths, **architecture_options)


def groups(cardinality, base_width):
    """Returns the options of a ResNeXt."""
    return {"cardinality": cardinality, "base_width": base_width}


def _preactivated(depth, sizes, aliases=()):
    summary = f"ResNet-{depth} v2 with pre-activation."
    return row(f"ResNet{depth}V2", HE_2016, summary, aliases=aliases, **sizes, **V2)


def _deep_stem(depth, sizes):
    summary = f"ResNet-{depth}-D: deep stem and pooled shortcuts."
    return row(f"ResNet{depth}D", HE_2018, summary, **sizes, **D)


TABLE = (
    row("ResNet18", HE_2015, "ResNet-18 of basic blocks.", **BASIC_18),
    row("ResNet34", HE_2015, "ResNet-34 of basic blocks.", **BASIC_34),
    row("ResNet50", HE_2015, "ResNet-50 v1.5.", **BOTTLENECK_50),
    row("ResNet101", HE_2015, "ResNet-101 v1.5.", **BOTTLENECK_101),
    row("ResNet152", HE_2015, "ResNet-152 v1.5.", **BOTTLENECK_152),
    row("ResNet50V1", HE_2015, "ResNet-50 v1, as in keras.applications.", **BOTTLENECK_50, **V1),
    row("ResNet101V1", HE_2015, "ResNet-101 v1, as in keras.applications.", **BOTTLENECK_101, **V1),
    row("ResNet152V1", HE_2015, "ResNet-152 v1, as in keras.applications.", **BOTTLENECK_152, **V1),
    _preactivated(18, BASIC_18, {"resnetv2_18": {"share_preactivation": False}}),
    _preactivated(34, BASIC_34, {"resnetv2_34": {"share_preactivation": False}}),
    _preactivated(50, BOTTLENECK_50, "resnetv2_50"),
    _preactivated(101, BOTTLENECK_101, "resnetv2_101"),
    _preactivated(152, BOTTLENECK_152, "resnetv2_152"),
    _preactivated(200, BOTTLENECK_200),
    _deep_stem(18, BASIC_18),
    _deep_stem(34, BASIC_34),
    _deep_stem(50, BOTTLENECK_50),
    _deep_stem(101, BOTTLENECK_101),
    _deep_stem(152, BOTTLENECK_152),
    row("SEResNet18", HU_2018, "SE-ResNet-18.", **BASIC_18, **SE),
    row("SEResNet50", HU_2018, "SE-ResNet-50.", **BOTTLENECK_50, **SE),
    row("SEResNet101", HU_2018, "SE-ResNet-101.", **BOTTLENECK_101, **SE),
    row(
        "SEResNeXt50_32x4d",
        HU_2018,
        "SE-ResNeXt-50 32×4d.",
        **BOTTLENECK_50,
        **SE,
        **groups(32, 4),
    ),
    row("ResNeXt50_32x4d", XIE_2017, "ResNeXt-50 32×4d.", **BOTTLENECK_50, **groups(32, 4)),
    row("ResNeXt101_32x8d", XIE_2017, "ResNeXt-101 32×8d.", **BOTTLENECK_101, **groups(32, 8)),
    row("ResNeXt101_64x4d", XIE_2017, "ResNeXt-101 64×4d.", **BOTTLENECK_101, **groups(64, 4)),
    row("WideResNet50_2", ZAGORUYKO_2016, "Wide ResNet-50-2.", **BOTTLENECK_50, base_width=128),
    row("WideResNet101_2", ZAGORUYKO_2016, "Wide ResNet-101-2.", **BOTTLENECK_101, base_width=128),
)
globals().update(factories(TABLE, ResNetArchitecture, "ResNet", (224, 224, 3), 1000))
