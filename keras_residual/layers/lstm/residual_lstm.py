"""A stack of LSTM layers with residual connections, as one layer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers.adaptation import AdaptedSublayers
from keras_residual.layers.composite import fresh_initializer
from keras_residual.layers.lstm import checks, stack
from keras_residual.layers.lstm.copying import LSTMWeights
from keras_residual.layers.lstm.states import LSTMStates
from keras_residual.layers.registration import registered
from keras_residual.layers.sublayers import SublayerRow


@registered
class ResidualLSTM(LSTMStates, LSTMWeights, SublayerRow, AdaptedSublayers, keras.layers.Layer):
    """A stack of LSTM layers in which each layer's input is added to its output.

    h_i = LSTM_i(x_i), and x_{i+1} = h_i + x_i from layer `first_residual` on, x_{i+1} = h_i below
    it; the result is x_{num_layers}. With one layer and the default `first_residual` this is
    `keras.layers.LSTM`, whose arguments mean the same here. The gates and cell states are computed
    in float32 under `mixed_bfloat16` and `mixed_float16`.

    A masked step, wherever it stands, leaves all states as they are and repeats the last `h` (zero
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
    is not compiled, where the number of steps is known and the batch times `units` is at most 4096:
    a small step is then three to four times as fast. Measured (`tests/benchmarks/residual_lstm.py`;
    TensorFlow without XLA; the GPU's with a prototype of these loops), eight layers, time for
    inference / for the gradient as a part of that of the stack of `keras.layers.LSTM` and `Add`:

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
        residual_projection: Whether a layer whose input has another width than its output adds a
            learned linear projection of it; otherwise such a layer is an error.
        bidirectional_bottom: Whether the bottom layer runs in both directions, each of `units`,
            their outputs side by side (GNMT's encoder).
        rematerialize: Whether the backward pass computes the gates again instead of keeping them.
        activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, kernel_regularizer, recurrent_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, seed, return_sequences, return_state, go_backwards, stateful, unroll:
            As in `keras.layers.LSTM`, for every layer. `go_backwards` turns the sequence around
            once, below the bottom layer.
        dropout: Number in `[0, 1)`, share of each layer's inputs to drop, the same ones at all
            steps of a sequence. What is added around a layer is not dropped.
        recurrent_dropout: The same for each layer's `h`; one draw serves the four gates.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`, floating point; any number of steps, also 0 or 1.
        initial_state: `[h_1, c_1, …, h_L, c_L]`, each `(batch, units)`. A bidirectional bottom
            layer has four: forward `h` and `c`, backward `h` and `c`.
        mask: `(batch, time)`, false where a step is to be passed over.
        training: Whether dropout applies.

    Returns:
        `(batch, time, units)` with `return_sequences`, else `(batch, units)`; with `return_state`
        a tuple of that and the states in the order of `initial_state`.

    Raises:
        ValueError: If an argument is out of range, a width does not fit, or a mask, a state or the
            rank of the input is wrong.

    Example:

    >>> layer = ResidualLSTM(8, num_layers=4, return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 5, 3))).shape)
    (2, 5, 8)

    Reference:
        - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 3.1. The skip inside the cell
          of [Kim et al., 2017](https://arxiv.org/abs/1701.03360) is another cell, and not here.
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        first_residual: int | None = 1,
        implementation: str = "auto",
        *,
        residual_projection: bool = False,
        bidirectional_bottom: bool = False,
        rematerialize: bool = False,
        activation: Identifier | None = "tanh",
        recurrent_activation: Identifier | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal",
        bias_initializer: Identifier = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Identifier | None = None,
        recurrent_regularizer: Identifier | None = None,
        bias_regularizer: Identifier | None = None,
        activity_regularizer: Identifier | None = None,
        kernel_constraint: Identifier | None = None,
        recurrent_constraint: Identifier | None = None,
        bias_constraint: Identifier | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ):
        activity_regularizer = checks.from_keras("activity_regularizer", activity_regularizer)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = _checks.integer("units", units)
        self.num_layers = _checks.integer("num_layers", num_layers)
        if first_residual is not None:
            first_residual = _checks.integer("first_residual", first_residual, minimum=0)
        self.first_residual = first_residual
        self.implementation = _checks.choice(
            "implementation", implementation, ("auto", "layerwise", "wavefront")
        )
        self.dropout = _checks.real("dropout", dropout, 0.0, 1.0, open_end=True)
        self.recurrent_dropout = _checks.real(
            "recurrent_dropout", recurrent_dropout, 0.0, 1.0, open_end=True
        )
        self.seed = None if seed is None else _checks.integer("seed", seed, minimum=0)
        self.seed_generator = (
            keras.random.SeedGenerator(self.seed) if dropout or recurrent_dropout else None
        )
        for name, value in {
            "residual_projection": residual_projection,
            "bidirectional_bottom": bidirectional_bottom,
            "rematerialize": rematerialize,
            "return_sequences": return_sequences,
            "return_state": return_state,
            "go_backwards": go_backwards,
            "stateful": stateful,
            "unroll": unroll,
        }.items():
            setattr(self, name, _checks.boolean(name, value))
        if bidirectional_bottom and self.num_layers == 1:
            raise ValueError(
                "`bidirectional_bottom` needs a layer above the bottom one, `num_layers` of at "
                f"least 2. Received: num_layers={num_layers}"
            )
        cell_arguments = {
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        cell_arguments = {
            **{name: checks.from_keras(name, value) for name, value in cell_arguments.items()},
            "use_bias": _checks.boolean("use_bias", use_bias),
            "unit_forget_bias": _checks.boolean("unit_forget_bias", unit_forget_bias),
        }
        self._cell_arguments = tuple(cell_arguments)
        cells = [self._make_cell(cell_arguments, i) for i in range(self.num_layers)]
        self.add_to_row("cells", cells)
        self.backward_cell = (
            self._make_cell(cell_arguments, self.num_layers) if bidirectional_bottom else None
        )
        self._state_names = ()
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def _make_cell(self, arguments, index):
        fresh = {
            name: fresh_initializer(value, index)
            for name, value in arguments.items()
            if name.endswith("_initializer")
        }
        return keras.layers.LSTMCell(
            self.units,
            **{**arguments, **fresh},
            dtype=self.dtype_policy,
            name="backward" if index == self.num_layers else f"layer_{index}",
        )

    @property
    def cells(self) -> list[keras.layers.LSTMCell]:
        """The cells, bottom first."""
        return self.row("cells")

    @property
    def projections(self) -> dict[str, keras.layers.Dense]:
        """The projections of inputs of another width, by the index of their layer."""
        return {layer.name.rpartition("_")[2]: layer for layer in self.row("projections")}

    def is_residual(self, index: int) -> bool:
        """Returns whether the input of layer `index` is added to its output."""
        return self.first_residual is not None and index >= self.first_residual

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        batch, _, width = checks.sequence_shape(sequences_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: width})
        for index, cell in enumerate(self.cells):
            cell.build((batch, width))
            output_width = self.units
            if index == 0 and self.bidirectional_bottom:
                self.backward_cell.build((batch, width))
                output_width = 2 * self.units
            if self.is_residual(index) and width != output_width:
                self._add_projection(index, width, output_width)
            width = output_width
        self.adapt_sublayers()
        if self.stateful:
            self._add_states(batch)

    def _add_projection(self, index, width, output_width):
        if not self.residual_projection:
            raise ValueError(
                f"Layer {index} of {self.name!r} cannot add its input to its output: the input is "
                f"{width} wide and the output {output_width}. Pass `residual_projection=True`, or "
                f"a greater `first_residual`. Received: first_residual={self.first_residual}"
            )
        projection = keras.layers.Dense(
            output_width, use_bias=False, dtype=self.dtype_policy, name=f"projection_{index}"
        )
        projection.build((None, width))
        self.add_to_row("projections", [projection])

    def call(
        self,
        sequences: Tensor,
        initial_state: Sequence[Tensor] | None = None,
        mask: Tensor | None = None,
        training: bool | None = False,
        sequences_mask: Tensor = None,
    ) -> Tensor:
        mask = sequences_mask if mask is None else mask
        checks.call_arguments(self, sequences, initial_state, mask)
        if mask is not None:
            mask = ops.transpose(ops.cast(mask, "bool"))
        if initial_state is None:
            initial_state = self.states
        x = ops.transpose(ops.cast(sequences, self.compute_dtype), (1, 0, 2))
        if self.go_backwards:
            x, mask = ops.flip(x, axis=0), None if mask is None else ops.flip(mask, axis=0)
        x, states = stack.run(self, x, initial_state, mask, bool(training))
        output = ops.transpose(x, (1, 0, 2)) if self.return_sequences else stack.last_step(x, mask)
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

    def compute_output_spec(
        self,
        sequences: Tensor,
        initial_state: Sequence[Tensor] | None = None,
        mask: Tensor | None = None,
        training: bool | None = False,
        sequences_mask: Tensor = None,
    ) -> Any:
        mask = sequences_mask if mask is None else mask
        checks.call_arguments(self, sequences, initial_state, mask)
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

    def get_config(self) -> dict[str, Any]:
        cell = self.cells[0].get_config()
        own = (
            "units num_layers first_residual implementation residual_projection "
            "bidirectional_bottom rematerialize dropout recurrent_dropout seed return_sequences "
            "return_state go_backwards stateful unroll"
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in own.split()},
            **{name: cell[name] for name in self._cell_arguments},
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
        }
