"""Two ways through a stack of LSTM layers, each one loop with a gradient written by hand.

`run_layer` is the ordinary loop over time, one layer at a time. `run_wavefront` takes all layers
at once: layer `l` at time `t` needs only `(l - 1, t)` and `(l, t - 1)`, so the cells on one
anti-diagonal of (layer, time) are one batched product, `T + L - 1` steps instead of `T · L`. In
both, all that does not recur leaves the loop: the gradient's factors, and the weights' gradient.
"""

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from keras_residual.layers._loops import scan, with_gradient
from keras_residual.layers._lstm_cell import gradient_factors, gradient_step, lstm_cell


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """What a loop needs to know besides its tensors.

    Args:
        activation: Function of the candidate and of the cell state.
        recurrent_activation: Function of the three gates.
        rematerialize: Whether the backward pass computes the pre-activations again.
        unroll: Whether to write the steps out one after the other.
        training: Whether a gradient is likely to be asked for.
    """

    activation: Callable = keras.activations.tanh
    recurrent_activation: Callable = keras.activations.sigmoid
    rematerialize: bool = False
    unroll: bool = False
    training: bool = False

    @property
    def hand_written(self) -> bool:
        """Whether the gradient of these activations is the one in `_lstm_cell`."""
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
        )

    def cell(self, z, c):
        return lstm_cell(ops.cast(z, c.dtype), c, self.activation, self.recurrent_activation)


def _differentiable(options, forward, backward, arguments):
    if options.hand_written:
        return with_gradient(forward, backward, arguments, expected=options.training)
    return forward(False, *arguments)[0]


def _times(x, factor):
    return x if factor is None else x * factor


def _hold(live, new, old):
    return new if live is None else ops.where(live, new, old)


def run_layer(options: LoopOptions, length, x, weights, states, live=None, dropout=(None, None)):
    """Runs one layer over a whole sequence.

    Args:
        options: The static description.
        length: Number of time steps; an integer, or on TensorFlow a scalar tensor.
        x: `(time, batch, features)`.
        weights: `(kernel, recurrent_kernel, bias)`, in Keras' layout; the bias may be `None`.
        states: `(h, c)`, each `(batch, units)`.
        live: `(time, batch, 1)`, false where a step is to be passed over, or `None`.
        dropout: What multiplies `x` and what multiplies `h`, each `(batch, …)` or `None`.

    Returns:
        The outputs `(time, batch, units)` and the last `h` and `c`.
    """

    def forward(save, *arguments):
        return _layer_forward(options, length, save, *arguments)

    def backward(saved, *gradients):
        return _layer_backward(options, length, saved, *gradients)

    return _differentiable(options, forward, backward, (x, *weights, *states, live, *dropout))


def _project(x, W, b, drop_x):
    """Returns the input's share of all pre-activations, as one product."""
    z = ops.matmul(_times(x, drop_x), W)
    return z if b is None else z + b


def _layer_forward(options, length, save, x, W, U, b, h, c, live, drop_x, drop_h):
    def step(carry, inputs):
        h, c = carry
        projected, live = inputs
        z = projected + ops.matmul(_times(h, drop_h), U)
        h_new, c_new = options.cell(z, c)
        h_new = _hold(live, ops.cast(h_new, h.dtype), h)
        emitted = (h_new,)
        if save:
            emitted += (
                (ops.cast(c, h.dtype),) if options.rematerialize else (ops.cast(c, h.dtype), z)
            )
        return (h_new, _hold(live, c_new, c)), emitted

    specs = [(h.shape, h.dtype)]
    if save:
        specs += [(h.shape, h.dtype)]
        specs += [] if options.rematerialize else [((*h.shape[:-1], U.shape[-1]), h.dtype)]
    (h_last, c_last), (hs, *kept) = scan(
        step, (h, c), (_project(x, W, b, drop_x), live), specs, length, unroll=options.unroll
    )
    saved = (x, W, U, b, h, c, live, drop_x, drop_h, hs, *kept)
    return (hs, h_last, c_last), saved


def _layer_backward(options, length, saved, d_hs, dh, dc):
    x, W, U, b, h, c, live, drop_x, drop_h, hs, cs, *zs = saved
    dtype = h.dtype
    h_before = _times(ops.concatenate([ops.expand_dims(h, 0), hs])[:-1], drop_h)
    z = zs[0] if zs else _project(x, W, b, drop_x) + ops.matmul(h_before, U)
    factors = ops.cast(gradient_factors(ops.cast(z, c.dtype), ops.cast(cs, c.dtype), live), dtype)
    U_t = ops.transpose(U)
    still = None if live is None else ops.cast(ops.logical_not(live), c.dtype)

    def step(carry, inputs):
        dh, dc = carry
        d_out, factors, still = inputs
        dh = dh + ops.cast(d_out, dc.dtype)
        dz, dc = gradient_step(ops.cast(factors, dc.dtype), dh, dc)
        dz = ops.cast(dz, dtype)
        dh_before = ops.cast(_times(ops.matmul(dz, U_t), drop_h), dc.dtype)
        return (dh_before if still is None else dh_before + dh * still, dc), (dz,)

    (dh, dc), (dz,) = scan(
        step,
        (ops.cast(dh, c.dtype), dc),
        (d_hs, factors, still),
        [((*h.shape[:-1], U.shape[-1]), dtype)],
        length,
        reverse=True,
        unroll=options.unroll,
    )
    dx = _times(ops.matmul(dz, ops.transpose(W)), drop_x)
    dW, dU = (_weight_gradient(a, dz) for a in (_times(x, drop_x), h_before))
    db = None if b is None else ops.sum(dz, axis=(0, 1))
    return dx, dW, dU, db, ops.cast(dh, dtype), dc, None, None, None


def _weight_gradient(a, dz):
    """Returns the sum over steps and batch of the outer products, as one matrix product."""
    a, dz = (ops.reshape(v, (-1, v.shape[-1])) for v in (a, dz))
    return ops.matmul(ops.transpose(a), dz)


def run_wavefront(
    options: LoopOptions, length, x, weights, states, residual, mask=None, dropout=None
):
    """Runs a stack of layers of one width over a whole sequence.

    Args:
        options: The static description.
        length: Number of time steps; an integer, or on TensorFlow a scalar tensor.
        x: `(time, batch, units)`.
        weights: `(kernels, biases)`: `(layers, 2 · units, 4 · units)`, each kernel above its
            recurrent kernel, and `(layers, 1, 4 · units)` or `None`.
        states: `(h, c)`, each `(layers, batch, units)`.
        residual: For each layer, whether its input is added to its output.
        mask: `(time, batch)`, false where a step is to be passed over, or `None`.
        dropout: What multiplies inputs and `h`, side by side, `(layers, batch, 2 · units)`, or
            `None`.

    Returns:
        The outputs `(time, batch, units)` and the last `h` and `c`.
    """
    late = len(residual) - 1
    live = _live_cells(length, late + 1, mask)
    arguments = (_pad_time(x, 0, late), *weights, *states, live, dropout)

    def forward(save, *arguments):
        return _wavefront_forward(options, residual, length + late, save, *arguments)

    def backward(saved, *gradients):
        return _wavefront_backward(options, residual, length + late, saved, *gradients)

    outputs, h, c = _differentiable(options, forward, backward, arguments)
    return outputs[late:], h, c


def _live_cells(length, layers, mask):
    """Returns `(steps, layers, batch or 1, 1)`: whether a step of the loop is a step of a layer."""
    times = ops.ones((length, 1), "bool") if mask is None else mask
    rows = [_pad_time(times, layer, layers - 1 - layer) for layer in range(layers)]
    return ops.expand_dims(ops.stack(rows, axis=1), -1)


def _pad_time(x, before, after):
    return ops.pad(x, [(before, after)] + [(0, 0)] * (len(x.shape) - 1))


def _choose(residual, inputs):
    """Returns the inputs of the residual layers, zero for the others; `None` if there are none."""
    if not any(residual):
        return None
    if all(residual):
        return inputs
    chosen = ops.reshape(ops.convert_to_tensor(residual, dtype="bool"), (-1, 1, 1))
    return ops.where(chosen, inputs, ops.zeros((), inputs.dtype))


def _wavefront_forward(options, residual, steps, save, x, W, b, h, c, live, dropout):
    def step(carry, inputs):
        out, h, c = carry
        x, live = inputs
        below = ops.concatenate([ops.expand_dims(x, 0), out[:-1]], axis=0)
        a = _times(ops.concatenate([below, h], axis=-1), dropout)
        z = ops.matmul(a, W)
        z = z if b is None else z + b
        h_new, c_new = options.cell(z, c)
        h_new = ops.where(live, ops.cast(h_new, h.dtype), h)
        skip = _choose(residual, below)
        out = h_new if skip is None else h_new + skip
        emitted = (out[-1],)
        if save:
            emitted += (a, ops.cast(c, h.dtype)) + (() if options.rematerialize else (z,))
        return (out, h_new, ops.where(live, c_new, c)), emitted

    layers, batch, units = h.shape
    specs = [((batch, units), h.dtype)]
    if save:
        specs += [((layers, batch, k * units), h.dtype) for k in (2, 1, 4)]
        specs = specs[:3] if options.rematerialize else specs
    (_, h_last, c_last), (tops, *kept) = scan(
        step, (ops.zeros_like(h), h, c), (x, live), specs, steps, unroll=options.unroll
    )
    return (tops, h_last, c_last), (W, b, c, live, dropout, *kept)


def _wavefront_backward(options, residual, steps, saved, d_tops, dh, dc):
    W, b, c, live, dropout, a, cs, *zs = saved
    dtype, (layers, batch, units) = a.dtype, c.shape
    W_t = ops.swapaxes(W, 1, 2)
    still = ops.cast(ops.logical_not(live), c.dtype)

    def factors_of(z, c_before, live):
        c_before = ops.cast(c_before, c.dtype)
        return ops.cast(gradient_factors(ops.cast(z, c.dtype), c_before, live), dtype)

    def again(a, c_before, live):
        z = ops.matmul(a, W)
        return factors_of(z if b is None else z + b, c_before, live)

    def step(carry, inputs):
        d_below, dh, dc = carry
        d_top, still, *rest = inputs
        factors = again(*rest) if options.rematerialize else rest[0]
        d_out = ops.concatenate([d_below, ops.expand_dims(d_top, 0)], axis=0)
        dh = dh + ops.cast(d_out, dc.dtype)
        dz, dc = gradient_step(ops.cast(factors, dc.dtype), dh, dc)
        dz = ops.cast(dz, dtype)
        d_inputs, dh_before = ops.split(_times(ops.matmul(dz, W_t), dropout), 2, axis=-1)
        skip = _choose(residual, d_out)
        d_inputs = d_inputs if skip is None else d_inputs + skip
        dh = ops.cast(dh_before, dc.dtype) + dh * still
        return (d_inputs[1:], dh, dc), (dz, d_inputs[0])

    rest = (a, cs, live) if options.rematerialize else (factors_of(zs[0], cs, live),)
    (_, dh, dc), (dz, dx) = scan(
        step,
        (ops.zeros_like(ops.cast(c, dtype))[1:], ops.cast(dh, c.dtype), dc),
        (d_tops, still, *rest),
        [((layers, batch, 4 * units), dtype), ((batch, units), dtype)],
        steps,
        reverse=True,
        unroll=options.unroll,
    )
    dW = ops.einsum("tlbi,tlbo->lio", a, dz)
    db = None if b is None else ops.expand_dims(ops.sum(dz, axis=(0, 2)), 1)
    return dx, dW, db, ops.cast(dh, dtype), dc, None, None
