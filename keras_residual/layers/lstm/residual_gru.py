"""A stack of GRU layers with residual connections, as one layer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.lstm.copying import GRUWeights
from keras_residual.layers.lstm.recurrent_stack import RecurrentStack
from keras_residual.layers.registration import registered


@registered
class ResidualGRU(GRUWeights, RecurrentStack):
    """A stack of GRU layers in which each layer's input is added to its output.

    hᵢ = GRUᵢ(xᵢ), and xᵢ₊₁ = hᵢ + xᵢ from layer `first_residual` on, xᵢ₊₁ = hᵢ below
    it; the result is the last of them. With one layer and the default `first_residual` this is
    `keras.layers.GRU`, whose arguments mean the same here. The gates are computed in float32 under
    `mixed_bfloat16` and `mixed_float16`. Masks are treated as by `ResidualLSTM`. The products with
    the inputs are taken out of the loop over time.

    Args:
        reset_after: Whether the reset gate acts after the product with the recurrent kernel, as
            in cuDNN and PyTorch, or in front of it. Defaults to `True`.
        **kwargs: Those of `RecurrentStack`.

    Example:

    >>> layer = ResidualGRU(8, num_layers=4, return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 5, 3))).shape)
    (2, 5, 8)

    Reference:
        - [Cho et al., 2014](https://arxiv.org/abs/1406.1078)
        - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 3.1, for the residual stack.
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        first_residual: int | None = 1,
        *,
        reset_after: bool = True,
        **kwargs: Any,
    ):
        more = {"reset_after": _checks.boolean("reset_after", reset_after)}
        super().__init__(units, num_layers, first_residual, more_cell_arguments=more, **kwargs)
        self.reset_after = reset_after

    def project(self, weights: tuple[Any, ...], x: Tensor) -> Tensor:
        kernel, _, bias = weights
        if bias is not None:
            bias = bias[0] if self.reset_after else bias
        return ops.matmul(x, kernel) if bias is None else ops.matmul(x, kernel) + bias

    def advance(
        self, weights: tuple[Any, ...], projected: Tensor, states: Sequence[Tensor], by_h: Tensor
    ) -> Sequence[Tensor]:
        _, kernel, bias = weights
        cell, (h,), wide = self.cells[0], states, wide_dtype(states[0].dtype)
        seen = h if by_h is None else h * by_h
        x_update, x_reset, x_new = ops.split(ops.cast(projected, wide), 3, axis=-1)
        if self.reset_after:
            inner = ops.matmul(seen, kernel)
            inner = inner if bias is None else inner + bias[1]
            h_update, h_reset, h_new = ops.split(ops.cast(inner, wide), 3, axis=-1)
        else:
            inner = ops.matmul(seen, kernel[:, : 2 * self.units])
            h_update, h_reset = ops.split(ops.cast(inner, wide), 2, axis=-1)
        update = cell.recurrent_activation(x_update + h_update)
        reset = cell.recurrent_activation(x_reset + h_reset)
        if self.reset_after:
            new = cell.activation(x_new + reset * h_new)
        else:
            seen = ops.cast(reset, h.dtype) * seen
            inner = ops.matmul(seen, kernel[:, 2 * self.units :])
            new = cell.activation(x_new + ops.cast(inner, wide))
        return (update * ops.cast(h, wide) + (1 - update) * new,)


def wide_dtype(dtype) -> str:
    """Returns the dtype of the gates: float32 where the layer computes in 16 bits."""
    dtype = keras.backend.standardize_dtype(dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype
