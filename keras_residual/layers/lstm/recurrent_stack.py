"""Base of the stacks of recurrent layers with residual connections."""

import inspect
from collections.abc import Sequence
from typing import Any

import keras

from keras_residual import _checks
from keras_residual._docstrings import completed
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers.adaptation import AdaptedSublayers
from keras_residual.layers.composite import fresh_initializer
from keras_residual.layers.keras_objects import from_keras
from keras_residual.layers.lstm import checks
from keras_residual.layers.lstm.layerwise import Layerwise
from keras_residual.layers.lstm.sequence_calls import SequenceCalls
from keras_residual.layers.lstm.states import RecurrentStates
from keras_residual.layers.seeds import seed_generator
from keras_residual.layers.sublayers import SublayerRow


class RecurrentStack(
    SequenceCalls, RecurrentStates, SublayerRow, AdaptedSublayers, keras.layers.Layer
):
    """Base of the stacks in which each recurrent layer's input is added to its output.

    hᵢ = cellᵢ(xᵢ), and xᵢ₊₁ = hᵢ + xᵢ from layer `first_residual` on, xᵢ₊₁ = hᵢ below
    it; the result is the last of them.

    A masked step, at any position, leaves all states unchanged and repeats the last `h` (zero
    before the first step that is not masked); without `return_sequences` the result is the output
    at the last step that is not masked. A mask that comes with the inputs is used also where
    `initial_state` is given.

    A subclass makes its cells in `make_cell`, to which further arguments come from
    `more_cell_arguments`, names their weights in `cell_weights`, and computes a step in `project`,
    what does not recur, and `advance`.

    Args:
        units: Positive integer, width of the output and of all states.
        num_layers: Positive integer. Defaults to `1`.
        first_residual: Index, from 0, of the first layer whose input is added to its output.
            `None`, or `num_layers` and above, gives a plain stack. Defaults to `1`.
        residual_projection: Whether a layer whose input has another width than its output adds a
            learned linear projection of it; otherwise such a layer is an error. Defaults to
            `False`.
        bidirectional_bottom: Whether the bottom layer runs in both directions, each of `units`,
            their outputs side by side. Defaults to `False`.
        activation: Keras activation of the candidates. Defaults to `"tanh"`.
        recurrent_activation: Keras activation of the gates. Defaults to `"sigmoid"`.
        use_bias: Whether the cells have biases. Defaults to `True`.
        kernel_initializer: Of the kernels of the inputs. Defaults to `"glorot_uniform"`.
        recurrent_initializer: Of the recurrent kernels. Defaults to `"orthogonal"`.
        bias_initializer: Of the biases. Defaults to `"zeros"`.
        kernel_regularizer: Optional regularizer of the kernels of the inputs.
        recurrent_regularizer: Optional regularizer of the recurrent kernels.
        bias_regularizer: Optional regularizer of the biases.
        activity_regularizer: Optional regularizer of the output.
        kernel_constraint: Optional constraint of the kernels of the inputs.
        recurrent_constraint: Optional constraint of the recurrent kernels.
        bias_constraint: Optional constraint of the biases.
        dropout: Number in `[0, 1)`, share of each layer's inputs to drop, the same ones at all
            steps of a sequence. What is added around a layer is not dropped. Defaults to `0`.
        recurrent_dropout: The same for each layer's `h`, where a matrix multiplies it. Defaults to
            `0`.
        seed: Optional integer, seed of the dropout.
        return_sequences: Whether the outputs of all steps are returned. Defaults to `False`.
        return_state: Whether the last states are returned too. Defaults to `False`.
        go_backwards: Whether the sequence is turned around, once, below the bottom layer. Defaults
            to `False`.
        stateful: Whether a call begins with the last states of the call before. Defaults to
            `False`.
        unroll: Whether the steps are written out one after the other. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`, floating point; any number of steps, also 0 or 1.
        initial_state: The states of each layer, bottom first, each `(batch, units)`. A
            bidirectional bottom layer has those of both directions, forward first.
        mask: `(batch, time)`, false where a step is to be passed over.
        training: Whether dropout applies.

    Returns:
        `(batch, time, units)` with `return_sequences`, else `(batch, units)`; with `return_state`
        a tuple of that and the states in the order of `initial_state`.

    Raises:
        ValueError: If an argument is out of range, a width does not fit, or a mask, a state or the
            rank of the input is wrong.
    """

    # Whether a layer takes the second state of the layer below, at the same step, as an input.
    hands_memory_up = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__doc__ = completed(cls.__doc__, {"RecurrentStack": RecurrentStack.__doc__})

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        first_residual: int | None = 1,
        *,
        residual_projection: bool = False,
        bidirectional_bottom: bool = False,
        activation: Identifier | None = "tanh",
        recurrent_activation: Identifier | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal",
        bias_initializer: Identifier = "zeros",
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
        more_cell_arguments = kwargs.pop("more_cell_arguments", {})
        activity_regularizer = from_keras("activity_regularizer", activity_regularizer)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = _checks.integer("units", units)
        self.num_layers = _checks.integer("num_layers", num_layers)
        self.first_residual = _checks.integer_or_none("first_residual", first_residual, minimum=0)
        self.dropout = _checks.real("dropout", dropout, 0.0, 1.0, open_end=True)
        self.recurrent_dropout = _checks.real(
            "recurrent_dropout", recurrent_dropout, 0.0, 1.0, open_end=True
        )
        self.seed = None if seed is None else _checks.seed(seed)
        self.seed_generator = seed_generator(self.seed) if dropout or recurrent_dropout else None
        for name, value in {
            "residual_projection": residual_projection,
            "bidirectional_bottom": bidirectional_bottom,
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
        kinds = {
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": "zeros" if bias_initializer is None else bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        arguments = {
            **{name: from_keras(name, value) for name, value in kinds.items()},
            "use_bias": _checks.boolean("use_bias", use_bias),
            **more_cell_arguments,
        }
        self._cell_arguments = tuple(arguments)
        self.add_to_row("cells", [self._cell_of(arguments, i) for i in range(self.num_layers)])
        self.backward_cell = (
            self._cell_of(arguments, self.num_layers) if bidirectional_bottom else None
        )
        self._state_names = ()
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def _cell_of(self, arguments, index):
        fresh = {
            name: fresh_initializer(value, index)
            for name, value in arguments.items()
            if name.endswith("_initializer")
        }
        name = "backward" if index == self.num_layers else f"layer_{index}"
        options = {**arguments, **fresh, "dtype": self.dtype_policy, "name": name}
        return self.make_cell(index, options)

    def make_cell(self, index: int, options: dict[str, Any]) -> keras.layers.Layer:
        """Returns the cell of layer `index` (of `num_layers`: the backward one), not built."""
        raise TypeError(f"{type(self).__name__} must implement `make_cell`.")

    def cell_weights(self, cell: keras.layers.Layer) -> tuple[Any, ...]:
        """Returns the weights of a cell as `project` and `advance` take them."""
        raise TypeError(f"{type(self).__name__} must implement `cell_weights`.")

    def project(self, weights: tuple[Any, ...], x: Tensor) -> Tensor:
        """Returns what of a step does not recur, for any number of leading axes."""
        raise TypeError(f"{type(self).__name__} must implement `project`.")

    def advance(
        self, weights: tuple[Any, ...], projected: Tensor, states: Sequence[Tensor], by_h: Tensor
    ) -> Sequence[Tensor]:
        """Returns the next states of a cell, `h` first.

        Args:
            weights: What `cell_weights` returns, in the dtype of the computation.
            projected: `(batch, …)`, one step of what `project` returns.
            states: Those before the step.
            by_h: What multiplies `h` in front of a matrix, `None` without dropout.
        """
        raise TypeError(f"{type(self).__name__} must implement `advance`.")

    def make_pass(self, x: Tensor, mask: Tensor | None, training: bool) -> Layerwise:
        """Returns what runs the stack over `(time, batch, features)`."""
        return Layerwise(self, x, mask, training)

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        """Returns the names of the arguments of such a stack, without those of every layer."""
        bases = [base for base in cls.__mro__ if issubclass(base, RecurrentStack)]
        names = [inspect.signature(base.__init__).parameters for base in bases]
        names = dict.fromkeys(name for part in names for name in part)
        return tuple(name for name in names if name not in ("self", "kwargs"))

    @property
    def cells(self) -> list[keras.layers.Layer]:
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

    def get_config(self) -> dict[str, Any]:
        cell = self.cells[-1].get_config()
        own = (
            "units num_layers first_residual residual_projection bidirectional_bottom dropout "
            "recurrent_dropout seed return_sequences return_state go_backwards stateful unroll"
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in own.split()},
            **{name: cell[name] for name in self._cell_arguments if name in cell},
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
        }
