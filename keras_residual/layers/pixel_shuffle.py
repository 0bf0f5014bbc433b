from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers.composite import checked_initializer, fresh_initializer
from keras_residual.layers.enlarging import EnlargingLayer
from keras_residual.layers.registration import registered


@registered
class PixelShuffle(EnlargingLayer):
    """Depth to space: moves channels into blocks of `scale` positions along every spatial axis.

    y[…, scale·i + p, c] = x[…, i, p·channels + c], p counting the positions of a block row by row,
    in the channel order of TensorFlow's `depth_to_space` (PyTorch's `PixelShuffle` has p and c the
    other way round). For images on TensorFlow it is that operation, which LiteRT and ONNX support.

    Args:
        **kwargs: Those of `EnlargingLayer`.

    Call arguments:
        inputs: `(batch, *spatial, scale**axes * channels)`, one to three spatial axes.

    Returns:
        `(batch, *(scale * spatial), channels)`.

    Raises:
        ValueError: If `scale` is not a positive integer, or `scale**axes` does not divide the
            input's channels.

    Example:

    >>> keras.ops.shape(PixelShuffle(2)(keras.ops.ones((1, 3, 5, 8))))
    (1, 6, 10, 2)

    Reference:
        - [Shi et al., 2016](https://arxiv.org/abs/1609.05158)
    """

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = self.channels_of(input_shape)
        axes = len(input_shape) - 2
        positions = self.scale**axes
        if channels % positions:
            raise ValueError(
                f"PixelShuffle {self.name!r} needs channels that scale**{axes} = "
                f"{positions} divides. Received: input_shape={input_shape}"
            )
        return self.enlarged(input_shape, channels // positions)

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.moveaxis(inputs, 1, -1) if self.channels_first else inputs
        fused = keras.backend.backend() == "tensorflow" and len(x.shape) == 4 and self.scale > 1
        x = (depth_to_space_tensorflow if fused else depth_to_space)(x, self.scale)
        return ops.moveaxis(x, -1, 1) if self.channels_first else x


def depth_to_space(x, scale: int):
    """Portable implementation for channels-last tensors of any rank."""
    rank = len(x.shape) - 2
    channels = x.shape[-1] // scale**rank
    spatial = ops.shape(x)[1:-1]
    x = ops.reshape(x, [-1, *spatial, *[scale] * rank, channels])
    pairs = [axis for n in range(rank) for axis in (1 + n, 1 + rank + n)]
    x = ops.transpose(x, [0, *pairs, 2 * rank + 1])
    return ops.reshape(x, [-1, *(size * scale for size in spatial), channels])


def depth_to_space_tensorflow(x, scale: int):
    """TensorFlow's own operation, for which converters have a builtin."""
    import tensorflow as tf

    return tf.nn.depth_to_space(x, scale)


@registered
class ICNR(keras.initializers.Initializer):
    """Initializes the convolution before a `PixelShuffle` without checkerboard artifacts.

    All positions of a block get the same kernel, so that the two start as a convolution followed by
    nearest-neighbour upsampling.

    Args:
        scale: Positive integer, the scale of the `PixelShuffle`.
        initializer: Initializer of the one kernel; `None` for He normal by fan-out.

    Raises:
        ValueError: If an argument is out of range, or the scale does not fit the filters.

    Example:

    >>> conv = keras.layers.Conv2D(8, 3, kernel_initializer=ICNR(2))

    Reference:
        - [Aitken et al., 2017](https://arxiv.org/abs/1707.02937)
    """

    def __init__(self, scale: int, initializer: Identifier | None = None):
        self.scale = _checks.integer("scale", scale)
        self.initializer = checked_initializer(initializer)

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        *size, channels, filters = shape
        positions = self.scale ** len(size)
        if filters % positions:
            raise ValueError(
                f"ICNR needs filters that scale**{len(size)} = {positions} divides. "
                f"Received: shape={tuple(shape)}"
            )
        kernel = fresh_initializer(self.initializer)((*size, channels, filters // positions), dtype)
        return ops.tile(kernel, [1] * (len(size) + 1) + [positions])

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "initializer": keras.initializers.serialize(self.initializer),
        }
