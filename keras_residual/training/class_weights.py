"""Weights of classes in the loss, for imbalanced datasets."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual.training.frozen import source, to_numpy
from keras_residual.training.steps import makes_batches_in_step


def weights_of_classes(
    class_weights: str | Mapping[Any, Any],
    train: Any,
    steps: int,
    classes: int,
    names: tuple[Any, ...] = (),
) -> list[float]:
    """Returns one number for each class.

    Args:
        class_weights: `"balanced"`, for weights inversely proportional to the number of a class'
            training examples, with mean 1 over all examples (as in scikit-learn); or a mapping from
            numbers or names of classes to weights, 1 for missing classes.
        train: Training batches, whose labels are counted.
        steps: Number of batches in an epoch.
        classes: Number of classes.
        names: Names of the classes, if they have some.

    Raises:
        ValueError: If a class is unknown, a weight is not a number, or a class has no examples.
    """
    if isinstance(class_weights, Mapping):
        return _from_mapping(class_weights, classes, names)
    if class_weights != "balanced":
        raise ValueError(
            "`class_weights` must be 'balanced' or a mapping from classes to weights. "
            f"Received: class_weights={class_weights!r}"
        )
    counts = _counts(train, steps, classes)
    if not counts.all():
        missing = int(np.flatnonzero(counts == 0)[0])
        raise ValueError(
            f"`class_weights` cannot be balanced: class {_name(missing, names)} has no training "
            "example."
        )
    return (counts.sum() / (classes * counts)).tolist()


def _from_mapping(mapping, classes, names) -> list[float]:
    weights = [1.0] * classes
    for key, value in mapping.items():
        number = names.index(key) if key in names else key
        if isinstance(number, str) and number.isdigit():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            number = -1
        if not 0 <= number < classes:
            accepted = ", ".join(map(str, names or range(classes)))
            raise ValueError(f"`class_weights` must name classes: {accepted}. Received: {key!r}")
        weights[number] = _checks.real(f"class_weights[{key!r}]", value, 0, 1e6)
    return weights


def _counts(train, steps, classes) -> np.ndarray:
    counts = np.zeros(classes)
    if makes_batches_in_step(train):
        labels = [np.asarray(train.arrays[1])]
    elif hasattr(train, "split"):
        labels = [np.asarray(train.split.y)]
    else:
        batches = itertools.islice(source(train, steps)(0), steps)
        labels = (to_numpy(batch[1]) for batch in batches)
    for some in labels:
        shares = some.ndim > 1 and some.shape[-1] == classes
        counts += some.sum(0) if shares else np.bincount(some.astype(int).ravel(), None, classes)
    return counts


def _name(number, names):
    return repr(names[number]) if names else number
