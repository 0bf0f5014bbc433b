"""The arithmetic of an LSTM cell and of its gradient, written once on `keras.ops`.

Gate order is Keras' and PyTorch's: input, forget, candidate, output.
"""

from collections.abc import Callable
from typing import Any

from keras import ops


def lstm_cell(
    z,
    c,
    activation: Callable[..., Any],
    recurrent_activation: Callable[..., Any],
    whole: bool,
    added=None,
    axis: int = -1,
) -> tuple[Any, ...]:
    """Returns the next `(h, c)` from the pre-activations `z` and the cell state `c`.

    With `whole`, the gates' activation is applied to all of `z`, including the unused quarter:
    XLA's CPU compiler vectorizes that, but not four slices of a tensor that comes from outside the
    loop (2.1 against 3.7 ms for 128 steps of 32 × 64). `added` is added to the cell state. The
    gates lie along `axis`.
    """
    i, f, g, o = ops.split(z, 4, axis=axis)
    if whole:
        i, f, _, o = ops.split(recurrent_activation(z), 4, axis=axis)
    else:
        i, f, o = recurrent_activation(i), recurrent_activation(f), recurrent_activation(o)
    c = f * c + i * activation(g)
    c = c if added is None else c + added
    return o * activation(c), c


def gradient_factors(z, c, mask=None, axis: int = -1) -> tuple[Any, ...]:
    """Returns the factors of a tanh–sigmoid cell's gradient that do not depend on later steps.

    Args:
        z: `(..., 4 · units)`, pre-activations.
        c: `(..., units)`, the cell state before the step.
        mask: `(..., 1)`, false where the step is skipped, or `None`.
        axis: Along which the gates lie, if it is not the last one.

    Returns:
        The derivatives with respect to `z`, `(..., 4 · units)` (of `h` for the output gate, of `c`
        for the others), of `h` with respect to `c`, and of `c` with respect to the previous `c`,
        both `(..., units)`.
    """
    i, f, g, o = ops.split(z, 4, axis=axis)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    t = ops.tanh(f * c + i * g)
    by_z = [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)]
    by_z, by_h = ops.concatenate(by_z, axis=axis), o * (1 - t * t)
    if mask is None:
        return by_z, by_h, f
    return ops.where(mask, by_z, 0.0), ops.where(mask, by_h, 0.0), ops.where(mask, f, 1.0)


def gradient_step(factors, dh, dc, axis: int = -1) -> tuple[Any, ...]:
    """Returns the gradients of `z` and of the previous `c` from those of a step's `h` and `c`."""
    by_z, by_h, by_c = factors
    dc = dc + dh * by_h
    return ops.concatenate([dc, dc, dc, dh], axis=axis) * by_z, dc * by_c
