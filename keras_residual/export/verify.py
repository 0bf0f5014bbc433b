"""Whether an artefact computes what its model computes."""

import os
from dataclasses import dataclass

import keras
import numpy as np

from keras_residual.export.artefact import Artefact, load


@dataclass(frozen=True)
class Verification:
    """How far an artefact's outputs are from the model's.

    Attributes:
        worst: The largest difference of two outputs.
        mean: The mean difference.
        largest: The largest magnitude among the model's outputs, to compare with.
        agreement: Fraction of positions whose highest output along the last axis is the same one.
        samples: Number of inputs compared.
    """

    worst: float
    mean: float
    largest: float
    agreement: float
    samples: int


def verify(artefact: Artefact | str | os.PathLike, model: keras.Model, data) -> Verification:
    """Runs an artefact in its own runtime and compares it with the model.

    Args:
        artefact: An `Artefact` or the path of one.
        model: The model it came from.
        data: `(n, ...)` inputs.

    Returns:
        A `Verification`; its numbers are NaN where the artefact's outputs are.

    Raises:
        ExportError: If the artefact cannot be read.
        ValueError: If its outputs are not of the model's number and shapes.
    """
    if not isinstance(artefact, Artefact):
        artefact = load(artefact)
    data = np.asarray(data)
    expected = _flat(model.predict(data, verbose=0))
    received = _flat(artefact.predict(data))
    shapes = [[array.shape for array in arrays] for arrays in (expected, received)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"`artefact` must have the outputs of `model`, {shapes[0]}. Received: {shapes[1]}"
        )
    pairs = list(zip(expected, received, strict=True))
    differences = np.concatenate([np.abs(ours - theirs).ravel() for ours, theirs in pairs])
    same = [(ours.argmax(-1) == theirs.argmax(-1)).ravel() for ours, theirs in pairs]
    return Verification(
        worst=float(differences.max()),
        mean=float(differences.mean()),
        largest=float(max(np.abs(ours).max() for ours in expected)),
        agreement=float(np.concatenate(same).mean()),
        samples=len(data),
    )


def _flat(outputs):
    return [np.asarray(array, np.float32) for array in keras.tree.flatten(outputs)]
