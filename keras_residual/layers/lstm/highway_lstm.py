"""A stack of LSTM layers whose memories are connected, as one layer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.lstm import stack
from keras_residual.layers.lstm.cell import lstm_cell
from keras_residual.layers.lstm.cell_weights import CellWeights
from keras_residual.layers.lstm.recurrent_stack import RecurrentStack
from keras_residual.layers.registration import registered


class DepthGatedCell(keras.layers.LSTMCell):
    """Holds the weights of an LSTM and those of the gate to the memory of the layer below."""

    def __init__(self, units: int, depth_bias: float, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.depth_bias = depth_bias

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        vectors = {"memory": "zeros", "below": "zeros"}
        vectors["bias"] = keras.initializers.Constant(self.depth_bias)
        self.depth_kernel = self.add_weight(
            name="depth_kernel",
            shape=(input_shape[-1], self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.depth_memory, self.depth_below, self.depth_bias_weight = (
            self.add_weight(name=f"depth_{name}", shape=(self.units,), initializer=initializer)
            for name, initializer in vectors.items()
        )


@registered
class HighwayLSTM(CellWeights, RecurrentStack):
    """A stack of LSTM layers whose memory takes in that of the layer below through a gate.

    From the second layer on, cₜ = dₜ · cₜ⁻ + fₜ · cₜ₋₁ + iₜ · tanh(…), cₜ⁻ being the
    memory of the layer below at the same step, with the depth gate dₜ = sigmoid(W xₜ +
    w · cₜ₋₁ + w⁻ · cₜ⁻ + b). The first layer, and all else, is a plain LSTM. Masks are treated
    as by `ResidualLSTM`; gates and memories are computed in float32 under `mixed_bfloat16` and
    `mixed_float16`.

    Args:
        num_layers: Positive integer. Defaults to `3`.
        first_residual: Index, from 0, of the first layer whose input is added to its output too;
            `None` for none. Defaults to `None`.
        depth_bias: Number at which the biases of the depth gates start. Defaults to `0`.
        unit_forget_bias: Whether the biases of the forget gates start at one. Defaults to `True`.
        bidirectional_bottom: Must be `False`: a layer above would have two memories below it.
        **kwargs: Those of `RecurrentStack`.

    Example:

    >>> layer = HighwayLSTM(8, num_layers=3, return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 5, 3))).shape)
    (2, 5, 8)

    Reference:
        - [Zhang et al., 2016](https://arxiv.org/abs/1510.08983), without their peepholes.
    """

    hands_memory_up = True

    def __init__(
        self,
        units: int,
        num_layers: int = 3,
        first_residual: int | None = None,
        *,
        depth_bias: float = 0.0,
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ):
        more = {
            "depth_bias": _checks.real("depth_bias", depth_bias, -100.0, 100.0),
            "unit_forget_bias": _checks.boolean("unit_forget_bias", unit_forget_bias),
        }
        super().__init__(units, num_layers, first_residual, more_cell_arguments=more, **kwargs)
        if self.bidirectional_bottom:
            raise ValueError(
                "`bidirectional_bottom` must be False: the layer above would have two memories "
                "below it. Received: bidirectional_bottom=True"
            )
        self.depth_bias = depth_bias

    @property
    def state_dtypes(self) -> tuple[str, ...]:
        return self.compute_dtype, stack.state_dtype(self)

    def make_cell(self, index: int, options: dict[str, Any]) -> keras.layers.LSTMCell:
        depth_bias = options.pop("depth_bias")
        if index == 0:
            return keras.layers.LSTMCell(self.units, **options)
        return DepthGatedCell(self.units, depth_bias, **options)

    def cell_weights(self, cell: keras.layers.LSTMCell) -> tuple[Any, ...]:
        weights = cell.kernel, cell.recurrent_kernel, cell.bias
        if not isinstance(cell, DepthGatedCell):
            return weights
        gate = cell.depth_kernel, cell.depth_bias_weight, cell.depth_memory, cell.depth_below
        return *weights, *gate

    def project(self, weights: tuple[Any, ...], x: Tensor) -> Tensor:
        kernel, _, bias, *gate = weights
        projected = ops.matmul(x, kernel)
        projected = projected if bias is None else projected + bias
        if not gate:
            return projected
        return ops.concatenate([projected, ops.matmul(x, gate[0]) + gate[1]], axis=-1)

    def advance(
        self,
        weights: tuple[Any, ...],
        projected: Tensor,
        states: Sequence[Tensor],
        by_h: Tensor,
        below: Tensor | None = None,
    ) -> Sequence[Tensor]:
        cell, (h, c) = self.cells[0], states
        _, recurrent_kernel, _, *gate = weights
        z = projected[..., : 4 * self.units]
        z = z + ops.matmul(h if by_h is None else h * by_h, recurrent_kernel)
        z = ops.cast(z, c.dtype)
        functions = cell.activation, cell.recurrent_activation
        if not gate:
            return lstm_cell(z, c, *functions, whole=False)
        _, _, by_memory, by_below = (ops.cast(weight, c.dtype) for weight in gate)
        below = ops.cast(below, c.dtype)
        depth = ops.cast(projected[..., 4 * self.units :], c.dtype)
        depth = cell.recurrent_activation(depth + by_memory * c + by_below * below)
        return lstm_cell(z, c, *functions, whole=False, added=depth * below)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "depth_bias": self.depth_bias}
