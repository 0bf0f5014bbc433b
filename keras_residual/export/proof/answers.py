"""How right an artefact's outputs are: by classes, labels of 0 and 1, numbers or transcripts."""

import math
from typing import Any

import keras
import numpy as np

from keras_residual._transcripts import beginnings, edit_distance
from keras_residual.weights import description_of

# Two-sided 95 % of the normal distribution.
_Z = 1.96


def is_answer(answers: np.ndarray, outputs: tuple[int | None, ...]) -> bool:
    """Returns whether answers have the form of classes, or that of the outputs themselves.

    Args:
        answers: Integers, one for each position of the outputs; or one number for each output.
        outputs: The shape of the model's outputs, whose first size may be `None`.
    """
    if answers.dtype.kind in "iu" and answers.ndim == len(outputs) - 1:
        return True
    whole = answers.dtype.kind in "biuf" and answers.ndim == len(outputs)
    return whole and answers.shape[1:] == tuple(outputs[1:])


def are_transcripts(model: keras.Model) -> bool:
    """Returns whether a model's outputs are logits of labels and, last, of the blank."""
    description = description_of(model)
    return description is not None and description.task == "transcription"


def measured(answers: np.ndarray, expected: np.ndarray, received: np.ndarray, model: keras.Model):
    """Returns the figures of a `Verification` that need the right answers.

    Args:
        answers: Classes, or as many numbers as outputs, or transcripts padded with -1.
        expected: The model's outputs.
        received: The artefact's.
        model: The model.
    """
    if are_transcripts(model):
        ours, theirs = [_error_rate(answers, outputs) for outputs in (received, expected)]
        return {"error_rate": ours, "model_error_rate": theirs}
    if answers.ndim < expected.ndim:
        return _accuracies(*[outputs.argmax(-1) == answers for outputs in (received, expected)])
    description = description_of(model)
    measures = description is not None and description.task == "regression"
    if not measures and np.isin(answers, (0, 1)).all():
        least = _least(model, expected)
        return _accuracies(*[(each > least) == (answers > 0) for each in (received, expected)])
    ours, theirs = [float(np.abs(outputs - answers).mean()) for outputs in (received, expected)]
    return {"error": ours, "model_error": theirs}


def _error_rate(answers, outputs):
    """Returns the wrong, missing and surplus labels of the best paths, for each right label."""
    mistakes = 0
    for path, row in zip(outputs.argmax(-1), answers, strict=True):
        heard = path[beginnings(path, outputs.shape[-1] - 1)]
        mistakes += edit_distance(heard, row[row >= 0])
    return float(mistakes / max(1, int((answers >= 0).sum())))


def _least(model, outputs):
    """Returns the output above which a label holds: a probability of one half, or a logit of 0."""
    layer = model
    while isinstance(layer, keras.Model):
        layer = layer.layers[-1]
    activation = getattr(layer, "activation", None)
    if activation in (keras.activations.sigmoid, keras.activations.linear):
        return 0.5 if activation is keras.activations.sigmoid else 0.0
    return 0.5 if outputs.min() >= 0 and outputs.max() <= 1 else 0.0


def _accuracies(received, expected) -> dict[str, Any]:
    right = int(received.sum())
    return {
        "accuracy": right / received.size,
        "accuracy_interval": wilson_interval(right, received.size),
        "model_accuracy": float(expected.mean()),
    }


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval of a fraction, given `right` of `count`."""
    share, spread = right / count, _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    reach = _Z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - reach), min(1.0, centre + reach)
