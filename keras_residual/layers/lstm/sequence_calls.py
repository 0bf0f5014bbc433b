"""How a recurrent stack is called: with sequences, states and masks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_residual._types import Shape, Tensor
from keras_residual.layers.lstm import checks


class SequenceCalls:
    """The part of a recurrent stack that Keras calls."""

    def call(
        self,
        sequences: Tensor,
        initial_state: Sequence[Tensor] | None = None,
        mask: Tensor | None = None,
        training: bool | None = False,
        sequences_mask: Tensor = None,
    ) -> Tensor:
        mask = checks.checked_mask(self, sequences, initial_state, mask, training, sequences_mask)
        if mask is not None:
            mask = ops.transpose(ops.cast(mask, "bool"))
        if initial_state is None and self.states is not None:
            # Copies: PyTorch finds no gradient through values that are assigned in between.
            initial_state = [ops.copy(state) for state in self.states]
        x = ops.transpose(ops.cast(sequences, self.compute_dtype), (1, 0, 2))
        if self.go_backwards:
            x, mask = ops.flip(x, axis=0), None if mask is None else ops.flip(mask, axis=0)
        x, states = self.make_pass(x, mask, bool(training)).run(x, initial_state)
        output = ops.transpose(x, (1, 0, 2)) if self.return_sequences else _last_step(x, mask)
        if self.stateful:
            for variable, state in zip(self.states, states, strict=True):
                variable.assign(state)
        states = [ops.cast(state, self.compute_dtype) for state in states]
        return (output, *states) if self.return_state else output

    def compute_output_shape(
        self, sequences_shape: Shape, initial_state_shape: Any = None
    ) -> Shape | tuple[Shape, ...]:
        batch, time, _ = checks.sequence_shape(sequences_shape)
        output = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        return (output, *[(batch, self.units)] * self.state_count) if self.return_state else output

    def compute_output_spec(self, sequences: Tensor, *arguments: Any, **options: Any) -> Any:
        checks.checked_mask(self, sequences, *arguments, **options)
        return super().compute_output_spec(sequences)

    def compute_mask(self, sequences: Tensor, previous_mask: Tensor = None) -> Any:
        mask = keras.tree.flatten(previous_mask)[0] if self.return_sequences else None
        if mask is not None and self.go_backwards:
            mask = ops.flip(mask, axis=1)
        return [mask, *[None] * self.state_count] if self.return_state else mask

    def save_own_variables(self, store: Any) -> None:
        """Saves nothing: the weights are the cells', and states belong to a run, not to a file."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing, as nothing is saved."""


def _last_step(x, mask):
    """Returns the last output that is not masked; zero where there is none."""
    if mask is None:
        return ops.sum(x[-1:], axis=0)
    later = ops.flip(ops.cumsum(ops.flip(ops.cast(mask, "int32"), axis=0), axis=0), axis=0)
    last = ops.expand_dims(ops.logical_and(mask, later == 1), -1)
    return ops.sum(ops.where(last, x, ops.zeros((), x.dtype)), axis=0)
