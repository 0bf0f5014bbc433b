"""Classifiers of sequences, of their steps and of their segments, on a residual LSTM stack."""

import inspect
from typing import Any, Protocol

import keras

from keras_residual import _checks
from keras_residual._types import Identifier, Shape
from keras_residual.layers.lstm.segment_pooling import SegmentPooling
from keras_residual.layers.lstm.sequence_average import SequenceAverage
from keras_residual.models.factories import called_with
from keras_residual.models.registry import builder
from keras_residual.models.sequences import (
    SequenceOptions,
    classified,
    finished,
    sequence_options,
)

_ARGUMENTS = """
Args:
    input_shape: Shape without batch: `(steps, features)` for numbers, or `(steps,)`, which may be
        left out, for integers. `steps` may be `None`.
    vocabulary_size: For sequences of integers: the number of different ones. They are embedded, and
        0 is padding. `None` for numbers.
    classes: Positive integer, number of classes. Defaults to `2`.
    units: Positive integer, width of the LSTM layers. Defaults to `128`.
    num_layers: Positive integer, number of LSTM layers. Defaults to `4`.{pooling}
    classifier_activation: Activation of the classifier; `None` for logits. Defaults to `"softmax"`.
    weights: `None` for a random initialization, a path, a URL or `"hf://owner/name"`.
    name: Name of the model.
    **options: As below, or any other argument of `keras_residual.layers.ResidualLSTM`.
    first_residual: Index, from 0, of the first layer whose input is added to its output; `None` for
        a plain stack. `"auto"`, the default, is `1`, or `2` above a bidirectional layer.
    bidirectional_bottom: Whether the bottom layer runs in both directions. Defaults to `False`.
    embedding_size: Width of the embedding. Defaults to `units`.
    mask_value: Number: steps all of whose features equal it are masked. Defaults to `None`.
    dropout: Number in `[0, 1)`, fraction of the inputs of each LSTM layer and of the classifier to
        drop.
    dtype: Dtype policy or its name. Defaults to Keras' global one.

Returns:
    {returns}

Raises:
    ValueError: If an argument is out of range or unknown.

Example:

>>> {example}

Reference:
    - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 3.1, for the residual stack.
"""
_POOLING = """
    pooling: The input of the classifier: `"last"`, the output at the last unmasked step, or
        `"avg"`, the mean over all unmasked steps, zero if there are none. Defaults to `"last"`."""


class _SequenceModel(Protocol):
    """The signature that the classifiers of sequences share."""

    def __call__(
        self,
        input_shape: Shape | None = None,
        vocabulary_size: int | None = None,
        classes: int = 2,
        units: int = 128,
        num_layers: int = 4,
        classifier_activation: Identifier | None = "softmax",
        weights: object = None,
        name: str = ...,
        **options: Any,
    ) -> keras.Model: ...


def _classifier(**parts):
    """Makes a function from options to inputs and features a builder of classifiers; a decorator.

    The function's further arguments follow `num_layers`. By default models have its name in lower
    case.

    Args:
        **parts: Values of the fields of `_ARGUMENTS`, which completes the documentation.
    """

    def decorate(function):
        _, *shared = inspect.signature(_SequenceModel.__call__).parameters.values()
        _, *own = inspect.signature(function).parameters.values()
        shared[-2] = shared[-2].replace(default=function.__name__.lower())
        place = [parameter.name for parameter in shared].index("classifier_activation")
        signature = inspect.Signature(
            [*shared[:place], *own, *shared[place:]], return_annotation=keras.Model
        )

        def build(classes, classifier_activation, weights, name, options, **given):
            names = ("input_shape", "vocabulary_size", "units", "num_layers")
            options = sequence_options(*[given.pop(key) for key in names], options)
            inputs, x = function(options, **given)
            outputs = classified(x, classes, classifier_activation, options.policy)
            return finished(inputs, outputs, weights, name)

        function.__doc__ += "\n" + _ARGUMENTS.format(**{"pooling": "", **parts})
        return called_with(signature, build, function)

    return decorate


@builder(task="sequences")
@_classifier(
    pooling=_POOLING,
    returns="A `keras.Model` from `(batch, *input_shape)` to `(batch, classes)`.",
    example="""ResidualLSTMClassifier((24, 1), classes=2, units=8).output_shape
(None, 2)""",
)
def ResidualLSTMClassifier(options: SequenceOptions, pooling: str | None = "last") -> Any:
    """Classifies sequences: a residual LSTM stack and a classifier."""
    _checks.choice("pooling", pooling, ("last", "avg"))
    inputs, x = options.inputs()
    x = options.stack(x, return_sequences=pooling == "avg")
    if pooling == "avg":
        x = SequenceAverage(dtype=options.policy, name="pool")(x)
    return inputs, x


@builder(task="sequences")
@_classifier(
    returns="""A `keras.Model` from `(batch, *input_shape)` to `(batch, steps, classes)`. Masked
    steps do not count in losses and metrics.""",
    example="""ResidualLSTMTagger(vocabulary_size=100, classes=17, units=8).output_shape
(None, None, 17)""",
)
def ResidualLSTMTagger(options: SequenceOptions) -> Any:
    """Classifies every step of a sequence: a residual LSTM stack and a classifier at each step."""
    inputs, x = options.inputs()
    return inputs, options.stack(x, return_sequences=True)


@builder(task="sequences")
@_classifier(
    returns="""A `keras.Model` from `{"sequences": (batch, *input_shape), "segments": (batch,
    segments, 2)}` to `(batch, segments, classes)`. A segment is given by its first step and the
    step after its last; an empty one, such as `(0, 0)`, is padding and does not count in the
    loss.""",
    example="""ResidualLSTMSegmentClassifier((50, 3), classes=4, units=8).output_shape
(None, None, 4)""",
)
def ResidualLSTMSegmentClassifier(options: SequenceOptions) -> Any:
    """Classifies given segments of a sequence by the mean of the stack's outputs over each."""
    inputs, x = options.inputs()
    segments = keras.Input((None, 2), dtype="int32", name="segments")
    x = options.stack(x, return_sequences=True)
    x = SegmentPooling(dtype=options.policy, name="pool")([x, segments])
    return {"sequences": inputs, "segments": segments}, x
