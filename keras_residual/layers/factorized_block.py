from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Shape
from keras_residual.layers.registration import registered
from keras_residual.layers.residual_unit import ResidualUnit
from keras_residual.layers.strides import for_each_axis


@registered
class FactorizedBlock(ResidualUnit):
    """The (2+1)D block for clips: each 3×3×3 convolution becomes one over space and one over time.

    y = act(F(x) + shortcut(x)), F being 1×3×3, 3×1×1, 1×3×3 and 3×1×1 convolutions, each followed
    by a normalization, with an activation between them. A pair has
    ⌊27·in·out / (9·in + 3·out)⌋ channels in between, in and out being those of the block, so that
    it has as many weights as a 3×3×3 convolution. All four are computed as 2-D convolutions.

    Args:
        filters: Positive integer, number of output channels.
        inner_filters: Channels between the convolutions of a pair. Defaults to `None`, the number
            above.
        strides: Positive integer, or a tuple with one for time, height and width: strides of the
            first pair. Defaults to `1`.
        dilation_rate: Positive integer, dilation of the convolutions over space (of the first only
            without strides). Defaults to `1`.
        spatial: Must be `"plain"`.
        blur_pool: Must be `False`.
        **kwargs: Those of `ResidualUnit`.

    Call arguments:
        inputs: `(batch, frames, height, width, channels)`, floating point.

    Returns:
        `(batch, *ceil(sizes / strides), filters)`.

    Raises:
        ValueError: If an argument is out of range, or the input has not three spatial axes.

    Example:

    >>> keras.ops.shape(FactorizedBlock(8, strides=2)(keras.ops.ones((1, 4, 6, 6, 4))))
    (1, 2, 3, 3, 8)

    Reference:
        - [Tran et al., 2018](https://arxiv.org/abs/1711.11248)
    """

    def __init__(self, filters: int, inner_filters: int | None = None, **kwargs: Any):
        super().__init__(filters, **kwargs)
        if inner_filters is not None:
            inner_filters = _checks.integer("inner_filters", inner_filters)
        self.inner_filters = inner_filters
        for name, required in (("spatial", "plain"), ("blur_pool", False)):
            if getattr(self, name) != required:
                raise ValueError(
                    f"`{name}` of a factorized block must be {required!r}. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        for_each_axis(self.strides, 3)
        self._made = False

    def plan(self, input_shape: Shape) -> tuple[list[tuple[keras.layers.Layer, Shape]], Shape]:
        channels = self.channels_of(input_shape)
        if len(input_shape) != 5:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} takes clips of rank 5: (batch, frames, "
                f"height, width, channels). Received: input_shape={input_shape}"
            )
        if not self._made:
            self._inner = self.inner_filters or inner_filters(channels, self.filters)
            self._make_sublayers()
            self._made = True
        return super().plan(input_shape)

    def convolutions(self) -> list[dict[str, Any]]:
        strided = self.strided_options()
        time, *space = for_each_axis(strided["strides"], 3)
        over_space = {"filters": self._inner, "kernel_size": (1, 3, 3)}
        over_time = {"filters": self.filters, "kernel_size": (3, 1, 1)}
        return [
            {**over_space, **strided, "strides": (1, *space)},
            {**over_time, "strides": (time, 1, 1)},
            {**over_space, "dilation_rate": self.dilation_rate},
            over_time,
        ]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "inner_filters": self.inner_filters}


def inner_filters(inputs: int, outputs: int) -> int:
    """Returns the inner channels with which a pair has as many weights as a 3×3×3 kernel."""
    return 27 * inputs * outputs // (9 * inputs + 3 * outputs)
