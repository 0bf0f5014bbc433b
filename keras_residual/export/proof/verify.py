"""Whether an artefact computes what its model computes."""

import math
import os
from dataclasses import dataclass

import keras
import numpy as np

from keras_residual.export._prepare import functional
from keras_residual.export._signature import count_of, fitting, named_outputs, structured
from keras_residual.export.proof.artefact import Artefact, load

# Two-sided 95 % of the normal distribution.
_Z = 1.96


@dataclass(frozen=True)
class Verification:
    """How far an artefact's outputs are from the model's.

    Attributes:
        worst: The largest difference of two outputs.
        mean: The mean difference.
        largest: The largest magnitude among the model's outputs, to compare with.
        relative: Length of the difference as a share of the length of the model's outputs.
        agreement: Fraction of positions whose highest output along the last axis is the same one.
        samples: Number of inputs compared.
        accuracy: Fraction of labels that the artefact's highest output hits; `None` without labels.
        accuracy_interval: Where that fraction lies with 95 % confidence (Wilson's interval).
        model_accuracy: The same fraction of the model.
    """

    worst: float
    mean: float
    largest: float
    relative: float
    agreement: float
    samples: int
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    model_accuracy: float | None = None


def verify(artefact: Artefact | str | os.PathLike, model: keras.Model, data) -> Verification:
    """Runs an artefact in its own runtime and compares it with the model.

    Args:
        artefact: An `Artefact` or the path of one.
        model: The model it came from.
        data: `(n, ...)` inputs, for several inputs a tuple in their order or a dict by name; or a
            pair of these and `(n,)` integers, their classes.

    Returns:
        A `Verification`; its numbers are NaN where the artefact's outputs are.

    Raises:
        ExportError: If the artefact cannot be read.
        ValueError: If the data do not fit the model, its outputs are not of the model's number and
            shapes, or the classes are not one integer for each input.
    """
    if not isinstance(artefact, Artefact):
        artefact = load(artefact)
    data, classes = data if _has_classes(data, model) else (data, None)
    model = functional(model, data)
    arrays = fitting("data", model, data)
    expected = named_outputs(model.predict(structured(model, arrays.values()), verbose=0))
    received = artefact.predict(arrays if len(arrays) > 1 else next(iter(arrays.values())))
    expected, received = _paired(expected, received)
    shapes = [[array.shape for array in arrays] for arrays in (expected, received)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"`artefact` must have the outputs of `model`, {shapes[0]}. Received: {shapes[1]}"
        )
    pairs = list(zip(expected, received, strict=True))
    ours = np.concatenate([array.ravel() for array in expected]).astype(np.float64)
    differences = np.concatenate([np.abs(a - b).ravel() for a, b in pairs]).astype(np.float64)
    same = [(a.argmax(-1) == b.argmax(-1)).ravel() for a, b in pairs if a.ndim > 1]
    # Below this the outputs themselves are noise.
    floor = 1e-6 * math.sqrt(ours.size)
    return Verification(
        worst=float(differences.max()),
        mean=float(differences.mean()),
        largest=float(np.abs(ours).max()),
        relative=float(np.linalg.norm(differences) / max(np.linalg.norm(ours), floor)),
        agreement=float(np.concatenate(same).mean()) if same else 1.0,
        samples=count_of(arrays),
        **({} if classes is None else _accuracies(expected, received, np.asarray(classes))),
    )


def _has_classes(data, model):
    """A pair of arrays is the data of two inputs, and inputs and classes for one."""
    if not isinstance(data, tuple) or len(data) != 2:
        return False
    several = len(getattr(model, "inputs", None) or ()) > 1
    return not several or isinstance(data[0], (dict, tuple, list))


def _accuracies(expected, received, classes):
    if len(expected) != 1 or classes.shape != expected[0].shape[:-1]:
        raise ValueError(
            "`data` must have one integer class for each output of a model with one output, "
            f"{expected[0].shape[:-1]}. Received: classes of shape {classes.shape}"
        )
    right = int((received[0].argmax(-1) == classes).sum())
    return {
        "accuracy": right / classes.size,
        "accuracy_interval": wilson_interval(right, classes.size),
        "model_accuracy": float((expected[0].argmax(-1) == classes).mean()),
    }


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Returns where a fraction lies with 95 % confidence, given `right` of `count`."""
    share, spread = right / count, _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    reach = _Z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _paired(expected, received):
    """Returns both sides' outputs as arrays, in the same order."""
    if not isinstance(received, dict):
        received = [received]
    elif set(received) == set(expected):
        received = [received[name] for name in expected]
    else:
        received = list(received.values())
    sides = expected.values(), received
    return [[np.asarray(array, np.float32) for array in side] for side in sides]
