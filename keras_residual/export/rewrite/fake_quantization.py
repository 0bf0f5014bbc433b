"""Layers that compute with the values integers can hold, and let gradients through."""

import keras
from keras import ops

from keras_residual.layers.convolution import Convolution
from keras_residual.layers.registration import registered

_STEPS = 255
_KERAS = keras.layers
_CONVOLUTIONS = (_KERAS.Conv1D, _KERAS.Conv2D, _KERAS.Conv3D)
WITH_KERNEL = (Convolution, _KERAS.Dense, *_CONVOLUTIONS)
# Of a range, what one batch contributes.
_SHARE = 0.05


@registered
class FakeQuantize(keras.layers.Layer):
    """Rounds to 256 values between a lowest and a highest, which follow the data in training.

    Zero is one of the values. The gradient is that of a clipping to the range.

    Args:
        fixed: Whether the range is that of int8's softmax and sigmoid, 0 to 255/256.
    """

    # Off, the layer lets everything pass.
    active = True

    def __init__(self, fixed: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.fixed = fixed

    def build(self, input_shape):
        options = {"shape": (), "trainable": False}
        highest = keras.initializers.Constant(255 / 256 if self.fixed else 0.0)
        self.lowest = self.add_weight(name="lowest", initializer="zeros", **options)
        self.highest = self.add_weight(name="highest", initializer=highest, **options)

    def widen(self, values) -> None:
        """Takes the values' range in."""
        if self.fixed:
            return
        self.lowest.assign(ops.minimum(self.lowest, ops.min(values)))
        self.highest.assign(ops.maximum(self.highest, ops.max(values)))

    def call(self, inputs, training=None):
        if not self.active:
            return inputs
        if training and not self.fixed:
            for limit, found in ((self.lowest, ops.min(inputs)), (self.highest, ops.max(inputs))):
                found = ops.cast(ops.stop_gradient(found), limit.dtype)
                limit.assign(limit + _SHARE * (found - limit))
        low, high, step = self.grid()
        clipped = ops.clip(inputs, low, high)
        rounded = ops.round((clipped - low) / step) * step + low
        return clipped + ops.stop_gradient(rounded - clipped)

    def grid(self):
        """Returns the lowest and the highest value and the step, zero being on the grid."""
        lowest, highest = ops.minimum(self.lowest, 0.0), ops.maximum(self.highest, 0.0)
        step = ops.maximum(highest - lowest, 1e-5) / _STEPS
        low = ops.round(lowest / step) * step
        return low, low + _STEPS * step, step

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "fixed": self.fixed}


@registered
class QuantizedKernel(keras.layers.Layer):
    """A convolution or dense layer whose kernel is rounded to 255 values around zero.

    Each output channel of a convolution has a range of its own, a dense layer one.

    Args:
        layer: A `Convolution`, a convolution of Keras or a `Dense`, linear.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        if isinstance(layer, dict):
            layer = keras.saving.deserialize_keras_object(layer)
        self.layer = layer

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)

    def limits(self):
        """Returns the largest magnitude of each channel, or of all of a dense layer's kernel."""
        kernel = ops.convert_to_tensor(self.layer.kernel)
        axes = None if isinstance(self.layer, _KERAS.Dense) else range(len(kernel.shape) - 1)
        return ops.maximum(ops.max(ops.abs(kernel), axis=axes and tuple(axes)), 1e-8)

    def call(self, inputs):
        kernel = ops.convert_to_tensor(self.layer.kernel)
        step = ops.stop_gradient(self.limits()) / 127
        rounded = ops.round(kernel / step) * step
        return self.compute(inputs, kernel + ops.stop_gradient(rounded - kernel))

    def compute(self, inputs, kernel):
        """Returns what the layer computes with another kernel."""
        layer = self.layer
        if isinstance(layer, _KERAS.Dense):
            outputs = ops.matmul(inputs, kernel)
        else:
            outputs = layer.convolution_op(inputs, kernel)
        bias = None if isinstance(layer, Convolution) else layer.bias
        if bias is not None and getattr(layer, "data_format", None) == "channels_first":
            bias = ops.reshape(bias, (-1, *[1] * (len(outputs.shape) - 2)))
        return outputs if bias is None else ops.add(outputs, bias)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}
