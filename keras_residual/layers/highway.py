"""Highway layers, in which a learned gate mixes input and output."""

from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers.adaptation import AdaptedSublayers
from keras_residual.layers.composite import (
    checked_activation,
    checked_initializer,
    checked_regularizer,
    fresh_initializer,
)
from keras_residual.layers.registration import registered


def carried(hidden: Tensor, gate: Tensor, inputs: Tensor) -> Tensor:
    """Returns gate · hidden + (1 - gate) · inputs."""
    return ops.add(inputs, ops.multiply(gate, ops.subtract(hidden, inputs)))


def checked_transform_bias(transform_bias) -> float:
    """Returns the checked initial value of a transform gate's biases."""
    return _checks.real("transform_bias", transform_bias, -100.0, 100.0)


@registered
class Highway(AdaptedSublayers, keras.layers.Layer):
    """A dense highway layer: y = T(x) · H(x) + (1 - T(x)) · x.

    H(x) = act(W_H x + b_H) and the transform gate T(x) = sigmoid(W_T x + b_T). The biases b_T start
    below zero, so that at first the input passes nearly unchanged through any number of layers.

    Args:
        activation: Keras activation of H. Defaults to `"relu"`.
        transform_bias: Number at which b_T starts; -1 to -3 in the paper, less for deeper networks.
            Defaults to `-1`.
        kernel_initializer: Initializer of both kernels. Defaults to `"glorot_uniform"`.
        kernel_regularizer: Optional regularizer of both kernels.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: `(batch, ..., features)`, floating point.

    Returns:
        Same shape as the inputs. A mask is handed on.

    Raises:
        ValueError: If an argument is out of range, or the number of features is unknown.

    Example:

    >>> tuple(Highway(transform_bias=-2.0)(keras.ops.ones((2, 8))).shape)
    (2, 8)

    Reference:
        - [Srivastava et al., 2015](https://arxiv.org/abs/1507.06228)
    """

    def __init__(
        self,
        activation: Identifier | None = "relu",
        transform_bias: float = -1.0,
        kernel_initializer: Identifier | None = "glorot_uniform",
        kernel_regularizer: Identifier | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.activation = checked_activation(activation)
        self.transform_bias = checked_transform_bias(transform_bias)
        self.kernel_initializer = checked_initializer(kernel_initializer)
        self.kernel_regularizer = checked_regularizer(kernel_regularizer)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"{self.name!r} takes inputs of shape (batch, ..., features) with a known number "
                f"of features. Received: input_shape={tuple(input_shape)}"
            )
        bias = keras.initializers.Constant(self.transform_bias)
        self.hidden = self._dense(0, input_shape[-1], self.activation, "zeros", "hidden")
        self.gate = self._dense(1, input_shape[-1], "sigmoid", bias, "gate")
        for dense in (self.hidden, self.gate):
            dense.build(input_shape)
        self.adapt_sublayers()

    def _dense(self, index, units, activation, bias_initializer, name):
        return keras.layers.Dense(
            units,
            activation,
            kernel_initializer=fresh_initializer(self.kernel_initializer, index),
            bias_initializer=bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs: Tensor) -> Tensor:
        return carried(self.hidden(inputs), self.gate(inputs), inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "transform_bias": self.transform_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
