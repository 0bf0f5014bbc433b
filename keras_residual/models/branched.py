"""Networks with multi-branch 3×3 convolutions: Res2Net, ResNeSt, SK-ResNet."""

from keras_residual.models.factories import factories
from keras_residual.models.resnet import (
    BASIC_18,
    BASIC_34,
    BOTTLENECK_50,
    BOTTLENECK_101,
    D,
    groups,
)
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

GAO_2019 = "[Gao et al., 2019](https://arxiv.org/abs/1904.01169)"
LI_2019 = "[Li et al., 2019](https://arxiv.org/abs/1903.06586)"
ZHANG_2020 = "[Zhang et al., 2020](https://arxiv.org/abs/2004.08955)"


def _scales(depth, width, scale, depths, name="", **options):
    """Returns a Res2Net with `scale` groups of `width` channels each in the first stage."""
    return row(
        name or f"Res2Net{depth}_{width}w_{scale}s",
        GAO_2019,
        f"Res2Net-{depth} of {scale} scales, {width} channels each.",
        spatial="multi_scale",
        branches=scale,
        base_width=width,
        **depths,
        **options,
    )


def _split(name, summary, depths, radix=2, cardinality=1, base_width=64, first=False, wide=False):
    """Returns a ResNeSt, which downsamples by 3×3 average pooling."""
    return row(
        name,
        ZHANG_2020,
        summary,
        depths=depths,
        spatial="split",
        branches=radix,
        blur_pool="average3_before" if first else "average3",
        stem_width=128 if wide else 64,
        **groups(cardinality, base_width),
        **D,
    )


def _selective(name, summary, split=True, ratio=1 / 16, divisor=8, **options):
    """Returns an SK-ResNet: branches of dilation 1 and 2, over which some split the input."""
    spatial = "selective_split" if split else "selective"
    return row(
        name, LI_2019, summary, spatial=spatial, se_ratio=ratio, se_divisor=divisor, **options
    )


TABLE = (
    _scales(50, 14, 8, BOTTLENECK_50),
    _scales(50, 26, 4, BOTTLENECK_50),
    _scales(50, 26, 6, BOTTLENECK_50),
    _scales(50, 26, 8, BOTTLENECK_50),
    _scales(50, 48, 2, BOTTLENECK_50),
    _scales(50, 26, 4, BOTTLENECK_50, "Res2Net50D", **D),
    _scales(101, 26, 4, BOTTLENECK_101),
    _scales(101, 26, 4, BOTTLENECK_101, "Res2Net101D", **D),
    _scales(50, 4, 4, BOTTLENECK_50, "Res2NeXt50", cardinality=8),
    _split("ResNeSt14D", "ResNeSt-14.", (1, 1, 1, 1)),
    _split("ResNeSt26D", "ResNeSt-26.", (2, 2, 2, 2)),
    _split("ResNeSt50D", "ResNeSt-50.", (3, 4, 6, 3)),
    _split("ResNeSt101E", "ResNeSt-101.", (3, 4, 23, 3), wide=True),
    _split("ResNeSt200E", "ResNeSt-200.", (3, 24, 36, 3), wide=True),
    _split("ResNeSt269E", "ResNeSt-269.", (3, 30, 48, 8), wide=True),
    _split(
        "ResNeSt50D_4s2x40d", "ResNeSt-50 of radix 4, 2×40d.", (3, 4, 6, 3), 4, 2, 40, first=True
    ),
    _split(
        "ResNeSt50D_1s4x24d", "ResNeSt-50 of radix 1, 4×24d.", (3, 4, 6, 3), 1, 4, 24, first=True
    ),
    _selective("SKResNet18", "SK-ResNet-18.", ratio=1 / 8, divisor=16, **BASIC_18),
    _selective("SKResNet34", "SK-ResNet-34.", ratio=1 / 8, divisor=16, **BASIC_34),
    _selective("SKResNet50", "SK-ResNet-50.", **BOTTLENECK_50),
    _selective("SKResNet50D", "SK-ResNet-50-D.", **BOTTLENECK_50, **D),
    _selective(
        "SKResNeXt50_32x4d",
        "SK-ResNeXt-50 32×4d, the paper's SKNet-50.",
        split=False,
        divisor=32,
        **BOTTLENECK_50,
        **groups(32, 4),
    ),
)
globals().update(factories(TABLE, ResNetArchitecture, "ResNet", (224, 224, 3), 1000))
