"""Reference implementations of the layers in a few lines of NumPy each, channels last."""

import numpy as np


def windows(x, kernel_size, strides, dilation=1):
    """Returns every `strides`-th window: `(batch, *out, channels, *kernel)`."""
    axes = tuple(range(1, x.ndim - 1))
    reach = [dilation * (size - 1) + 1 for size in kernel_size]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
    steps = np.broadcast_to(strides, len(axes))
    every = (slice(None), *[slice(None, None, step) for step in steps], slice(None))
    return view[(*every, *[slice(None, None, dilation)] * len(axes))]


def pad(x, before, after, mode="constant", **options):
    """Pads the spatial axes of `x` by one number per axis on each side."""
    widths = [(0, 0), *zip(before, after, strict=True), (0, 0)]
    return np.pad(x, widths, mode, **options)


def convolve(x, kernel, strides=1, dilation=1, groups=1):
    """Convolves with `(size - 1) // 2` zeros before and `size // 2` after, dilated alike."""
    sizes = kernel.shape[:-2]
    x = pad(
        x, [d * dilation // 2 for d in before(sizes)], [d * dilation // 2 for d in after(sizes)]
    )
    view = windows(x, sizes, strides, dilation)
    parts = []
    for part, weights in zip(
        np.split(view, groups, axis=x.ndim - 1), np.split(kernel, groups, axis=-1), strict=True
    ):
        moved = np.moveaxis(weights, -2, 0)  # channels, *kernel, filters
        parts.append(np.tensordot(part, moved, moved.ndim - 1))
    return np.concatenate(parts, axis=-1)


def before(sizes):
    return [2 * ((size - 1) // 2) for size in sizes]


def after(sizes):
    return [2 * (size // 2) for size in sizes]


def batch_norm(x, gamma, beta, epsilon):
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta, mean, variance


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
