"""Convolution of channels-last tensors of any rank, by the fastest method of each backend."""

import functools
import itertools
import math

import keras
from keras import ops

from keras_residual.layers._convolution.jax import convolve_jax
from keras_residual.layers._convolution.tensorflow import convolve_tensorflow, products_pay
from keras_residual.layers.strides import Strides, downsamples, for_each_axis


def symmetric_padding(kernel_size: tuple[int, ...]) -> list[tuple[int, int]]:
    """Returns k//2 zeros on both sides per axis; an even kernel gets the extra zero at the end."""
    return [((size - 1) // 2, size // 2) for size in kernel_size]


def convolve(
    x,
    kernel,
    strides: Strides = 1,
    dilation_rate: int = 1,
    groups: int = 1,
    training: bool = False,
):
    """Convolves a channels-last tensor, padded symmetrically so that sizes become ceil(n/strides).

    Keras' "same" pads a strided convolution at the end only, which shifts the grid against the
    papers' code and PyTorch; without strides both agree and the framework pads for free. With
    `training` the form is chosen whose gradient is fastest.
    """
    kernel_size = tuple(kernel.shape[:-2])
    steps = for_each_axis(strides, len(kernel_size))
    if len(kernel_size) == 3 and kernel_size[0] == 1:
        return _convolve_frames(x, kernel, steps, dilation_rate, groups, training)
    if len(kernel_size) == 3 and kernel_size[1:] == (1, 1):
        return _convolve_time(x, kernel, steps, dilation_rate, groups, training)
    strided = downsamples(steps)
    if strided and dilation_rate > 1:
        window = (slice(None), *[slice(None, None, step) for step in steps], slice(None))
        if len({*steps}) == 1 and dilation_rate % steps[0] == 0:
            # Then every `strides`-th position is all that is read.
            return convolve(x[window], kernel, 1, dilation_rate // steps[0], groups, training)
        return convolve(x, kernel, 1, dilation_rate, groups, training)[window]
    pointwise = all(size == 1 for size in kernel_size)
    mode = "valid" if strided or pointwise else "same"
    if strided and not pointwise:
        x = ops.pad(x, [(0, 0), *symmetric_padding(kernel_size), (0, 0)])
    if groups > 1:
        return _grouped(x, kernel, strides, mode, dilation_rate, groups)
    if training and dilation_rate == 1 and products_pay(x, kernel, strides):
        return convolve_tensorflow(x, kernel, strides, mode)
    return _dense(x, kernel, strides, mode, dilation_rate)


def convolve_unpadded(x, kernel, groups: int = 1):
    """Convolves a channels-last tensor without padding."""
    if groups == 1:
        return _dense(x, kernel, 1, "valid", 1)
    return _grouped(x, kernel, 1, "valid", 1, groups)


def _convolve_frames(x, kernel, strides, *options):
    """Applies a kernel of one frame as a 2-D convolution over all frames as one batch.

    3-D convolutions are slow on CPUs and unsupported by the accelerators of phones.
    """
    x = _every(x, strides[0])
    frames, *sizes = ops.shape(x)[1:]
    x = convolve(ops.reshape(x, (-1, *sizes)), kernel[0], strides[1:], *options)
    return ops.reshape(x, (-1, frames, *ops.shape(x)[1:]))


def _every(x, step):
    """Returns every `step`-th frame; by a slice without steps where it can, as phones have it."""
    frames, *sizes = x.shape[1:]
    if step == 1:
        return x
    if None in (frames, *sizes) or frames % step:
        return x[:, ::step]
    x = ops.reshape(x, (-1, step, math.prod(sizes)))[:, :1]
    return ops.reshape(x, (-1, frames // step, *sizes))


def _convolve_time(x, kernel, strides, *options):
    """Applies a kernel of size (t, 1, 1) as a 2-D convolution over (frames, positions)."""
    x = x[:, :, :: strides[1], :: strides[2]] if max(strides[1:]) > 1 else x
    frames, height, width, channels = ops.shape(x)[1:]
    x = ops.reshape(x, (-1, frames, height * width, channels))
    x = convolve(x, kernel[:, 0], (strides[0], 1), *options)
    return ops.reshape(x, (-1, ops.shape(x)[1], height, width, x.shape[-1]))


def _dense(x, kernel, strides, mode, dilation_rate):
    if keras.backend.backend() == "jax" and _jax_runs_on_cpu():
        reaches = [(size - 1) * dilation_rate * (mode == "same") for size in kernel.shape[:-2]]
        padding = [(reach // 2, reach - reach // 2) for reach in reaches]
        return convolve_jax(x, kernel, strides, padding, dilation_rate)
    return ops.conv(
        x,
        kernel,
        strides=strides,
        padding=mode,
        data_format="channels_last",
        dilation_rate=dilation_rate,
    )


def _grouped(x, kernel, strides, mode, dilation_rate, groups):
    """Selects the implementation of a grouped convolution; README's table has the timings."""
    backend = keras.backend.backend()
    dtype = keras.backend.standardize_dtype(x.dtype)
    if backend == "tensorflow" and len(x.shape) < 5 and _tensorflow_differentiates_groups(dtype):
        return grouped_tensorflow(x, kernel, strides, mode, dilation_rate)
    if backend == "tensorflow" or (backend == "jax" and _jax_runs_on_cpu()):
        if kernel.shape[-2:] == (1, groups):
            return depthwise_shifted(x, kernel, strides, mode, dilation_rate)
        return grouped_split(x, kernel, strides, mode, dilation_rate, groups)
    return _dense(x, kernel, strides, mode, dilation_rate)


def grouped_split(x, kernel, strides, mode, dilation_rate, groups):
    """Portable implementation: split the channels, convolve each group, concatenate."""
    parts = zip(ops.split(x, groups, axis=-1), ops.split(kernel, groups, axis=-1), strict=True)
    return ops.concatenate(
        [_dense(part, weight, strides, mode, dilation_rate) for part, weight in parts], axis=-1
    )


def depthwise_shifted(x, kernel, strides, mode, dilation_rate):
    """Depthwise convolution as a sum of shifted inputs, each scaled channel by channel."""
    sizes = kernel.shape[:-2]
    steps = for_each_axis(strides, len(sizes))
    reaches = [(size - 1) * dilation_rate for size in sizes]
    if mode == "same":
        x = ops.pad(x, [(0, 0), *((reach // 2, reach - reach // 2) for reach in reaches), (0, 0)])
    counts = [
        (length - reach - 1) // step + 1
        for length, reach, step in zip(ops.shape(x)[1:-1], reaches, steps, strict=True)
    ]
    total = None
    for position in itertools.product(*map(range, sizes)):
        seen = [
            slice(at * dilation_rate, at * dilation_rate + (count - 1) * step + 1, step)
            for at, count, step in zip(position, counts, steps, strict=True)
        ]
        term = x[:, *seen] * kernel[(*position, 0)]
        total = term if total is None else total + term
    return total


def grouped_tensorflow(x, kernel, strides, mode, dilation_rate):
    """Calls TensorFlow's kernels, which support groups; `ops.conv` would go through XLA."""
    import tensorflow as tf

    return tf.nn.convolution(
        x, kernel, strides=strides, padding=mode.upper(), dilations=dilation_rate
    )


@functools.cache
def _tensorflow_differentiates_groups(dtype: str) -> bool:
    """Tries it out: on a CPU only oneDNN implements the gradient, and not for float16."""
    import tensorflow as tf

    # Two channels per group: one would select the kernels of depthwise convolutions.
    with tf.init_scope():
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=(1, 3, 3, 4),
                filter=tf.ones((3, 3, 2, 4), dtype),
                out_backprop=tf.ones((1, 3, 3, 4), dtype),
                strides=[1, 1, 1, 1],
                padding="SAME",
            )
        except tf.errors.OpError:
            return False
    return True


def _jax_runs_on_cpu() -> bool:
    import jax

    return jax.default_backend() == "cpu"


def convolve_space_to_depth(x, kernel):
    """Computes a stride-2 convolution as a stride-1 one over 2×2 blocks folded into channels.

    The kernel is padded to an even size and regrouped, so the function is the same; the convolution
    sees 4× the channels at a quarter of the positions, which fills matrix units better.
    """
    kernel_size = tuple(kernel.shape[:-2])
    rank = len(kernel_size)
    shifts = [(size - 1) // 2 % 2 for size in kernel_size]
    before = [(size - 1) // 2 + shift for size, shift in zip(kernel_size, shifts, strict=True)]
    blocks = [-(-(size + shift) // 2) for size, shift in zip(kernel_size, shifts, strict=True)]
    kernel = ops.pad(
        kernel,
        [
            (shift, 2 * block - size - shift)
            for size, shift, block in zip(kernel_size, shifts, blocks, strict=True)
        ]
        + [(0, 0), (0, 0)],
    )
    x = _fold_blocks(x, before, blocks)
    channels, filters = kernel.shape[-2:]
    kernel = ops.reshape(kernel, [n for block in blocks for n in (block, 2)] + [channels, filters])
    order = [*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank, 2 * rank + 1]
    kernel = ops.reshape(ops.transpose(kernel, order), (*blocks, 2**rank * channels, filters))
    return _dense(x, kernel, 1, "valid", 1)


def _fold_blocks(x, before, blocks):
    """Pads to whole 2×2 blocks with the border the kernel needs, and moves blocks into channels."""
    rank, channels = len(before), x.shape[-1]
    shape = ops.shape(x)
    outputs = [-(-size // 2) for size in shape[1:-1]]
    counts = [output + block - 1 for output, block in zip(outputs, blocks, strict=True)]
    padding = [
        (pad, 2 * count - pad - size)
        for pad, count, size in zip(before, counts, shape[1:-1], strict=True)
    ]
    x = ops.pad(x, [(0, 0), *padding, (0, 0)])
    x = ops.reshape(x, [-1, *(n for count in counts for n in (count, 2)), channels])
    order = [0, *range(1, 2 * rank + 1, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1]
    return ops.reshape(ops.transpose(x, order), [-1, *counts, 2**rank * channels])
