"""Pooling in both data formats: CPU kernels of TensorFlow and JAX support channels-last only."""

import keras
from keras import ops

from keras_residual.layers._convolution.jax import max_pool_jax
from keras_residual.layers.devices import on_accelerator


def average_pool(x, size: int, strides: int, padding: str, channels_first: bool):
    """Returns averages over windows of `size` on each spatial axis."""
    return _pool(ops.average_pool, x, size, strides, padding, channels_first)


def max_pool(x, size: int, strides: int, padding: str, channels_first: bool):
    """Returns maxima over windows of `size` on each spatial axis."""
    jax = keras.backend.backend() == "jax" and padding == "valid" and not on_accelerator()
    return _pool(_max_pool_jax if jax else ops.max_pool, x, size, strides, padding, channels_first)


def _max_pool_jax(x, size, strides, padding, data_format):
    del padding, data_format
    return max_pool_jax(x, size, strides)


def _pool(function, x, size, strides, padding, channels_first):
    if not channels_first:
        return function(x, size, strides, padding, data_format="channels_last")
    x = function(ops.moveaxis(x, 1, -1), size, strides, padding, data_format="channels_last")
    return ops.moveaxis(x, -1, 1)


def pooled_shape(layer, shape, strides: int):
    """Returns the shape after pooling over windows of `strides` without padding, or raises."""
    layer.strided(shape, strides)
    spatial = [None if size is None else size // strides for size in layer.spatial_of(shape)]
    return layer.shape_with(shape, spatial=spatial, channels=layer.channels_of(shape))
