"""JAX on a CPU: convolution and pooling, their gradients as operations that XLA runs fast."""

import functools
import itertools
import math

from keras_residual.layers.linear_maps import LinearMap, is_zero
from keras_residual.layers.strides import Strides, for_each_axis


def convolve_jax(x, kernel, strides: Strides, padding: list[tuple[int, int]], dilation_rate: int):
    """Convolves a channels-last tensor; reverse-mode gradients use the functions below.

    XLA compiles its own gradients to generic loops: a bottleneck block's backward pass takes 35 to
    60 ms inside a scan and 5 to 14 ms outside of one. With these functions it takes 4 to 9 ms in
    both.
    """
    return _differentiable(strides, tuple(map(tuple, padding)), dilation_rate)(x, kernel)


@functools.cache
def _differentiable(*options):
    """Returns the convolution with these strides, padding and dilation rate."""
    import jax

    @jax.custom_jvp
    def convolve(x, kernel):
        return _convolve(x, kernel, *options)

    def tangent_by_x(residuals, tangents):
        return (convolve(*tangents, *residuals),)

    def tangent_by_kernel(residuals, tangents):
        return (convolve(*residuals, *tangents),)

    def differentiate(primals, tangents):
        (x, kernel), (dx, dkernel) = primals, tangents
        outputs, found = convolve(x, kernel), []
        if not is_zero(dx):
            sizes = x.shape[1:-1]
            by_x = LinearMap(
                tangent_by_x, lambda kept, g: (_input_gradient(*g, *kept, sizes, *options),)
            )
            found += by_x((kernel,), (dx,), (outputs,))
        if not is_zero(dkernel):
            shape = kernel.shape
            by_kernel = LinearMap(
                tangent_by_kernel, lambda kept, g: (_kernel_gradient(*g, *kept, shape, *options),)
            )
            found += by_kernel((x,), (dkernel,), (outputs,))
        return outputs, sum(found[1:], found[0])

    convolve.defjvp(differentiate, symbolic_zeros=True)
    return convolve


def _convolve(x, kernel, strides, padding, dilation_rate):
    import jax

    rank, steps = len(padding), for_each_axis(strides, len(padding))
    if math.prod(kernel.shape[:-2]) == math.prod(steps) == 1 and not any(map(sum, padding)):
        # The same as a matrix product, which XLA runs faster.
        x, shape = x.reshape(-1, x.shape[-1]), (*x.shape[:-1], kernel.shape[-1])
        return (x @ kernel.reshape(kernel.shape[-2:])).reshape(shape)
    spatial = "DHW"[-rank:]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=steps,
        padding=padding,
        rhs_dilation=(dilation_rate,) * rank,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
    )


def _input_gradient(gradient, kernel, sizes, strides, padding, dilation_rate):
    """Computes it as a convolution of the dilated gradient with the flipped kernel."""
    import jax

    borders = []
    steps = for_each_axis(strides, len(sizes))
    for axis, (size, step, (before, _)) in enumerate(zip(sizes, steps, padding, strict=True)):
        reach = (kernel.shape[axis] - 1) * dilation_rate
        spread = (gradient.shape[axis + 1] - 1) * step + 1
        borders.append((reach - before, size + before - spread, step - 1))
    zero = gradient.dtype.type(0)
    gradient = jax.lax.pad(gradient, zero, [(0, 0, 0), *borders, (0, 0, 0)])
    turned = jax.numpy.flip(kernel, range(len(sizes))).swapaxes(-1, -2)
    return convolve_jax(gradient, turned, 1, [(0, 0)] * len(sizes), dilation_rate)


def _kernel_gradient(gradient, x, kernel_shape, strides, padding, dilation_rate):
    """One convolution, or one matrix product for each position of the kernel."""
    import jax

    *kernel_size, channels, filters = kernel_shape
    sizes = gradient.shape[1:-1]
    steps = for_each_axis(strides, len(sizes))
    if math.prod(kernel_size) > 1 and math.prod(steps) == dilation_rate == 1:
        return _convolved_kernel_gradient(gradient, x, padding)
    x = jax.numpy.pad(x, [(0, 0), *padding, (0, 0)])
    gradient = gradient.reshape(-1, filters)
    products = []
    for position in itertools.product(*map(range, kernel_size)):
        starts = [offset * dilation_rate for offset in position]
        seen = [
            slice(start, start + (size - 1) * step + 1, step)
            for start, size, step in zip(starts, sizes, steps, strict=True)
        ]
        products.append(x[:, *seen].reshape(-1, channels).T @ gradient)
    return jax.numpy.stack(products).reshape(kernel_shape)


def _convolved_kernel_gradient(gradient, x, padding):
    """Convolves the images with the gradient, the examples in the place of the channels.

    One to three times as fast as the matrix products. Without the barrier XLA takes the transposes
    into the convolution, and runs that over a hundred times as long inside of a loop.
    """
    import jax
    from jax import numpy as jnp

    rank = len(padding)
    images, kernel = jax.lax.optimization_barrier(
        (jnp.swapaxes(x, 0, -1), jnp.moveaxis(gradient, 0, rank))
    )
    return jnp.moveaxis(_convolve(images, kernel, 1, padding, 1), 0, rank)


def max_pool_jax(x, size: int, strides: int):
    """Returns maxima over windows without padding; the first of equal values has the gradient.

    XLA computes its own gradient by searching all windows again: of a training step of ResNet-18
    it took a seventh.
    """
    return _differentiable_pool(size, strides)(x)


@functools.cache
def _differentiable_pool(size, step):
    """Returns the pooling of channels-last tensors with this size and these strides."""
    import jax
    from jax import numpy as jnp

    @jax.custom_jvp
    def pool(x):
        return functools.reduce(jnp.maximum, _windows(x, size, step))

    def tangent(residuals, tangents):
        chosen = _first_maxima(*residuals, size, step)
        windows = _windows(tangents[0], size, step)
        terms = [jnp.where(mask, w, 0) for mask, w in zip(chosen, windows, strict=True)]
        return (sum(terms[1:], terms[0]),)

    def transposed(residuals, gradients):
        chosen = _first_maxima(*residuals, size, step)
        terms = [jnp.where(mask, gradients[0], 0) for mask in chosen]
        return (_placed(terms, residuals[0].shape, size, step),)

    def differentiate(primals, tangents):
        outputs = pool(*primals)
        by_x = LinearMap(tangent, transposed)
        return outputs, by_x((*primals, outputs), tangents, (outputs,))[0]

    pool.defjvp(differentiate)
    return pool


def _windows(x, size, step):
    """Returns the values at each position of the windows, in the windows' order."""
    counts = [(length - size) // step + 1 for length in x.shape[1:-1]]
    return [
        x[
            :,
            *(
                slice(start, start + (count - 1) * step + 1, step)
                for start, count in zip(position, counts, strict=True)
            ),
        ]
        for position in itertools.product(range(size), repeat=len(counts))
    ]


def _first_maxima(x, outputs, size, step):
    """Returns for each position of the windows where it has the first of the largest values."""
    found, taken = [], None
    for window in _windows(x, size, step):
        largest = window == outputs
        found.append(largest if taken is None else largest & ~taken)
        taken = largest if taken is None else largest | taken
    return found


def _placed(terms, shape, size, step):
    """Adds the values for each position of the windows into an array of the input's shape.

    Positions that are a multiple of the strides apart hit the same places. Each such set is added
    up by itself and all are interleaved at the end, which XLA runs faster than a sum with gaps.
    """
    from jax import numpy as jnp

    sizes = shape[1:-1]
    rank, counts = len(sizes), terms[0].shape[1:-1]
    blocks = [-(-length // step) for length in sizes]
    sums = {}
    positions = itertools.product(range(size), repeat=rank)
    for position, term in zip(positions, terms, strict=True):
        shifts = [at // step for at in position]
        rest = [
            (shift, block - shift - count)
            for shift, block, count in zip(shifts, blocks, counts, strict=True)
        ]
        padded = jnp.pad(term, [(0, 0), *rest, (0, 0)])
        phase = tuple(at % step for at in position)
        sums[phase] = padded if phase not in sums else sums[phase] + padded
    zeros = jnp.zeros_like(next(iter(sums.values())))
    phases = [sums.get(phase, zeros) for phase in itertools.product(range(step), repeat=rank)]
    x = jnp.stack(phases, axis=-2).reshape(shape[0], *blocks, *[step] * rank, shape[-1])
    order = [0, *(axis for pair in range(1, rank + 1) for axis in (pair, pair + rank)), -1]
    x = x.transpose([axis % x.ndim for axis in order])
    x = x.reshape(shape[0], *(block * step for block in blocks), shape[-1])
    return x[:, *(slice(0, length) for length in sizes)]
