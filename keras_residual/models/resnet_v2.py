"""Pre-activation networks for ImageNet: Big Transfer, deep stems, other normalizations."""

from keras_residual.models.factories import factories
from keras_residual.models.resnet import (
    BASIC_18,
    BASIC_34,
    BOTTLENECK_50,
    BOTTLENECK_101,
    BOTTLENECK_152,
    HE_2016,
    V2,
)
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

KOLESNIKOV_2020 = "[Kolesnikov et al., 2020](https://arxiv.org/abs/1912.11370)"
LIU_2020 = "[Liu et al., 2020](https://arxiv.org/abs/2004.02967)"

V2D = {**V2, "stem": "deep", "shortcut": "pooled"}
# timm's basic blocks do not share the first pre-activation.
UNSHARED = {"share_preactivation": False}


def _transfer(depth, factor, depths):
    """Group normalization and standardized weights, `factor` times as wide."""
    return row(
        f"BiTResNet{depth}x{factor}",
        KOLESNIKOV_2020,
        f"Big Transfer's ResNet-{depth}×{factor}: group normalization, standardized weights.",
        aliases=f"resnetv2_{depth}x{factor}_bit",
        widths=tuple(factor * width for width in (64, 128, 256, 512)),
        stem_width=64 * factor,
        pool_padding="zero",
        normalization="group",
        weight_standardization=True,
        **depths,
        **V2,
    )


TABLE = (
    row(
        "ResNet18V2D",
        HE_2016,
        "ResNet-18 v2 with a deep stem and pooled shortcuts.",
        aliases="resnetv2_18d",
        **BASIC_18,
        **V2D,
        **UNSHARED,
    ),
    row(
        "ResNet34V2D",
        HE_2016,
        "ResNet-34 v2 with a deep stem and pooled shortcuts.",
        aliases="resnetv2_34d",
        **BASIC_34,
        **V2D,
        **UNSHARED,
    ),
    row(
        "ResNet50V2D",
        HE_2016,
        "ResNet-50 v2 with a deep stem and pooled shortcuts.",
        aliases="resnetv2_50d",
        **BOTTLENECK_50,
        **V2D,
    ),
    row(
        "ResNet50V2T",
        HE_2016,
        "ResNet-50 v2 with a tiered stem and pooled shortcuts.",
        aliases="resnetv2_50t",
        **BOTTLENECK_50,
        **{**V2D, "stem": "tiered"},
    ),
    row(
        "ResNet101V2D",
        HE_2016,
        "ResNet-101 v2 with a deep stem and pooled shortcuts.",
        aliases="resnetv2_101d",
        **BOTTLENECK_101,
        **V2D,
    ),
    row(
        "ResNet152V2D",
        HE_2016,
        "ResNet-152 v2 with a deep stem and pooled shortcuts.",
        aliases="resnetv2_152d",
        **BOTTLENECK_152,
        **V2D,
    ),
    row(
        "ResNet50V2DGN",
        HE_2016,
        "ResNet-50 v2-D with group normalization.",
        aliases="resnetv2_50d_gn",
        normalization="group",
        **BOTTLENECK_50,
        **V2D,
    ),
    row(
        "ResNet50V2DEvoS",
        LIU_2020,
        "ResNet-50 v2-D with EvoNorm-S0.",
        aliases="resnetv2_50d_evos",
        normalization="evonorm",
        activation=None,
        **BOTTLENECK_50,
        **V2D,
    ),
    _transfer(50, 1, BOTTLENECK_50),
    _transfer(50, 3, BOTTLENECK_50),
    _transfer(101, 1, BOTTLENECK_101),
    _transfer(101, 3, BOTTLENECK_101),
    _transfer(152, 2, BOTTLENECK_152),
    _transfer(152, 4, BOTTLENECK_152),
)
globals().update(factories(TABLE, ResNetArchitecture, "ResNet", (224, 224, 3), 1000))
