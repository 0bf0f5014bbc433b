"""TensorFlow on a CPU: gradients of kernels as matrix products, where these are faster."""

import itertools
import math

import keras

from keras_residual.layers.devices import on_accelerator
from keras_residual.layers.strides import Strides, for_each_axis

# The products are faster with this many channels up to these many output positions; strided, the
# image has a border.
_MANY_CHANNELS, _POSITIONS, _POSITIONS_STRIDED = 256, 14 * 14, 8 * 8


def products_pay(x, kernel, strides: Strides) -> bool:
    """Returns whether a gradient as matrix products is faster than the kernel of oneDNN.

    Measured in batches of 8 on two cores with AMX, time of oneDNN's kernel over that of the
    products, 3×3 in bfloat16: 1.08 for 14² positions of 256 channels, 1.67 for 7² of 512, but 0.2
    to 0.9 for larger images, fewer channels, and in float32. A training step of ResNet-18 becomes
    1.06 times as fast. Pointwise kernels gain up to 1.4 by themselves, but nothing in a step.
    """
    if keras.backend.backend() != "tensorflow" or len(x.shape) != 4 or on_accelerator():
        return False
    dtype, sizes = keras.backend.standardize_dtype(x.dtype), x.shape[1:3]
    *kernel_size, channels, filters = kernel.shape
    if dtype != "bfloat16" or math.prod(kernel_size) == 1 or None in (*sizes, channels, filters):
        return False
    steps = for_each_axis(strides, 2)
    positions = math.prod(-(-size // step) for size, step in zip(sizes, steps, strict=True))
    limit = _POSITIONS_STRIDED if max(steps) > 1 else _POSITIONS
    return min(channels, filters) >= _MANY_CHANNELS and positions <= limit


def convolve_tensorflow(x, kernel, strides: Strides, mode: str):
    """Convolves a channels-last batch of images; the gradient of the kernel is matrix products.

    Args:
        x: `(batch, height, width, channels)`.
        kernel: `(height, width, channels, filters)`.
        strides: Positive integer, or one for each spatial axis.
        mode: `"same"` without strides, or `"valid"`.
    """
    import tensorflow as tf

    options = {"strides": [1, *for_each_axis(strides, 2), 1], "padding": mode.upper()}

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradient(outputs):
            by_x = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=outputs, **options
            )
            return by_x, _kernel_gradient(x, outputs, kernel.shape, strides, mode)

        return tf.raw_ops.Conv2D(input=x, filter=kernel, **options), gradient

    return convolve(x, kernel)


def _kernel_gradient(x, gradient, kernel_shape, strides, mode):
    """One matrix product for each position of the kernel."""
    import tensorflow as tf

    *kernel_size, channels, filters = kernel_shape
    if mode == "same":
        borders = [((size - 1) // 2, size // 2) for size in kernel_size]
        x = tf.pad(x, [(0, 0), *borders, (0, 0)])
    sizes, steps = gradient.shape[1:-1], for_each_axis(strides, 2)
    gradient = tf.reshape(gradient, (-1, filters))
    products = []
    for starts in itertools.product(*map(range, kernel_size)):
        seen = [
            slice(start, start + (size - 1) * step + 1, step)
            for start, size, step in zip(starts, sizes, steps, strict=True)
        ]
        rows = tf.reshape(x[:, *seen], (-1, channels))
        products.append(tf.matmul(rows, gradient, transpose_a=True))
    return tf.reshape(tf.stack(products), kernel_shape)
