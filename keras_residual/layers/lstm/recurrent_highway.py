"""Recurrent highway networks: several gated layers within each step of a sequence."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.highway import checked_transform_bias
from keras_residual.layers.lstm.cell_weights import CellWeights
from keras_residual.layers.lstm.recurrent_highway_cell import RecurrentHighwayCell
from keras_residual.layers.lstm.recurrent_stack import RecurrentStack
from keras_residual.layers.lstm.residual_gru import wide_dtype
from keras_residual.layers.registration import registered


@registered
class RecurrentHighway(CellWeights, RecurrentStack):
    """A recurrent highway network: a highway of several layers from each step to the next.

    With s₀ the output of the step before, sₗ = tₗ · hₗ + cₗ · sₗ₋₁ for l = 1 …
    `recurrence_depth`, where hₗ = tanh([l = 1] W_h x + R_h,l sₗ₋₁ + b_h,l), the transform gate
    tₗ is a sigmoid of such a sum, and the carry gate cₗ = 1 - tₗ (`coupled`) or a sigmoid too.
    The last sₗ is the output of the step and the state.

    `num_layers` of them may be stacked, with each layer's input added to its output from
    layer `first_residual` on, as in `ResidualLSTM`; so are masks treated. The gates are computed in
    float32 under `mixed_bfloat16` and `mixed_float16`.

    Args:
        recurrence_depth: Positive integer, highway layers within a step. Defaults to `3`.
        coupled: Whether the carry gate is 1 - t, as in most of the paper. Defaults to `True`.
        transform_bias: Number added to where the biases of t start, and taken from where those of
            a carry gate do. Defaults to `-2`.
        **kwargs: Those of `RecurrentStack`.

    Example:

    >>> layer = RecurrentHighway(8, recurrence_depth=4, return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 5, 3))).shape)
    (2, 5, 8)

    Reference:
        - [Zilly et al., 2017](https://arxiv.org/abs/1607.03474)
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        first_residual: int | None = 1,
        *,
        recurrence_depth: int = 3,
        coupled: bool = True,
        transform_bias: float = -2.0,
        **kwargs: Any,
    ):
        more = {
            "recurrence_depth": _checks.integer("recurrence_depth", recurrence_depth),
            "coupled": _checks.boolean("coupled", coupled),
            "transform_bias": checked_transform_bias(transform_bias),
        }
        super().__init__(units, num_layers, first_residual, more_cell_arguments=more, **kwargs)
        self.recurrence_depth, self.coupled = recurrence_depth, coupled

    def make_cell(self, index: int, options: dict[str, Any]) -> RecurrentHighwayCell:
        return RecurrentHighwayCell(self.units, **options)

    def cell_weights(self, cell: RecurrentHighwayCell) -> tuple[Any, ...]:
        return cell.kernel, *cell.recurrent_kernels, *cell.biases

    def project(self, weights: tuple[Any, ...], x: Tensor) -> Tensor:
        x = ops.matmul(x, weights[0])
        bias = weights[1 + self.recurrence_depth :]
        return x + bias[0] if bias else x

    def advance(
        self, weights: tuple[Any, ...], projected: Tensor, states: Sequence[Tensor], by_h: Tensor
    ) -> Sequence[Tensor]:
        depth, cell, (state,) = self.recurrence_depth, self.cells[0], states
        kernels, biases = weights[1 : 1 + depth], weights[1 + depth :]
        wide = wide_dtype(state.dtype)
        state = ops.cast(state, wide)
        for level, kernel in enumerate(kernels):
            seen = ops.cast(state, kernel.dtype)
            z = ops.matmul(seen if by_h is None else seen * by_h, kernel)
            if level == 0:
                z = z + projected
            elif biases:
                z = z + biases[level]
            new, *gates = ops.split(ops.cast(z, wide), 2 if self.coupled else 3, axis=-1)
            gates = [cell.recurrent_activation(gate) for gate in gates]
            carry = 1 - gates[0] if self.coupled else gates[1]
            state = gates[0] * cell.activation(new) + carry * state
        return (state,)
