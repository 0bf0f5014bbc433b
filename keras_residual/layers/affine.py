import contextlib
import contextvars
from collections.abc import Iterator

import keras
from keras import ops

from keras_residual.layers.registration import registered

_as_convolutions = contextvars.ContextVar("as_convolutions", default=False)


@contextlib.contextmanager
def affine_as_convolutions() -> Iterator[None]:
    """Lets scales and offsets of feature maps be depthwise 1×1 convolutions inside.

    The numbers are the same. Quantization gives a convolution a scale for each channel, and rounds
    its output once; of a product and a sum it rounds both, by one scale for all channels.
    """
    before = _as_convolutions.set(True)
    try:
        yield
    finally:
        _as_convolutions.reset(before)


@registered
class Affine(keras.layers.Layer):
    """A scale and an offset for each channel: a batch normalization once its statistics are fixed.

    Args:
        axis: Axis of the channels.
    """

    def __init__(self, axis: int = -1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape):
        shape = (input_shape[self.axis],)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")
        self.offset = self.add_weight(name="offset", shape=shape, initializer="zeros")

    def call(self, inputs):
        rank = len(inputs.shape)
        if _as_convolutions.get() and rank == 4 and self.axis in (-1, rank - 1):
            kernel = ops.reshape(self.scale, (1, 1, -1, 1))
            scaled = ops.depthwise_conv(
                inputs, kernel, strides=1, padding="valid", data_format="channels_last"
            )
            return scaled + self.offset
        shape = [1] * rank
        shape[self.axis] = -1
        return inputs * ops.reshape(self.scale, shape) + ops.reshape(self.offset, shape)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
