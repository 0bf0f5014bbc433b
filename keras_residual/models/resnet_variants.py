"""Further residual networks for ImageNet: stems, shortcuts, antialiasing, ResNet-RS."""

from keras_residual.models.factories import factories
from keras_residual.models.resnet import (
    BASIC_18,
    BASIC_34,
    BOTTLENECK_50,
    BOTTLENECK_101,
    BOTTLENECK_152,
    BOTTLENECK_200,
    HE_2015,
    HE_2018,
    XIE_2017,
    D,
    groups,
)
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

BELLO_2021 = "[Bello et al., 2021](https://arxiv.org/abs/2103.07579)"
WU_2018 = "[Wu and He, 2018](https://arxiv.org/abs/1803.08494)"
ZHANG_2019 = "[Zhang, 2019](https://arxiv.org/abs/1904.11486)"

BOTTLENECK_26 = {"depths": (2, 2, 2, 2)}
BOTTLENECK_269 = {"depths": (3, 30, 48, 8)}
# The letters of He et al., 2018, and of timm: C deep stem, S a wider one, T a tiered one and D.
C = {"stem": "deep"}
S = {"stem": "deep", "stem_width": 128}
T = {"stem": "tiered", "shortcut": "pooled"}
# Antialiasing by 2×2 average pooling or by blurs; in timm projections stay strided.
AA = {"blur_pool": "average", "stem_pool": "average"}
BLUR = {"blur_pool": True}
STRIDED = {"shortcut": "strided"}
RS = {**D, "stem_pool": "conv3", "se_ratio": 1 / 4}

TABLE = (
    row(
        "ResNet10T",
        HE_2018,
        "ResNet-10-T: tiered stem and pooled shortcuts.",
        block="basic",
        depths=(1, 1, 1, 1),
        **T,
    ),
    row(
        "ResNet14T",
        HE_2018,
        "ResNet-14-T of bottlenecks: tiered stem and pooled shortcuts.",
        depths=(1, 1, 1, 1),
        **T,
    ),
    row("ResNet26", HE_2015, "ResNet-26 of bottlenecks.", **BOTTLENECK_26),
    row("ResNet26D", HE_2018, "ResNet-26-D: deep stem and pooled shortcuts.", **BOTTLENECK_26, **D),
    row(
        "ResNet26T", HE_2018, "ResNet-26-T: tiered stem and pooled shortcuts.", **BOTTLENECK_26, **T
    ),
    row(
        "ResNet50T", HE_2018, "ResNet-50-T: tiered stem and pooled shortcuts.", **BOTTLENECK_50, **T
    ),
    row("ResNet50C", HE_2018, "ResNet-50-C: deep stem.", **BOTTLENECK_50, **C),
    row("ResNet101C", HE_2018, "ResNet-101-C: deep stem.", **BOTTLENECK_101, **C),
    row("ResNet152C", HE_2018, "ResNet-152-C: deep stem.", **BOTTLENECK_152, **C),
    row("ResNet50S", HE_2018, "ResNet-50-S: deep stem of twice the width.", **BOTTLENECK_50, **S),
    row(
        "ResNet101S", HE_2018, "ResNet-101-S: deep stem of twice the width.", **BOTTLENECK_101, **S
    ),
    row(
        "ResNet152S", HE_2018, "ResNet-152-S: deep stem of twice the width.", **BOTTLENECK_152, **S
    ),
    row("ResNet200", HE_2015, "ResNet-200 v1.5.", **BOTTLENECK_200),
    row(
        "ResNet200D",
        HE_2018,
        "ResNet-200-D: deep stem and pooled shortcuts.",
        **BOTTLENECK_200,
        **D,
    ),
    row(
        "ResNet50GN",
        WU_2018,
        "ResNet-50 with group normalization.",
        **BOTTLENECK_50,
        normalization="group",
    ),
    row("ResNeXt101_32x4d", XIE_2017, "ResNeXt-101 32×4d.", **BOTTLENECK_101, **groups(32, 4)),
    row("ResNeXt101_32x16d", XIE_2017, "ResNeXt-101 32×16d.", **BOTTLENECK_101, **groups(32, 16)),
    row("ResNeXt101_32x32d", XIE_2017, "ResNeXt-101 32×32d.", **BOTTLENECK_101, **groups(32, 32)),
    row(
        "ResNeXt50D_32x4d",
        XIE_2017,
        "ResNeXt-50-D 32×4d: deep stem and pooled shortcuts.",
        **BOTTLENECK_50,
        **groups(32, 4),
        **D,
    ),
    row(
        "ResNetBlur18", ZHANG_2019, "ResNet-18 downsampled by blurs.", **BASIC_18, **BLUR, **STRIDED
    ),
    row(
        "ResNetBlur50",
        ZHANG_2019,
        "ResNet-50 downsampled by blurs.",
        **BOTTLENECK_50,
        **BLUR,
        **STRIDED,
    ),
    row(
        "ResNetBlur50D",
        ZHANG_2019,
        "ResNet-50-D downsampled by blurs.",
        **BOTTLENECK_50,
        **BLUR,
        **D,
    ),
    row(
        "ResNetBlur101D",
        ZHANG_2019,
        "ResNet-101-D downsampled by blurs.",
        **BOTTLENECK_101,
        **BLUR,
        **D,
    ),
    row("ResNetAA34D", ZHANG_2019, "ResNet-34-D downsampled by means.", **BASIC_34, **AA, **D),
    row(
        "ResNetAA50",
        ZHANG_2019,
        "ResNet-50 downsampled by means.",
        **BOTTLENECK_50,
        **AA,
        **STRIDED,
    ),
    row("ResNetAA50D", ZHANG_2019, "ResNet-50-D downsampled by means.", **BOTTLENECK_50, **AA, **D),
    row(
        "ResNetAA101D",
        ZHANG_2019,
        "ResNet-101-D downsampled by means.",
        **BOTTLENECK_101,
        **AA,
        **D,
    ),
    row("ResNetRS50", BELLO_2021, "ResNet-RS-50.", **BOTTLENECK_50, **RS),
    row("ResNetRS101", BELLO_2021, "ResNet-RS-101.", **BOTTLENECK_101, **RS),
    row("ResNetRS152", BELLO_2021, "ResNet-RS-152.", **BOTTLENECK_152, **RS),
    row("ResNetRS200", BELLO_2021, "ResNet-RS-200.", **BOTTLENECK_200, **RS),
    row("ResNetRS270", BELLO_2021, "ResNet-RS-270.", depths=(4, 29, 53, 4), **RS),
    row("ResNetRS350", BELLO_2021, "ResNet-RS-350.", depths=(4, 36, 72, 4), **RS),
    row("ResNetRS420", BELLO_2021, "ResNet-RS-420.", depths=(4, 44, 87, 4), **RS),
)
globals().update(factories(TABLE, ResNetArchitecture, "ResNet", (224, 224, 3), 1000))
