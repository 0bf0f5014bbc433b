"""PyramidNet: networks for small images that widen from block to block."""

from typing import Any

from keras_residual.models.factories import factories
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

HAN_2017 = "[Han et al., 2017](https://arxiv.org/abs/1610.02915)"


def pyramid(blocks: int, growth: int, **options) -> dict[str, Any]:
    """Returns the options of a `ResNet` that widens by `growth` channels over three resolutions.

    Args:
        blocks: Number of blocks at each of the three resolutions.
        growth: Difference in channels between the last block and the stem, the paper's alpha.
        **options: Further options, such as `shake_drop`.
    """
    count = 3 * blocks
    # Each block is a stage of its own, since no two are equally wide.
    return {
        "depths": (1,) * count,
        "widths": tuple(round(16 + growth * (block + 1) / count) for block in range(count)),
        "stage_strides": tuple(1 + (block in (blocks, 2 * blocks)) for block in range(count)),
        "stem": "conv3",
        "stem_width": 16,
        "activation_order": "pyramid",
        "shortcut": "pooled_pad",
        **options,
    }


def _basic(depth, growth):
    summary = f"PyramidNet-{depth}, {growth} channels wider at its end."
    options = pyramid((depth - 2) // 6, growth, block="basic")
    return row(f"PyramidNet{depth}_{growth}", HAN_2017, summary, **options)


def _bottleneck(depth, growth):
    summary = f"PyramidNet-{depth} of bottlenecks, {growth} channels wider at its end."
    options = pyramid((depth - 2) // 9, growth)
    return row(f"PyramidNet{depth}_{growth}", HAN_2017, summary, **options)


TABLE = (
    _basic(110, 48),
    _basic(110, 84),
    _basic(110, 270),
    _bottleneck(164, 270),
    _bottleneck(200, 240),
    _bottleneck(272, 200),
)
globals().update(factories(TABLE, ResNetArchitecture, "ResNet", (32, 32, 3), 10))
