"""Residual networks for small images such as CIFAR's."""

from keras_residual.models.factories import factories
from keras_residual.models.resnet import HE_2015, HE_2016, XIE_2017, ZAGORUYKO_2016
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

GASTALDI_2017 = "[Gastaldi, 2017](https://arxiv.org/abs/1705.07485)"
ZHANG_2016 = "[Zhang et al., 2016](https://arxiv.org/abs/1608.02908)"
TARG_2016 = "[Targ et al., 2016](https://arxiv.org/abs/1603.08029)"
BANBURY_2021 = "[Banbury et al., 2021](https://arxiv.org/abs/2106.07597)"


def _basic(depth, shortcut="pad"):
    """Three stages of `depth` basic blocks; the paper's shortcuts have no parameters."""
    return {
        "block": "basic",
        "depths": (depth,) * 3,
        "widths": (16, 32, 64),
        "stem_width": 16,
        "shortcut": shortcut,
    }


def _bottleneck(depth):
    """Three stages of `depth` pre-activation bottlenecks, strides as in the authors' code."""
    return {
        "depths": (depth,) * 3,
        "strided_conv": "conv1",
        "widths": (16, 32, 64),
        "stem_width": 16,
        "activation_order": "pre",
    }


def _wide(depth, factor):
    """Three stages of `depth` pre-activation basic blocks, `factor` times as wide."""
    return {
        "block": "basic",
        "depths": (depth,) * 3,
        "widths": (16 * factor, 32 * factor, 64 * factor),
        "stem_width": 16,
        "activation_order": "pre",
    }


def _resnext(cardinality):
    """Three stages of three bottlenecks of `cardinality` groups of width 64."""
    return {"depths": (3, 3, 3), "widths": (64, 128, 256), "cardinality": cardinality}


def _shaken(width):
    """Three stages of four blocks with two residual functions of 3×3 convolutions each."""
    return {
        "block": "basic",
        "depths": (4, 4, 4),
        "widths": (width, 2 * width, 4 * width),
        "stem_width": 16,
        "activation_order": "leading",
        "shortcut": "shifted",
        "shake_shake": True,
    }


def _two_streams(*depths):
    """Blocks of one convolution of both streams, side by side in the channels; one has shortcuts.

    The four convolutions of the paper's block, from each stream to each, are one of all channels.
    """
    return {
        "block": "basic",
        "depths": depths,
        "kernel_sizes": (3,),
        "widths": (96, 192, 384),
        "stem_width": 96,
        "activation_order": "outer",
        "shortcut": "half",
    }


def _multilevel(depth, **options):
    """Shortcuts around blocks, stages and the whole: those of the blocks without parameters."""
    return {**_basic(depth), "shortcut_levels": 3, **options}


def _small(name, paper, summary, **options):
    return row(name, paper, summary, **{"stem": "conv3", **options})


def _plain(blocks):
    """Returns the row of He et al.'s network with `blocks` blocks in each stage."""
    depth = 6 * blocks + 2
    return _small(f"ResNet{depth}", HE_2015, f"ResNet-{depth}.", **_basic(blocks))


TABLE = (
    _small(
        "ResNet8", BANBURY_2021, "ResNet-8 (the size of MLPerf Tiny's).", **_basic(1, "projection")
    ),
    *map(_plain, (3, 5, 7, 9, 18, 200)),
    _small(
        "ResNet110V2",
        HE_2016,
        "ResNet-110 with pre-activation.",
        **_basic(18),
        activation_order="pre",
    ),
    _small("ResNet164V2", HE_2016, "ResNet-164 of pre-activation bottlenecks.", **_bottleneck(18)),
    _small(
        "ResNet1001V2", HE_2016, "ResNet-1001 of pre-activation bottlenecks.", **_bottleneck(111)
    ),
    _small("WideResNet16_8", ZAGORUYKO_2016, "Wide ResNet-16-8.", **_wide(2, 8)),
    _small("WideResNet28_10", ZAGORUYKO_2016, "Wide ResNet-28-10.", **_wide(4, 10)),
    _small("WideResNet40_4", ZAGORUYKO_2016, "Wide ResNet-40-4.", **_wide(6, 4)),
    _small("ResNeXt29_8x64d", XIE_2017, "ResNeXt-29 8×64d.", **_resnext(8)),
    _small("ResNeXt29_16x64d", XIE_2017, "ResNeXt-29 16×64d.", **_resnext(16)),
    _small("RoR3_110", ZHANG_2016, "RoR-3-110: ResNet-110 of three levels.", **_multilevel(18)),
    _small("RoR3_164", ZHANG_2016, "RoR-3-164: three levels of basic blocks.", **_multilevel(27)),
    _small(
        "PreRoR3_164",
        ZHANG_2016,
        "Pre-RoR-3-164: RoR-3-164 with pre-activation.",
        **_multilevel(27, activation_order="pre"),
    ),
    _small(
        "RoR3WideResNet58_4",
        ZHANG_2016,
        "RoR-3-WRN58-4: a wide ResNet of three levels.",
        **_wide(9, 4),
        shortcut_levels=3,
    ),
    _small("WideRiR18", TARG_2016, "ResNet in ResNet, 18 layers, wide.", **_two_streams(4, 6, 6)),
    _small("ShakeShake26_2x32d", GASTALDI_2017, "Shake-Shake-26 2×32d.", **_shaken(32)),
    _small("ShakeShake26_2x64d", GASTALDI_2017, "Shake-Shake-26 2×64d.", **_shaken(64)),
    _small("ShakeShake26_2x96d", GASTALDI_2017, "Shake-Shake-26 2×96d.", **_shaken(96)),
)
globals().update(factories(TABLE, ResNetArchitecture, "ResNet", (32, 32, 3), 10))
