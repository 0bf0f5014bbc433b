"""A residual LSTM stack that attends to a memory: GNMT's decoder."""

from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual.layers.adaptation import AdaptedSublayers
from keras_residual.layers.lstm.attentive_lstm import AttentiveLSTM
from keras_residual.layers.lstm.residual_lstm import ResidualLSTM
from keras_residual.layers.registration import registered
from keras_residual.layers.sublayers import SublayerRow


@registered
class AttentiveResidualLSTM(SublayerRow, AdaptedSublayers, keras.layers.Layer):
    """A stack of LSTM layers that all take the context of the bottom one's attention.

    The bottom layer is an `AttentiveLSTM`; its output is x₁, its contexts are a. Above it hᵢ =
    LSTMᵢ([xᵢ, a]), and xᵢ₊₁ = hᵢ + xᵢ from layer `first_residual` on, xᵢ₊₁ = hᵢ below
    it. Masked steps of the sequences leave the states as they are.

    Args:
        units: Positive integer, width of all layers.
        num_layers: Positive integer. Defaults to `8`.
        first_residual: Index, from 0, of the first layer whose input is added to its output; at
            least `1`. `None` gives a plain stack. Defaults to `2`.
        dropout: Number in `[0, 1)`, share of each layer's inputs to drop. Defaults to `0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`.
        memory: `(batch, steps, width)`.
        sequences_mask: `(batch, time)`, false at steps to skip.
        memory_mask: `(batch, steps)`, false at steps that get no attention.
        training: Whether dropout applies.

    Returns:
        `(batch, time, units)`.

    Raises:
        ValueError: If an argument is out of range or an input has another rank.

    Example:

    >>> layer = AttentiveResidualLSTM(8, num_layers=3)
    >>> layer(keras.ops.ones((2, 5, 3)), keras.ops.ones((2, 7, 4))).shape
    (2, 5, 8)

    Reference:
        - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), sections 3 and 3.1.
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 8,
        first_residual: int | None = 2,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = _checks.integer("units", units)
        self.num_layers = _checks.integer("num_layers", num_layers)
        self.first_residual = _checks.integer_or_none("first_residual", first_residual)
        self.dropout = _checks.real("dropout", dropout, 0.0, 1.0, open_end=True)
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="drop")
        self.bottom = AttentiveLSTM(units, dtype=self.dtype_policy, name="layer_0")
        upper = [
            ResidualLSTM(
                units,
                first_residual=None,
                dropout=dropout,
                return_sequences=True,
                dtype=self.dtype_policy,
                name=f"layer_{index}",
            )
            for index in range(1, num_layers)
        ]
        self.add_to_row("upper", upper)
        self.supports_masking = True

    @property
    def upper(self) -> list[ResidualLSTM]:
        """The layers above the bottom one."""
        return self.row("upper")

    def build(self, sequences_shape, memory_shape):
        self.bottom.build(sequences_shape, memory_shape)
        for layer in self.upper:
            layer.build((*sequences_shape[:2], self.units + memory_shape[-1]))
        self.adapt_sublayers()

    def call(self, sequences, memory, sequences_mask=None, memory_mask=None, training=False):
        x = self.bottom(
            self.drop(sequences, training=training),
            memory,
            sequences_mask=sequences_mask,
            memory_mask=memory_mask,
        )
        x, context = x[..., : self.units], x[..., self.units :]
        for index, layer in enumerate(self.upper, start=1):
            seen = ops.concatenate([x, context], axis=-1)
            h = layer(seen, mask=sequences_mask, training=training)
            x = h + x if self._is_residual(index) else h
        return x

    def _is_residual(self, index):
        return self.first_residual is not None and index >= self.first_residual

    def step(self, inputs, states, memory, keys, memory_mask=None) -> tuple[Any, ...]:
        """Runs one time step, arguments as `AttentiveLSTM.step`.

        Returns:
            The output, the list of next states and the attention's probabilities.
        """
        x, context, new, probabilities = self.bottom.step(
            inputs, states[:2], memory, keys, memory_mask
        )
        for index, layer in enumerate(self.upper, start=1):
            seen = ops.concatenate([x, context], axis=-1)
            h, last = layer.step(seen, states[2 * index : 2 * index + 2])
            x = h + x if self._is_residual(index) else h
            new = [*new, *last]
        return x, new, probabilities

    def get_initial_state(self, batch_size) -> list[Any]:
        """Returns zeros for `h` and `c` of all layers, bottom first."""
        states = self.bottom.get_initial_state(batch_size)
        for layer in self.upper:
            states += layer.get_initial_state(batch_size)
        return states

    def compute_output_shape(self, sequences_shape, memory_shape):
        self.bottom.compute_output_shape(sequences_shape, memory_shape)
        return (*sequences_shape[:2], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_layers": self.num_layers,
            "first_residual": self.first_residual,
            "dropout": self.dropout,
        }
