"""JAX on a CPU: convolutions with gradients rewritten as operations that XLA runs fast."""

import functools
import itertools

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

    rank = len(padding)
    spatial = "DHW"[-rank:]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=for_each_axis(strides, rank),
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
    """One matrix product for each position of the kernel."""
    import jax

    *kernel_size, channels, filters = kernel_shape
    sizes = gradient.shape[1:-1]
    steps = for_each_axis(strides, len(sizes))
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
