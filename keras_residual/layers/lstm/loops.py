"""The loop over time of one LSTM layer, with a custom gradient.

The gradient of the weights is one large product outside the loop.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_residual.layers._loops.backends import compiled, scan_steps, with_gradient
from keras_residual.layers.lstm.cell import gradient_factors, gradient_step, lstm_cell


def gradient_known(activation, recurrent_activation) -> bool:
    """Returns whether the gradient of a cell with these activations is the one in `cell.py`."""
    known = (keras.activations.tanh, keras.activations.sigmoid)
    return (activation, recurrent_activation) == known


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """The options of a loop.

    Args:
        activation: Function of the candidate and of the cell state.
        recurrent_activation: Function of the three gates.
        hoist: Whether `run_layer` moves the product with the inputs, which is not recurrent, out of
            the loop. It saves overhead per step at the cost of memory traffic.
        factors_first: Whether the factors of the gradient are computed before its loop as well.
        rematerialize: Whether the backward pass recomputes the pre-activations.
        unroll: Whether to unroll the loop.
        training: Whether a gradient is likely to be requested.
        by_backend: Whether the backend computes the gradient, whatever the activations are.
        compiled: Whether TensorFlow compiles the loop with XLA, even inside an uncompiled model.
        transposed: Whether the loop keeps its states as `(units, batch)`, see `transposed.py`.
    """

    activation: Callable[..., Any]
    recurrent_activation: Callable[..., Any]
    hoist: bool
    factors_first: bool
    rematerialize: bool
    unroll: bool
    training: bool
    by_backend: bool = False
    compiled: bool = False
    transposed: bool = False

    @property
    def hand_written(self) -> bool:
        """Whether the gradient of these activations is the one in `cell.py`."""
        return not self.by_backend and gradient_known(self.activation, self.recurrent_activation)

    def cell(self, z, c, whole=False, axis=-1):
        z = ops.cast(z, c.dtype)
        return lstm_cell(z, c, self.activation, self.recurrent_activation, whole, axis=axis)

    def scan(self, *arguments, reverse=False):
        known = self.hand_written
        return scan_steps(*arguments, reverse=reverse, unroll=self.unroll, differentiated=not known)

    def bound(self, function, *static):
        """Returns `function(self, *static, *tensors)` as a function of tensors, maybe compiled."""
        return (compiled if self.compiled else functools.partial)(function, self, *static)

    def differentiable(self, forward, backward, static, arguments):
        """Returns the outputs of a loop with its custom gradient, see `with_gradient`.

        Args:
            forward: `(options, *static, save, *arguments) -> (outputs, saved)`.
            backward: `(options, *static, saved, *gradients) -> gradients of the arguments`.
            static: Arguments of both that are not tensors.
            arguments: Tensors or `None`.
        """
        if not self.hand_written:
            return forward(self, *static, False, *arguments)[0]
        plain = dataclasses.replace(self, by_backend=True, compiled=False)
        return with_gradient(
            lambda save, *given: forward(self, *static, save, *given),
            functools.partial(backward, self, *static),
            arguments,
            expected=self.training,
            plain=lambda *arguments: forward(plain, *static, False, *arguments)[0],
        )


def times(x, factor):
    return x if factor is None else x * factor


def plus(x, bias):
    return x if bias is None else x + bias


def hold(mask, new, old):
    return new if mask is None else ops.where(mask, new, old)


def skipped_steps(mask, dtype):
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
    if not (options.compiled and options.factors_first):
        return options.differentiable(_layer_forward, _layer_backward, (length,), arguments)
    # Of a small batch all is compiled: what each operation costs exceeds the arithmetic.
    inner = dataclasses.replace(options, compiled=False)

    def forward(options, length, save, *given):
        if not options.compiled:
            return _layer_forward(options, length, save, *given)
        return compiled(_layer_forward, inner, length, save)(*given)

    def backward(options, length, saved, *gradients):
        # Outside of what is compiled TensorFlow transposes once for all parts of a sequence.
        across = [ops.transpose(matrix) for matrix in saved[1:3]]
        return compiled(_layer_backward, inner, length)(saved, *gradients, across)

    return options.differentiable(forward, backward, (length,), arguments)


def _layer_forward(options, length, save, x, W, U, b, h, c, mask, drop_x, drop_h):
    # Only the loop is compiled: for large products TensorFlow's kernels are faster than XLA's.
    # There, adding the bias costs nothing.
    given = (x, W, b, drop_x)
    if options.hoist:
        projected = _product(times(x, drop_x), W)
        given = (projected, None, b, None)
        if not options.compiled:
            given = (plus(projected, b), None, None, None)
    loop = options.bound(_forward_steps, length, save)
    hs, *last, kept = loop(*given, U, h, c, mask, drop_h)
    return (hs, *last), (x, W, U, b, h, c, mask, drop_x, drop_h, hs, *kept)


def _forward_steps(options, length, save, x, W, b, drop_x, U, h, c, mask, drop_h):
    """Returns outputs, last states, and what is kept of each step."""

    def step(carry, inputs):
        h, c = carry
        x, mask = inputs
        projected = x if W is None else ops.matmul(times(x, drop_x), W)
        z = plus(projected, b) + ops.matmul(times(h, drop_h), U)
        h_new, c_new = options.cell(z, c, whole=options.hoist)
        h_new = hold(mask, ops.cast(h_new, h.dtype), h)
        kept = (ops.cast(c, h.dtype), z)[: len(specs) - 1]
        return (h_new, hold(mask, c_new, c)), (h_new, *kept)

    specs = [(h.shape, h.dtype)]
    if save:
        specs += [(h.shape, h.dtype)]
        specs += [] if options.rematerialize else [((h.shape[0], U.shape[1]), h.dtype)]
    last, (hs, *kept) = options.scan(step, (h, c), (x, mask), specs, length)
    return hs, *last, kept


def _layer_backward(options, length, saved, d_hs, dh, dc, across=None):
    x, W, U, b, h, c, mask, drop_x, drop_h, hs, cs, *zs = saved
    W_t, U_t = across or (ops.transpose(W), ops.transpose(U))
    x = times(x, drop_x)
    h_before = times(ops.concatenate([ops.expand_dims(h, 0), hs])[:-1], drop_h)
    kept = (x, h_before, W, b) if options.rematerialize else (*zs, None, None, None)
    loop = options.bound(_backward_steps, length)
    dz, dh, dc = loop(*kept, U, U_t, c, cs, mask, drop_h, d_hs, dh, dc)
    dx = times(_product(dz, W_t), drop_x)
    dW, dU = (weight_gradient(a, dz) for a in (x, h_before))
    db = None if b is None else ops.sum(dz, axis=(0, 1))
    return dx, dW, dU, db, ops.cast(dh, h.dtype), dc, None, None, None


def _backward_steps(
    options, length, kept, h_before, W, b, U, U_t, c, cs, mask, drop_h, d_hs, dh, dc
):
    """Returns the gradients of the pre-activations, and of the initial states."""

    def factors_of(c_before, mask, kept, h_before):
        """Returns the factors of one step, or of all at once."""
        z = kept
        if options.rematerialize:
            z = plus(ops.matmul(kept, W), b) + ops.matmul(h_before, U)
        return gradient_factors(ops.cast(z, c.dtype), ops.cast(c_before, c.dtype), mask)

    def step(carry, inputs):
        dh, dc = carry
        d_out, skipped, *rest = inputs
        first = options.factors_first
        factors = [ops.cast(f, c.dtype) for f in rest] if first else factors_of(*rest)
        dh = dh + ops.cast(d_out, c.dtype)
        dz, dc = gradient_step(factors, dh, dc)
        dz = ops.cast(dz, d_hs.dtype)
        dh_before = ops.cast(times(ops.matmul(dz, U_t), drop_h), c.dtype)
        return (dh_before if skipped is None else dh_before + dh * skipped, dc), (dz,)

    rest = (cs, mask, kept, h_before)
    if options.factors_first:
        rest = [ops.cast(factor, d_hs.dtype) for factor in factors_of(*rest)]
    (dh, dc), (dz,) = options.scan(
        step,
        (ops.cast(dh, c.dtype), dc),
        (d_hs, skipped_steps(mask, c.dtype), *rest),
        [((d_hs.shape[1], U.shape[1]), d_hs.dtype)],
        length,
        reverse=True,
    )
    return dz, dh, dc


def _product(a, matrix):
    """Returns `a @ matrix` as one product over steps and batch."""
    flat = ops.matmul(ops.reshape(a, (-1, a.shape[-1])), matrix)
    return ops.reshape(flat, (*ops.shape(a)[:-1], matrix.shape[-1]))


def weight_gradient(a, dz):
    """Returns the outer products, summed over steps and batch, as one matrix product."""
    a, dz = (ops.reshape(v, (-1, v.shape[-1])) for v in (a, dz))
    return ops.matmul(ops.transpose(a), dz)
