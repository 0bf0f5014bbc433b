"""States of a recurrent stack: an `h`, and perhaps a memory, for each layer and direction."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_residual._types import Tensor
from keras_residual.layers.lstm import checks, layerwise


class RecurrentStates:
    """The methods of a recurrent stack for states: stateful layers and streaming step by step."""

    @property
    def state_dtypes(self) -> tuple[str, ...]:
        """The dtypes of the states of one cell, `h` first."""
        return (self.compute_dtype,)

    @property
    def state_count(self) -> int:
        """Number of state tensors: those of each layer, twice for a bidirectional one."""
        return len(self.state_dtypes) * (self.num_layers + self.bidirectional_bottom)

    @property
    def states(self) -> list[Any] | None:
        """The variables of a stateful layer, once it is built."""
        return [getattr(self, name) for name in self._state_names] or None

    def step(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[Any, ...]:
        """Runs one time step, for streaming; over all steps, outputs equal those of a full call.

        Args:
            inputs: `(batch, features)`.
            states: The states that `get_initial_state` or the previous step returned.

        Returns:
            The output `(batch, units)` and the list of next states.
        """
        if self.bidirectional_bottom:
            raise ValueError(
                "`step` is not possible with bidirectional_bottom=True: the backward direction "
                "needs the whole sequence"
            )
        inputs = ops.convert_to_tensor(inputs, self.compute_dtype)
        checks.step_shape(inputs, self.cells[0].kernel.shape[0] if self.built else None)
        if not self.built:
            self.build((inputs.shape[0], None, inputs.shape[-1]))
        checks.state_shapes("states", states, inputs.shape[0], self)
        return layerwise.step(self, inputs, states)

    def get_initial_state(self, batch_size: int | Tensor) -> list[Any]:
        """Returns zeros for every state, in the order of `initial_state`."""
        dtypes = self.state_dtypes
        dtypes *= self.state_count // len(dtypes)
        return [ops.zeros((batch_size, self.units), dtype) for dtype in dtypes]

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero."""
        for state in self.states or ():
            state.assign(ops.zeros(state.shape, state.dtype))

    reset_states = reset_state

    def _add_states(self, batch):
        if batch is None:
            raise ValueError(
                "`stateful=True` needs a fixed batch size, as `keras.Input(batch_size=...)` gives "
                f"it. Received: an input of {self.name!r} without one"
            )
        for i in range(self.state_count):
            state = self.add_weight(
                shape=(batch, self.units),
                initializer="zeros",
                trainable=False,
                # Not autocast: cell states are float32 under a mixed policy.
                autocast=False,
                name=f"state_{i}",
            )
            setattr(self, f"state_{i}", state)
        self._state_names = tuple(f"state_{i}" for i in range(self.state_count))
