from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.composite import BlockLayer, Plan, chain, fresh_initializer
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.highway import carried, checked_transform_bias
from keras_residual.layers.registration import registered


@registered
class HighwayBlock(BlockLayer):
    """A convolutional highway layer: y = T(x) · H(x) + (1 - T(x)) · x.

    H is a convolution with its normalization and activation, the transform gate T a convolution
    with a sigmoid, both with as many channels as the input. The gate's biases start below zero, so
    that at first the input passes nearly unchanged.

    Args:
        kernel_size: Positive integer, of both convolutions. Defaults to `3`.
        dilation_rate: Positive integer. Defaults to `1`.
        transform_bias: Number at which the gate's biases start. Defaults to `-2`.
        normalization: As in other blocks, after the convolution of H. Defaults to `"none"`, as in
            the paper.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether batch normalization uses batch statistics.

    Returns:
        Same shape as the inputs.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> keras.ops.shape(HighwayBlock()(keras.ops.ones((1, 4, 4, 8))))
    (1, 4, 4, 8)

    Reference:
        - [Srivastava et al., 2015](https://arxiv.org/abs/1507.06228)
    """

    def __init__(
        self,
        kernel_size: int = 3,
        dilation_rate: int = 1,
        transform_bias: float = -2.0,
        normalization: str = "none",
        **kwargs: Any,
    ):
        super().__init__(normalization=normalization, **kwargs)
        self.kernel_size = _checks.integer("kernel_size", kernel_size)
        self.dilation_rate = _checks.integer("dilation_rate", dilation_rate)
        self.transform_bias = checked_transform_bias(transform_bias)
        self.hidden = self.gate = None

    def plan(self, input_shape: Shape) -> Plan:
        if self.hidden is None:
            shape = (self.channels_of(input_shape), self.kernel_size)
            self.hidden = ConvNorm(
                *shape, dilation_rate=self.dilation_rate, name="hidden", **self.block_options()
            )
            self.gate = Convolution(
                *shape,
                dilation_rate=self.dilation_rate,
                use_bias=True,
                bias_initializer=keras.initializers.Constant(self.transform_bias),
                kernel_initializer=fresh_initializer(self.kernel_initializer, 1),
                kernel_regularizer=self.kernel_regularizer,
                name="gate",
                **self.sublayer_options(),
            )
        steps, output_shape = chain([self.hidden], input_shape)
        return [*steps, (self.gate, input_shape)], output_shape

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        hidden = self.hidden(inputs, training=training)
        return carried(hidden, ops.sigmoid(self.gate(inputs)), inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "dilation_rate": self.dilation_rate,
            "transform_bias": self.transform_bias,
        }
