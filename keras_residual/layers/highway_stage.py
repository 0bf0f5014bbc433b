from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers._loops.rematerialize import call_rematerialized
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.highway_block import HighwayBlock
from keras_residual.layers.pooling import max_pool, pooled_shape
from keras_residual.layers.registration import registered
from keras_residual.layers.sublayers import SublayerRow


@registered
class HighwayStage(SublayerRow, BlockLayer):
    """A row of highway layers of one width as one layer.

    A plain convolution changes the number of channels, `depth - 1` highway layers follow, and 2×2
    max pooling halves the resolution.

    Args:
        filters: Positive integer, channels of all convolutions.
        depth: Positive integer, number of layers, the plain convolution included.
        strides: `2`, or `1` for no pooling. Defaults to `2`.
        kernel_size: Positive integer. Defaults to `3`.
        dilation_rate: Positive integer. Defaults to `1`.
        transform_bias: Number at which the biases of the gates start. Defaults to `-2`.
        dropout_rate: Dropout of the stage's input, in `[0, 1)`. Defaults to `0`.
        rematerialize: Whether values inside the highway layers are computed again in the backward
            pass instead of kept. Defaults to `False`.
        normalization: As in other blocks, after all convolutions but the gates. Defaults to
            `"none"`, as in the paper.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether batch normalization uses batch statistics and dropout acts.

    Returns:
        `(batch, *floor(spatial / strides), filters)`.

    Raises:
        ValueError: If an argument is out of range, or a spatial size is smaller than `strides`.

    Example:

    >>> keras.ops.shape(HighwayStage(8, depth=3)(keras.ops.ones((1, 4, 4, 3))))
    (1, 2, 2, 8)

    Reference:
        - [Srivastava et al., 2015](https://arxiv.org/abs/1507.06228)
    """

    def __init__(
        self,
        filters: int,
        depth: int,
        strides: int = 2,
        kernel_size: int = 3,
        dilation_rate: int = 1,
        transform_bias: float = -2.0,
        dropout_rate: float = 0.0,
        rematerialize: bool = False,
        normalization: str = "none",
        **kwargs: Any,
    ):
        super().__init__(normalization=normalization, **kwargs)
        self.filters = _checks.integer("filters", filters)
        self.depth = _checks.integer("depth", depth)
        self.strides = _checks.choice("strides", strides, (1, 2))
        self.kernel_size = _checks.integer("kernel_size", kernel_size)
        self.dilation_rate = _checks.integer("dilation_rate", dilation_rate)
        self.dropout_rate = _checks.real("dropout_rate", dropout_rate, 0, 1, open_end=True)
        self.rematerialize = _checks.boolean("rematerialize", rematerialize)
        self.transform_bias = transform_bias
        self.dropout = None
        if self.dropout_rate:
            self.dropout = keras.layers.Dropout(
                self.dropout_rate, dtype=self.dtype_policy, name="dropout"
            )
        self.conv = ConvNorm(
            self.filters,
            self.kernel_size,
            dilation_rate=self.dilation_rate,
            name="conv",
            **self.block_options(),
        )
        units = [
            HighwayBlock(
                self.kernel_size,
                self.dilation_rate,
                self.transform_bias,
                name=f"unit{index}",
                **self.block_options(2 * index),
            )
            for index in range(1, self.depth)
        ]
        self.add_to_row("units", units)

    @property
    def units(self) -> list[HighwayBlock]:
        """The highway layers in order."""
        return self.row("units")

    def plan(self, input_shape: Shape) -> Plan:
        steps, shape = chain([self.conv, *self.units], input_shape)
        return steps, pooled_shape(self, shape, self.strides)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.entered(inputs, training)
        for unit in self.units:
            if self.rematerialize and training:
                x = call_rematerialized(unit, [x], training=True)
            else:
                x = unit(x, training=training)
        return self.pooled(x)

    def entered(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Returns the input of the first highway layer."""
        x = inputs if self.dropout is None else self.dropout(inputs, training=training)
        return self.conv(x, training=training)

    def pooled(self, x: Tensor) -> Tensor:
        """Returns the output of the stage, given that of the last highway layer."""
        return x if self.strides == 1 else max_pool(x, 2, 2, "valid", self.channels_first)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "depth": self.depth,
            "strides": self.strides,
            "kernel_size": self.kernel_size,
            "dilation_rate": self.dilation_rate,
            "transform_bias": self.transform_bias,
            "dropout_rate": self.dropout_rate,
            "rematerialize": self.rematerialize,
        }
