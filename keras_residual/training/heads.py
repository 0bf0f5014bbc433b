"""The head of a model: the shape of its output and its last activation."""

from dataclasses import dataclass

import keras

from keras_residual._words import counted
from keras_residual.layers.lstm.step_masks import CertainBlank

# Operations that preserve probabilities and scores.
_NEUTRAL = (
    "Reshape",
    "Flatten",
    "Permute",
    "Transpose",
    "Squeeze",
    "ExpandDims",
    "Cast",
    "Identity",
    "Dropout",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Resizing",
)
# Activations that are operations, by the name of their class.
_ACTIVATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "linear"}
# The softmax of log-softmax outputs equals the softmax of the original scores.
_SAME_AS_LINEAR = ("linear", "log_softmax")


@dataclass(frozen=True)
class Head:
    """The output of a model.

    Attributes:
        shape: Its shape, starting with `None` for the batch and ending with the units.
        activation: `"softmax"`, `"sigmoid"`, `"linear"` for scores without one, the name of another
            activation, or `None` if it is unknown.
        blank: Whether the last unit is the blank of a transcriber, set to 1 at masked steps.
    """

    shape: tuple[int | None, ...]
    activation: str | None
    blank: bool = False

    @property
    def units(self) -> int | None:
        """Size of the last axis."""
        return self.shape[-1]

    @property
    def is_logits(self) -> bool:
        """Whether the outputs are unbounded scores."""
        return self.activation == "linear"

    def __str__(self) -> str:
        after = {None: "an unknown activation", "linear": "no activation"}
        return f"an output of {self.shape} with {after.get(self.activation, self.activation)}"


def head_of(model: keras.Model) -> Head:
    """Returns the head of a model with one output.

    Raises:
        ValueError: If it has several outputs, or its outputs are not known beforehand.
    """
    outputs = getattr(model, "outputs", None)
    if not outputs or len(outputs) != 1:
        count = (
            counted(len(outputs), "output") if outputs else "outputs that are not known beforehand"
        )
        raise ValueError(
            f"`loss` must be given for a model with {count}. Received: loss=None, "
            f"model={model.name!r}"
        )
    blank = _ends_with_blank(model)
    return Head(tuple(outputs[0].shape), "linear" if blank else _last_activation(model), blank)


def _ends_with_blank(model: keras.Model) -> bool:
    """Returns whether a model, or the one nested at its end, ends with a `CertainBlank`."""
    last = model.layers[-1] if model.layers else None
    if isinstance(last, keras.Model):
        return _ends_with_blank(last)
    return isinstance(last, CertainBlank) and last.output is model.outputs[0]


def _last_activation(model: keras.Model) -> str | None:
    operations = list(getattr(model, "operations", None) or model.layers)
    later = None
    while operations:
        operation = operations.pop()
        if later is not None and not _feeds(operation, later):
            return None
        found = _activation(operation)
        if found != "":
            return found
        later = operation
    return None


def _feeds(operation, later) -> bool:
    """Returns whether an operation is the only input of a later one, judging by shapes."""
    inputs = later.input
    if isinstance(inputs, (list, tuple, dict)):
        return False
    if isinstance(operation, keras.Model):
        return tuple(operation.output_shape) == tuple(inputs.shape)
    return operation.output is inputs


def _activation(operation) -> str | None:
    """Returns the activation at the end of an operation, `""` if it preserves that before it."""
    kind = type(operation).__name__
    if isinstance(operation, keras.Model):
        return _last_activation(operation) if len(operation.outputs) == 1 else None
    if isinstance(operation, keras.layers.Wrapper):
        return _activation(operation.layer)
    if kind in _ACTIVATIONS:
        return _ACTIVATIONS[kind]
    if kind in _NEUTRAL:
        return ""
    activation = getattr(operation, "activation", None)
    name = getattr(activation, "__name__", None)
    if isinstance(operation, keras.layers.Activation) and name in _SAME_AS_LINEAR:
        return "linear" if name == "log_softmax" else ""
    return "linear" if name in _SAME_AS_LINEAR else name
