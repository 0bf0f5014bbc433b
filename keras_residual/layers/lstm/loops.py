"""Two ways to run a stack of LSTM layers, each a loop with a custom gradient.

`run_layer` is the ordinary loop over time, one layer at a time. `run_wavefront` runs all layers at
once: layer `l` at time `t` needs only `(l - 1, t)` and `(l, t - 1)`, so the cells on one
anti-diagonal of (layer, time) are computed as one batched product, in `T + L - 1` steps instead of
`T · L`. In both, the gradient of the weights is one large product outside the loop.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_residual.layers._loops.backends import compiled, scan_steps, with_gradient
from keras_residual.layers.lstm.cell import gradient_factors, gradient_step, lstm_cell


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """The options of a loop.

    Args:
        activation: Function of the candidate and of the cell state.
        recurrent_activation: Function of the three gates.
        hoist: Whether `run_layer` moves what is not recurrent, the product with the inputs and the
            factors of the gradient, out of the loop. It saves overhead per step at the cost of
            memory traffic.
        rematerialize: Whether the backward pass recomputes the pre-activations.
        unroll: Whether to unroll the loop.
        training: Whether a gradient is likely to be requested.
        by_backend: Whether the backend computes the gradient, whatever the activations are.
        compiled: Whether TensorFlow compiles the loop with XLA, even inside an uncompiled model.
    """

    activation: Callable[..., Any]
    recurrent_activation: Callable[..., Any]
    hoist: bool
    rematerialize: bool
    unroll: bool
    training: bool
    by_backend: bool = False
    compiled: bool = False

    @property
    def hand_written(self) -> bool:
        """Whether the gradient of these activations is the one in `cell.py`."""
        return (
            not self.by_backend
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
        )

    def cell(self, z, c, whole=False):
        z = ops.cast(z, c.dtype)
        return lstm_cell(z, c, self.activation, self.recurrent_activation, whole)

    def scan(self, *arguments, reverse=False):
        known = self.hand_written
        return scan_steps(*arguments, reverse=reverse, unroll=self.unroll, differentiated=not known)

    def differentiable(self, forward, backward, static, arguments):
        """Returns the outputs of a loop with its custom gradient, see `with_gradient`.

        Args:
            forward: `(options, *static, save, *arguments) -> (outputs, saved)`.
            backward: `(options, *static, saved, *gradients) -> gradients of the arguments`.
            static: Arguments of both that are not tensors; hashable if the loop is compiled.
            arguments: Tensors or `None`.
        """
        if not self.hand_written:
            return forward(self, *static, False, *arguments)[0]
        plain = dataclasses.replace(self, by_backend=True, compiled=False)
        bind = compiled if self.compiled else functools.partial
        return with_gradient(
            lambda save, *given: bind(forward, self, *static, save)(*given),
            bind(backward, self, *static),
            arguments,
            expected=self.training,
            plain=lambda *arguments: forward(plain, *static, False, *arguments)[0],
        )


def _times(x, factor):
    return x if factor is None else x * factor


def _plus(x, bias):
    return x if bias is None else x + bias


def _hold(mask, new, old):
    return new if mask is None else ops.where(mask, new, old)


def _skipped(mask, dtype):
    """Returns 1 where a step is skipped, so that the gradient of `h` bypasses it."""
    return None if mask is None else ops.cast(ops.logical_not(mask), dtype)


def run_layer(options: LoopOptions, length, x, weights, states, mask=None, dropout=(None, None)):
    """Runs one layer over a whole sequence.

    Args:
        options: The options of the loop.
        length: Number of time steps; an integer, or on TensorFlow a scalar tensor.
        x: `(time, batch, features)`.
        weights: `(kernel, recurrent_kernel, bias)`, in Keras' layout; the bias may be `None`.
        states: `(h, c)`, each `(batch, units)`.
        mask: `(time, batch, 1)`, false at steps to skip, or `None`.
        dropout: The factors of `x` and of `h`, each `(batch, …)` or `None`.

    Returns:
        The outputs `(time, batch, units)` and the last `h` and `c`.
    """
    arguments = (x, *weights, *states, mask, *dropout)
    return options.differentiable(_layer_forward, _layer_backward, (length,), arguments)


def _layer_forward(options, length, save, x, W, U, b, h, c, mask, drop_x, drop_h):
    def project(x):
        return _plus(ops.matmul(_times(x, drop_x), W), b)

    def step(carry, inputs):
        h, c = carry
        x, mask = inputs
        z = (x if options.hoist else project(x)) + ops.matmul(_times(h, drop_h), U)
        h_new, c_new = options.cell(z, c, whole=options.hoist)
        h_new = _hold(mask, ops.cast(h_new, h.dtype), h)
        kept = (ops.cast(c, h.dtype), z)[: len(specs) - 1]
        return (h_new, _hold(mask, c_new, c)), (h_new, *kept)

    specs = [(h.shape, h.dtype)]
    if save:
        specs += [(h.shape, h.dtype)]
        specs += [] if options.rematerialize else [((h.shape[0], U.shape[1]), h.dtype)]
    inputs = (project(x) if options.hoist else x, mask)
    last, (hs, *kept) = options.scan(step, (h, c), inputs, specs, length)
    return (hs, *last), (x, W, U, b, h, c, mask, drop_x, drop_h, hs, *kept)


def _layer_backward(options, length, saved, d_hs, dh, dc):
    x, W, U, b, h, c, mask, drop_x, drop_h, hs, cs, *zs = saved
    W_t, U_t = ops.transpose(W), ops.transpose(U)
    x = _times(x, drop_x)
    h_before = _times(ops.concatenate([ops.expand_dims(h, 0), hs])[:-1], drop_h)

    def factors_of(c_before, mask, *kept):
        """Returns the factors of one step, or of all at once."""
        if options.rematerialize:
            kept = (_plus(ops.matmul(kept[0], W), b) + ops.matmul(kept[1], U),)
        return gradient_factors(ops.cast(kept[0], c.dtype), ops.cast(c_before, c.dtype), mask)

    def step(carry, inputs):
        dh, dc = carry
        d_out, skipped, *rest = inputs
        factors = [ops.cast(f, c.dtype) for f in rest] if options.hoist else factors_of(*rest)
        dh = dh + ops.cast(d_out, c.dtype)
        dz, dc = gradient_step(factors, dh, dc)
        dz = ops.cast(dz, h.dtype)
        dh_before = ops.cast(_times(ops.matmul(dz, U_t), drop_h), c.dtype)
        return (dh_before if skipped is None else dh_before + dh * skipped, dc), (dz,)

    rest = (cs, mask, *((x, h_before) if options.rematerialize else zs))
    if options.hoist:
        rest = [ops.cast(factor, h.dtype) for factor in factors_of(*rest)]
    (dh, dc), (dz,) = options.scan(
        step,
        (ops.cast(dh, c.dtype), dc),
        (d_hs, _skipped(mask, c.dtype), *rest),
        [((h.shape[0], U.shape[1]), h.dtype)],
        length,
        reverse=True,
    )
    dx = _times(ops.matmul(dz, W_t), drop_x)
    dW, dU = (_weight_gradient(a, dz) for a in (x, h_before))
    db = None if b is None else ops.sum(dz, axis=(0, 1))
    return dx, dW, dU, db, ops.cast(dh, h.dtype), dc, None, None, None


def _weight_gradient(a, dz):
    """Returns the outer products, summed over steps and batch, as one matrix product."""
    a, dz = (ops.reshape(v, (-1, v.shape[-1])) for v in (a, dz))
    return ops.matmul(ops.transpose(a), dz)


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
    outputs, h, c = options.differentiable(
        _wavefront_forward, _wavefront_backward, static, arguments
    )
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
        a = _times(ops.concatenate([below, h], axis=-1), dropout)
        z = _plus(ops.matmul(a, W), b)
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
        z = _plus(ops.matmul(kept[0], W), b) if options.rematerialize else kept[0]
        factors = gradient_factors(ops.cast(z, c.dtype), ops.cast(c_before, c.dtype), mask)
        d_out = ops.concatenate([d_below, ops.expand_dims(d_top, 0)], axis=0)
        dh = dh + ops.cast(d_out, c.dtype)
        dz, dc = gradient_step(factors, dh, dc)
        dz = ops.cast(dz, dtype)
        d_inputs, dh_before = ops.split(_times(ops.matmul(dz, W_t), dropout), 2, axis=-1)
        d_inputs = _add_residual(residual, d_inputs, d_out)
        dh = ops.cast(dh_before, c.dtype) + dh * skipped
        return (d_inputs[1:], dh, dc), (dz, d_inputs[0])

    (_, dh, dc), (dz, dx) = options.scan(
        step,
        (ops.zeros_like(ops.cast(c, dtype))[1:], ops.cast(dh, c.dtype), dc),
        (d_tops, _skipped(mask, c.dtype), mask, cs, a if options.rematerialize else zs[0]),
        [((layers, batch, 4 * units), dtype), ((batch, units), dtype)],
        steps,
        reverse=True,
    )
    dW = ops.einsum("tlbi,tlbo->lio", a, dz)
    db = None if b is None else ops.expand_dims(ops.sum(dz, axis=(0, 2)), 1)
    return dx, dW, db, ops.cast(dh, dtype), dc, None, None
