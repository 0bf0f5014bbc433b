"""Pooling in both data formats: TensorFlow's and JAX' CPU kernels know channels-last only."""

from keras import ops


def average_pool(x, size: int, strides: int, padding: str, channels_first: bool):
    """Returns averages over windows of `size` on each spatial axis."""
    return _pool(ops.average_pool, x, size, strides, padding, channels_first)


def max_pool(x, size: int, strides: int, padding: str, channels_first: bool):
    """Returns maxima over windows of `size` on each spatial axis."""
    return _pool(ops.max_pool, x, size, strides, padding, channels_first)


def _pool(function, x, size, strides, padding, channels_first):
    if not channels_first:
        return function(x, size, strides, padding, data_format="channels_last")
    x = function(ops.moveaxis(x, 1, -1), size, strides, padding, data_format="channels_last")
    return ops.moveaxis(x, -1, 1)
