"""RevNet: reversible residual networks, whose blocks can recompute inputs from outputs."""

from keras_residual.models.factories import factories
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

GOMEZ_2017 = "[Gomez et al., 2017](https://arxiv.org/abs/1707.04585)"


def _row(depth, depths, widths, **options):
    return row(
        f"RevNet{depth}",
        GOMEZ_2017,
        f"RevNet-{depth}, reversible.",
        depths=depths,
        widths=widths,
        activation_order="pre",
        reversible=True,
        rematerialize=True,
        norm_epsilon=1e-3,
        **options,
    )


def _small(depth, blocks, widths, **options):
    return _row(depth, (blocks,) * 3, widths, stem="conv3", stem_width=32, **options)


def _basic(depth, blocks, widths):
    """Returns a row with basic blocks and parameter-free shortcuts."""
    return _small(depth, blocks, widths, block="basic", shortcut="pooled_pad")


_BOTTLENECK = {"strided_conv": "conv1"}
_IMAGENET = {"widths": (128, 256, 512, 832), "stem_width": 128, **_BOTTLENECK}
SMALL = (
    _basic(38, 3, (32, 64, 112)),
    _basic(110, 9, (32, 64, 128)),
    _small(164, 9, (32, 64, 128), **_BOTTLENECK),
)
IMAGENET = (
    _row(56, (2, 2, 3, 2), **_IMAGENET),
    _row(104, (2, 2, 11, 2), **_IMAGENET),
)
globals().update(factories(SMALL, ResNetArchitecture, "ResNet", (32, 32, 3), 10))
globals().update(factories(IMAGENET, ResNetArchitecture, "ResNet", (224, 224, 3), 1000))
