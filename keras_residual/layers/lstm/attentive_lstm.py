"""An LSTM layer that attends to a memory at every step."""

from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual.layers._loops.backends import scan_steps
from keras_residual.layers.adaptation import AdaptedSublayers
from keras_residual.layers.registration import registered


@registered
class AttentiveLSTM(AdaptedSublayers, keras.layers.Layer):
    """An LSTM layer that attends to a memory and takes the context as a part of its input.

    pₜₛ = softmax over s of v · tanh(W hₜ₋₁ + U mₛ), aₜ = Σₛ pₜₛ mₛ, and hₜ, cₜ =
    LSTM([xₜ, aₜ], hₜ₋₁, cₜ₋₁). Masked steps of the memory get no weight, and a memory that
    is masked throughout gives aₜ = 0; masked steps of the sequences leave the states as they are.

    Args:
        units: Positive integer, width of the LSTM and of the attention's hidden layer.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`.
        memory: `(batch, steps, width)`.
        sequences_mask: `(batch, time)`, false at steps to skip.
        memory_mask: `(batch, steps)`, false at steps that get no attention.

    Returns:
        The outputs and the contexts, concatenated: `(batch, time, units + width)`.

    Raises:
        ValueError: If `units` is not a positive integer or an input has another rank.

    Example:

    >>> layer = AttentiveLSTM(8)
    >>> layer(keras.ops.ones((2, 5, 3)), keras.ops.ones((2, 7, 4))).shape
    (2, 5, 12)

    Reference:
        - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), equation 4.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = _checks.integer("units", units)
        self.cell = keras.layers.LSTMCell(units, dtype=self.dtype_policy, name="cell")
        dense = keras.layers.Dense
        self.query = dense(units, use_bias=False, dtype=self.dtype_policy, name="query")
        self.key = dense(units, use_bias=False, dtype=self.dtype_policy, name="key")
        self.attention = keras.layers.AdditiveAttention(dtype=self.dtype_policy, name="attention")
        self.supports_masking = True

    def build(self, sequences_shape, memory_shape):
        batch, width = sequences_shape[0], memory_shape[-1]
        self.cell.build((batch, sequences_shape[-1] + width))
        self.query.build((batch, self.units))
        self.key.build(memory_shape)
        keys_shape = (*memory_shape[:-1], self.units)
        self.attention.build([(batch, 1, self.units), memory_shape, keys_shape])
        self.adapt_sublayers()

    def call(self, sequences, memory, sequences_mask=None, memory_mask=None):
        keys = self.key(memory)
        mask = None
        if sequences_mask is not None:
            mask = ops.expand_dims(ops.transpose(sequences_mask), -1)

        def step(states, inputs):
            x, mask = inputs
            output, context, new, _ = self.step(x, states, memory, keys, memory_mask)
            if mask is not None:
                new = [ops.where(mask, a, b) for a, b in zip(new, states, strict=True)]
            return tuple(new), (output, context)

        length, batch = ops.shape(sequences)[1], ops.shape(sequences)[0]
        shapes = [((sequences.shape[0], size), self.compute_dtype) for size in self._widths(memory)]
        _, emitted = scan_steps(
            step,
            tuple(self.get_initial_state(batch)),
            (ops.transpose(sequences, (1, 0, 2)), mask),
            shapes,
            length,
        )
        return ops.transpose(ops.concatenate(emitted, axis=-1), (1, 0, 2))

    def _widths(self, memory):
        return self.units, memory.shape[-1]

    def step(self, inputs, states, memory, keys, memory_mask=None) -> tuple[Any, ...]:
        """Runs one time step.

        Args:
            inputs: `(batch, features)`.
            states: The states that `get_initial_state` or the previous step returned.
            memory: `(batch, steps, width)`.
            keys: `layer.key(memory)`, the same at all steps.
            memory_mask: `(batch, steps)` or `None`.

        Returns:
            The output, the context, the list of next states and the attention's probabilities.
        """
        query = ops.expand_dims(self.query(states[0]), 1)
        context, probabilities = self.attention(
            [query, memory, keys], mask=[None, memory_mask], return_attention_scores=True
        )
        context, probabilities = context[:, 0], probabilities[:, 0]
        if memory_mask is not None:
            # Where everything is masked, the softmax is uniform over padding.
            some = ops.any(memory_mask, axis=-1, keepdims=True)
            context = ops.where(some, context, ops.zeros((), context.dtype))
            probabilities = ops.where(some, probabilities, ops.zeros((), probabilities.dtype))
        output, states = self.cell(ops.concatenate([inputs, context], axis=-1), list(states))
        return output, context, states, probabilities

    def get_initial_state(self, batch_size) -> list[Any]:
        """Returns zeros for `h` and `c`."""
        return [ops.zeros((batch_size, self.units), self.compute_dtype) for _ in range(2)]

    def compute_output_shape(self, sequences_shape, memory_shape):
        for name, shape in (("sequences", sequences_shape), ("memory", memory_shape)):
            if len(shape) != 3:
                raise ValueError(
                    f"`{name}` must have rank 3, (batch, time, features). "
                    f"Received: a shape of {tuple(shape)}"
                )
        return (*sequences_shape[:2], self.units + memory_shape[-1])

    def get_config(self):
        return {**super().get_config(), "units": self.units}
