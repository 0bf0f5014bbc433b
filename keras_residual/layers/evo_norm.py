import math

import keras
from keras import ops

from keras_residual.layers.registration import registered


@registered
class EvoNorm(keras.layers.Layer):
    """EvoNorm-S0: normalization and nonlinearity in one, without batch statistics.

    y = x · sigmoid(v · x) / σ(x) · gamma + beta, where σ is the standard deviation over the
    positions and channels of a group. It replaces a normalization and the activation after it, so
    blocks use it with `activation=None`.

    Args:
        axis: Axis of the channels. Defaults to `-1`.
        epsilon: Number added to the variance. Defaults to `1e-5`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point; the number of groups is the largest
            power of two up to 32 that divides the channels.

    Returns:
        Same shape as the inputs.

    Reference:
        - [Liu et al., 2020](https://arxiv.org/abs/2004.02967)
    """

    def __init__(self, axis: int = -1, epsilon: float = 1e-5, gamma_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build(self, input_shape):
        shape = (input_shape[self.axis],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer=self.gamma_initializer)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        self.v = self.add_weight(name="v", shape=shape, initializer="ones")

    def call(self, inputs):
        first = self.axis == 1
        x = ops.moveaxis(inputs, 1, -1) if first else inputs
        gate = ops.sigmoid(x * ops.convert_to_tensor(self.v))
        outputs = x * gate / self._deviation(x) * self.gamma + self.beta
        return ops.moveaxis(outputs, -1, 1) if first else outputs

    def _deviation(self, x):
        channels = x.shape[-1]
        groups = math.gcd(32, channels)
        shape = ops.shape(x)
        split = ops.reshape(ops.cast(x, "float32"), (*shape[:-1], groups, channels // groups))
        axes = (*range(1, len(x.shape) - 1), len(x.shape))
        variance = ops.var(split, axis=axes, keepdims=True)
        deviation = ops.sqrt(variance + self.epsilon)
        ones = (1,) * (len(x.shape) - 2)
        deviation = ops.repeat(ops.squeeze(deviation, axes), channels // groups, axis=-1)
        return ops.cast(ops.reshape(deviation, (-1, *ones, channels)), x.dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }
