"""A stack of LSTM layers with residual connections, as one layer."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.lstm import stack
from keras_residual.layers.lstm.cell import lstm_cell
from keras_residual.layers.lstm.copying import LSTMWeights
from keras_residual.layers.lstm.recurrent_stack import RecurrentStack
from keras_residual.layers.registration import registered


@registered
class ResidualLSTM(LSTMWeights, RecurrentStack):
    """A stack of LSTM layers in which each layer's input is added to its output.

    hᵢ = LSTMᵢ(xᵢ), and xᵢ₊₁ = hᵢ + xᵢ from layer `first_residual` on, xᵢ₊₁ = hᵢ below
    it; the result is the last of them. With one layer and the default `first_residual` this is
    `keras.layers.LSTM`, whose arguments mean the same here. The gates and cell states are computed
    in float32 under `mixed_bfloat16` and `mixed_float16`.

    A masked step, at any position, leaves all states unchanged and repeats the last `h` (zero
    before the first step that is not masked); without `return_sequences` the result is the output
    at the last step that is not masked. A mask that comes with the inputs is used also where
    `initial_state` is given.

    `"layerwise"` execution runs one layer after the other, `T · L` steps of one cell.
    `"wavefront"` runs the cells of one anti-diagonal of (layer, time) together, `T + L - 1` steps
    of `L` cells; a bottom layer with a narrower input is padded, one with a wider input runs by
    itself. Both have a gradient written by hand for `tanh` and `sigmoid` (other activations are
    differentiated by the backend) and give the same numbers. `"auto"` is the wavefront on an
    accelerator, and with JAX on a CPU for inference with at least 128 units and 128 sequences times
    layers, where the weights take at most 4 MB and the sequence is four times as long as the stack
    is high; else layerwise. On a CPU, TensorFlow compiles the loops with XLA, also in a model that
    is not compiled, where the number of steps is known and the batch times `units` is at most
    65536; on several cores they then run in up to four parts of the sequence, so that the first
    steps of one layer are computed beside later steps of the layer below. Measured
    (`tests/benchmarks/residual_lstm.py`; TensorFlow without XLA; the GPU's with a prototype of
    these loops), eight layers, time for inference / for the gradient as a part of that of the stack
    of `keras.layers.LSTM` and `Add`:

    | device, backend, units, steps | batch | layerwise | wavefront |
    |---|---|---|---|
    | two CPU cores, TensorFlow, 128, 128 | 1 | 0.73 / 0.44 | 1.34 / 0.61 |
    | | 32 | 1.02 / 0.78 | 0.94 / 1.09 |
    | two CPU cores, JAX, 128, 128 | 1 | 0.65 / 0.46 | 1.02 / 0.53 |
    | | 32 | 1.00 / 0.73 | 0.66 to 0.90 / 0.75 |
    | H200, JAX, 1024, 64 | 16 | 0.52 / 0.83 | 0.45 / 0.33 |
    | | 128 | 0.64 / 0.94 | 0.38 / 0.38 |

    Args:
        units: Positive integer, width of the output and of all states.
        num_layers: Positive integer. Defaults to `1`.
        first_residual: Index, from 0, of the first layer whose input is added to its output; GNMT
            has `2`, the third layer. `None`, or `num_layers` and above, gives a plain stack.
            Defaults to `1`.
        implementation: `"auto"`, `"layerwise"` or `"wavefront"`. Defaults to `"auto"`.
        bidirectional_bottom: Whether the bottom layer runs in both directions, each of `units`,
            their outputs side by side (GNMT's encoder). Defaults to `False`.
        rematerialize: Whether the backward pass computes the gates again instead of keeping them.
            Defaults to `False`.
        unit_forget_bias: Whether the biases of the forget gates start at one. Defaults to `True`.
        **kwargs: Those of `RecurrentStack`.

    Call arguments:
        sequences: `(batch, time, features)`, floating point; any number of steps, also 0 or 1.
        initial_state: `[h_1, c_1, …, h_L, c_L]`, each `(batch, units)`. A bidirectional bottom
            layer has four: forward `h` and `c`, backward `h` and `c`.
        mask: `(batch, time)`, false where a step is to be passed over.
        training: Whether dropout applies.

    Example:

    >>> layer = ResidualLSTM(8, num_layers=4, return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 5, 3))).shape)
    (2, 5, 8)

    Reference:
        - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 3.1. The skip inside the cell
          of [Kim et al., 2017](https://arxiv.org/abs/1701.03360) is a different cell.
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        first_residual: int | None = 1,
        implementation: str = "auto",
        *,
        rematerialize: bool = False,
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ):
        more = {"unit_forget_bias": _checks.boolean("unit_forget_bias", unit_forget_bias)}
        super().__init__(units, num_layers, first_residual, more_cell_arguments=more, **kwargs)
        self.implementation = _checks.choice(
            "implementation", implementation, ("auto", "layerwise", "wavefront")
        )
        self.rematerialize = _checks.boolean("rematerialize", rematerialize)

    @property
    def state_dtypes(self) -> tuple[str, ...]:
        return self.compute_dtype, stack.state_dtype(self)

    def project(self, weights: tuple[Any, ...], x: Tensor) -> Tensor:
        kernel, _, bias = weights
        return ops.matmul(x, kernel) if bias is None else ops.matmul(x, kernel) + bias

    def advance(
        self, weights: tuple[Any, ...], projected: Tensor, states: Sequence[Tensor], by_h: Tensor
    ) -> Sequence[Tensor]:
        cell, (h, c) = self.cells[0], states
        h = h if by_h is None else h * by_h
        # The order of the sums is the loops', so that 16 bits round alike.
        z = ops.cast(projected + ops.matmul(h, weights[1]), c.dtype)
        return lstm_cell(z, c, cell.activation, cell.recurrent_activation, whole=False)

    def make_pass(self, x: Tensor, mask: Tensor | None, training: bool) -> stack.LSTMPass:
        return stack.LSTMPass(self, x, mask, training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "implementation": self.implementation,
            "rematerialize": self.rematerialize,
        }
