"""The loop over time of one LSTM layer, with states of shape `(units, batch)`.

On a CPU, XLA's product of the weights and a transposed state is faster than that of the state and
the weights, and each gate is contiguous. The products with the inputs are part of the same ones.
"""

from keras import ops

from keras_residual.layers.lstm.cell import gradient_factors, gradient_step
from keras_residual.layers.lstm.loops import (
    LoopOptions,
    hold,
    plus,
    skipped_steps,
    times,
    weight_gradient,
)


def run_layer(options: LoopOptions, length, x, weights, states, mask=None, dropout=(None, None)):
    """Runs one layer over a whole sequence; arguments and results as those of `loops.run_layer`."""
    arguments = (x, *weights, *states, mask, *dropout)
    return options.differentiable(_forward, _backward, (length,), arguments)


def _forward(options, length, save, x, W, U, b, h, c, mask, drop_x, drop_h):
    across = ops.transpose(ops.concatenate([W, U], axis=0))
    bias = None if b is None else ops.expand_dims(b, -1)
    factor_x, factor_h = (_flipped(factor) for factor in (drop_x, drop_h))

    def step(carry, inputs):
        h, c = carry
        x, mask = inputs
        mask = _flipped(mask)
        a = ops.concatenate([times(ops.transpose(x), factor_x), times(h, factor_h)], axis=0)
        z = plus(ops.matmul(across, a), bias)
        h_new, c_new = options.cell(z, c, axis=0)
        h_new = hold(mask, ops.cast(h_new, h.dtype), h)
        kept = (ops.cast(c, h.dtype), z)[: len(specs) - 1]
        return (h_new, hold(mask, c_new, c)), (ops.transpose(h_new), *kept)

    batch, units = h.shape
    specs = [((batch, units), h.dtype)]
    specs += [((units, batch), h.dtype), ((4 * units, batch), h.dtype)] if save else []
    carry = (ops.transpose(h), ops.transpose(c))
    last, (hs, *kept) = options.scan(step, carry, (x, mask), specs, length)
    return (hs, *map(ops.transpose, last)), (x, W, U, b, h, c, mask, drop_x, drop_h, hs, *kept)


def _backward(options, length, saved, d_hs, dh, dc):
    x, W, U, b, h, c, mask, drop_x, drop_h, hs, cs, zs = saved
    matrix = ops.concatenate([W, U], axis=0)
    factor_x, factor_h = (_flipped(factor) for factor in (drop_x, drop_h))

    def step(carry, inputs):
        dh, dc = carry
        d_out, skipped, mask, c_before, z = inputs
        z, c_before = ops.cast(z, dc.dtype), ops.cast(c_before, dc.dtype)
        factors = gradient_factors(z, c_before, _flipped(mask), axis=0)
        dh = dh + ops.cast(ops.transpose(d_out), dc.dtype)
        dz, dc = gradient_step(factors, dh, dc, axis=0)
        dz = ops.cast(dz, d_hs.dtype)
        dx, dh_before = ops.split(ops.matmul(matrix, dz), [W.shape[0]], axis=0)
        dh_before = ops.cast(times(dh_before, factor_h), dc.dtype)
        if skipped is not None:
            dh_before = dh_before + dh * _flipped(skipped)
        return (dh_before, dc), (ops.transpose(dz), ops.transpose(times(dx, factor_x)))

    (dh, dc), (dz, dx) = options.scan(
        step,
        (ops.cast(ops.transpose(dh), c.dtype), ops.transpose(dc)),
        (d_hs, skipped_steps(mask, c.dtype), mask, cs, zs),
        [(d_hs.shape[1:2] + U.shape[1:], d_hs.dtype), (x.shape[1:], d_hs.dtype)],
        length,
        reverse=True,
    )
    h_before = times(ops.concatenate([ops.expand_dims(h, 0), hs])[:-1], drop_h)
    dW, dU = (weight_gradient(a, dz) for a in (times(x, drop_x), h_before))
    db = None if b is None else ops.sum(dz, axis=(0, 1))
    dh, dc = ops.transpose(dh), ops.transpose(dc)
    return dx, dW, dU, db, ops.cast(dh, h.dtype), dc, None, None, None


def _flipped(matrix):
    return None if matrix is None else ops.transpose(matrix)
