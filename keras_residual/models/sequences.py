"""Shared parts of the sequence models: checked options, inputs, LSTM stack, classifier."""

import numbers
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.composite import checked_activation
from keras_residual.layers.lstm.residual_lstm import ResidualLSTM
from keras_residual.models.inputs import checked_name, checked_policy
from keras_residual.models.streaming import SequenceModel

# Set by the model itself, or would change the meaning of its outputs.
_RESERVED = (
    "self",
    "units",
    "num_layers",
    "first_residual",
    "dropout",
    "bidirectional_bottom",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "kwargs",
)


@dataclass(frozen=True)
class SequenceOptions:
    """The options of a sequence model up to its head; the builders' docstrings explain them."""

    input_shape: tuple[int | None, ...] | None = None
    vocabulary_size: int | None = None
    units: int = 128
    num_layers: int = 4
    embedding_size: int | None = None
    mask_value: float | None = None
    first_residual: int | str | None = "auto"
    bidirectional_bottom: bool = False
    dropout: float = 0.0
    dtype: object = None
    lstm_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.vocabulary_size is None) == (
            self.input_shape is None or len(_shape(self.input_shape)) == 1
        ):
            raise ValueError(
                "Either `vocabulary_size` must be given, for sequences of integers, or "
                "`input_shape` as (steps, features), for numbers. Received: "
                f"vocabulary_size={self.vocabulary_size!r}, input_shape={self.input_shape!r}"
            )
        _checks.integer("units", self.units)
        if self.vocabulary_size is not None:
            _checks.integer("vocabulary_size", self.vocabulary_size, minimum=2)
        elif self.embedding_size is not None:
            raise ValueError(
                "`embedding_size` needs `vocabulary_size`. "
                f"Received: embedding_size={self.embedding_size!r}"
            )
        if self.embedding_size is not None:
            _checks.integer("embedding_size", self.embedding_size)
        if self.mask_value is not None:
            _checks.real("mask_value", self.mask_value, float("-inf"), float("inf"))
        if self.mask_value is not None and self.vocabulary_size is not None:
            raise ValueError(
                "`mask_value` is for numbers; in sequences of integers 0 is the padding. "
                f"Received: mask_value={self.mask_value!r}"
            )
        _checks.real("dropout", self.dropout, 0.0, 1.0, open_end=True)
        if isinstance(self.first_residual, str):
            _checks.choice("first_residual", self.first_residual, ("auto",))

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of one sequence."""
        return (None,) if self.input_shape is None else _shape(self.input_shape)

    @property
    def policy(self) -> Any:
        return checked_policy(self.dtype)

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Returns the model's input and the embedded or masked input of the stack."""
        if self.vocabulary_size is None:
            inputs = keras.Input(self.shape, name="sequences")
            if self.mask_value is None:
                return inputs, inputs
            masking = keras.layers.Masking(self.mask_value, dtype=self.policy, name="masking")
            return inputs, masking(inputs)
        inputs = keras.Input(self.shape, dtype="int32", name="sequences")
        embedding = keras.layers.Embedding(
            int(self.vocabulary_size),
            int(self.embedding_size or self.units),
            mask_zero=True,
            dtype=self.policy,
            name="embedding",
        )
        return inputs, embedding(inputs)

    def stack(self, x: Tensor, return_sequences: bool) -> Tensor:
        """Returns the output of the LSTM layers, followed by dropout."""
        first = self.first_residual
        if first == "auto":
            first = 2 if self.bidirectional_bottom else 1
        x = ResidualLSTM(
            self.units,
            self.num_layers,
            first,
            bidirectional_bottom=self.bidirectional_bottom,
            dropout=self.dropout,
            return_sequences=return_sequences,
            dtype=self.policy,
            name="lstm",
            **self.lstm_options,
        )(x)
        return keras.layers.Dropout(self.dropout, dtype=self.policy, name="dropout")(x)


def sequence_options(input_shape, vocabulary_size, units, num_layers, options) -> SequenceOptions:
    """Returns the checked options of a sequence model; `options` holds the less common ones."""
    own = [name for name in SequenceOptions.__dataclass_fields__ if name != "lstm_options"]
    for_lstm = set(ResidualLSTM.argument_names()) - set(_RESERVED)
    for option in options:
        _checks.known("option", option, sorted({*own, *for_lstm}))
    return SequenceOptions(
        input_shape,
        vocabulary_size,
        units,
        num_layers,
        **{name: value for name, value in options.items() if name in own},
        lstm_options={name: value for name, value in options.items() if name not in own},
    )


def _shape(input_shape) -> tuple[int | None, ...]:
    valid = isinstance(input_shape, (tuple, list)) and len(input_shape) in (1, 2)
    if valid:
        valid = (len(input_shape) == 1 or input_shape[1] is not None) and all(
            size is None
            or (isinstance(size, numbers.Integral) and not isinstance(size, bool) and size > 0)
            for size in input_shape
        )
    if not valid:
        raise ValueError(
            "`input_shape` must be (steps, features), or (steps,) for integers, without the batch; "
            f"steps may be None. Received: input_shape={input_shape!r}"
        )
    return tuple(size if size is None else int(size) for size in input_shape)


def classified(x, classes: int, activation, policy):
    """Returns the outputs of the classifier, in float32 if the policy is mixed."""
    classes = _checks.integer("classes", classes)
    checked_activation(activation, "classifier_activation")
    mixed = policy.compute_dtype != policy.variable_dtype
    dtype = policy.variable_dtype if mixed else policy
    return keras.layers.Dense(classes, activation=activation, dtype=dtype, name="classifier")(x)


def finished(inputs, outputs, weights, name: str) -> SequenceModel:
    """Returns the model, with `weights` loaded if given."""
    model = SequenceModel(inputs, outputs, name=checked_name(name))
    if weights is not None:
        from keras_residual.weights import load_for_factory

        load_for_factory(model, weights, None)
    return model
