"""A loop that runs a stack of LSTM layers at once, with a custom gradient.

Layer `l` at time `t` needs only `(l - 1, t)` and `(l, t - 1)`, so the cells on one anti-diagonal of
(layer, time) are computed as one batched product, in `T + L - 1` steps instead of `T · L`. The
gradient of the weights is one large product outside the loop.
"""

from keras import ops

from keras_residual.layers.lstm.cell import gradient_factors, gradient_step
from keras_residual.layers.lstm.loops import LoopOptions, plus, skipped_steps, times


def run_wavefront(options: LoopOptions, length, x, weights, states, residual, mask, dropout):
    """Runs a stack of layers of one width over a whole sequence.

    Args:
        options: The options of the loop.
        length: Number of time steps; an integer, or on TensorFlow a scalar tensor.
        x: `(time, batch, units)`.
        weights: `(kernels, biases)`: `(layers, 2 · units, 4 · units)`, each kernel above its
            recurrent kernel, and `(layers, 1, 4 · units)` or `None`.
        states: `(h, c)`, each `(layers, batch, units)`.
        residual: For each layer, whether its input is added to its output.
        mask: `(time, batch)`, false at steps to skip, or `None`.
        dropout: The factors of inputs and `h`, concatenated: `(layers, batch, 2 · units)`, or
            `None`.

    Returns:
        The outputs `(time, batch, units)` and the last `h` and `c`.
    """
    late = len(residual) - 1
    cells = _cell_mask(length, late + 1, mask)
    arguments = (_pad_time(x, 0, late), *weights, *states, cells, dropout)
    static = (tuple(residual), length + late)

    def forward(options, *rest):
        return options.bound(_wavefront_forward, *rest[:3])(*rest[3:])

    def backward(options, *rest):
        return options.bound(_wavefront_backward, *rest[:2])(*rest[2:])

    outputs, h, c = options.differentiable(forward, backward, static, arguments)
    return outputs[late:], h, c


def _cell_mask(length, layers, mask):
    """Returns `(steps, layers, batch or 1, 1)`: whether a layer is active in a step of the loop."""
    times = ops.ones((length, 1), "bool") if mask is None else mask
    rows = [_pad_time(times, layer, layers - 1 - layer) for layer in range(layers)]
    return ops.expand_dims(ops.stack(rows, axis=1), -1)


def _pad_time(x, before, after):
    return ops.pad(x, [(before, after)] + [(0, 0)] * (len(x.shape) - 1))


def _add_residual(residual, y, inputs):
    """Returns `y` plus the inputs of the residual layers."""
    if not any(residual):
        return y
    if all(residual):
        return y + inputs
    chosen = ops.reshape(ops.convert_to_tensor(residual, dtype="bool"), (-1, 1, 1))
    return y + ops.where(chosen, inputs, ops.zeros((), inputs.dtype))


def _wavefront_forward(options, residual, steps, save, x, W, b, h, c, mask, dropout):
    def step(carry, inputs):
        out, h, c = carry
        x, mask = inputs
        below = ops.concatenate([ops.expand_dims(x, 0), out[:-1]], axis=0)
        a = times(ops.concatenate([below, h], axis=-1), dropout)
        z = plus(ops.matmul(a, W), b)
        h_new, c_new = options.cell(z, c)
        h_new = ops.where(mask, ops.cast(h_new, h.dtype), h)
        out = _add_residual(residual, h_new, below)
        kept = (a, ops.cast(c, h.dtype), z)[: len(specs) - 1]
        return (out, h_new, ops.where(mask, c_new, c)), (out[-1], *kept)

    layers, batch, units = h.shape
    specs = [((batch, units), h.dtype)]
    if save:
        widths = (2, 1) if options.rematerialize else (2, 1, 4)
        specs += [((layers, batch, width * units), h.dtype) for width in widths]
    carry = (ops.zeros_like(h), h, c)
    (_, *last), (tops, *kept) = options.scan(step, carry, (x, mask), specs, steps)
    return (tops, *last), (W, b, c, mask, dropout, *kept)


def _wavefront_backward(options, residual, steps, saved, d_tops, dh, dc):
    W, b, c, mask, dropout, a, cs, *zs = saved
    dtype, (layers, batch, units) = a.dtype, c.shape
    W_t = ops.swapaxes(W, 1, 2)

    def step(carry, inputs):
        d_below, dh, dc = carry
        d_top, skipped, mask, c_before, *kept = inputs
        z = plus(ops.matmul(kept[0], W), b) if options.rematerialize else kept[0]
        factors = gradient_factors(ops.cast(z, c.dtype), ops.cast(c_before, c.dtype), mask)
        d_out = ops.concatenate([d_below, ops.expand_dims(d_top, 0)], axis=0)
        dh = dh + ops.cast(d_out, c.dtype)
        dz, dc = gradient_step(factors, dh, dc)
        dz = ops.cast(dz, dtype)
        d_inputs, dh_before = ops.split(times(ops.matmul(dz, W_t), dropout), 2, axis=-1)
        d_inputs = _add_residual(residual, d_inputs, d_out)
        dh = ops.cast(dh_before, c.dtype) + dh * skipped
        return (d_inputs[1:], dh, dc), (dz, d_inputs[0])

    (_, dh, dc), (dz, dx) = options.scan(
        step,
        (ops.zeros_like(ops.cast(c, dtype))[1:], ops.cast(dh, c.dtype), dc),
        (d_tops, skipped_steps(mask, c.dtype), mask, cs, a if options.rematerialize else zs[0]),
        [((layers, batch, 4 * units), dtype), ((batch, units), dtype)],
        steps,
        reverse=True,
    )
    dW = ops.einsum("tlbi,tlbo->lio", a, dz)
    db = None if b is None else ops.expand_dims(ops.sum(dz, axis=(0, 2)), 1)
    return dx, dW, db, ops.cast(dh, dtype), dc, None, None
