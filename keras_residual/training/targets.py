"""Infers the kind of labels of a training from its first batches and the model's output."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_residual.training.arrays import ArrayBatches
from keras_residual.training.heads import Head
from keras_residual.training.steps import makes_batches_in_step

KINDS = ("classes", "one_hot", "multi_label", "regression", "text")
# Measurements may happen to be integers, so several batches of integers are needed.
_BATCHES = 8
_TOLERANCE = 1e-3


def kind_of_targets(targets: np.ndarray, head: Head) -> str:
    """Returns the kind of the labels `targets` for a model with that output.

    Args:
        targets: Labels of some examples, the batch first.
        head: The model's output.

    Returns:
        `"classes"`, the class number of each output position; `"one_hot"`, proportions of the
        classes that sum to 1; `"multi_label"`, 0 or 1 for each unit, also for a single one;
        `"regression"`, a number for each unit; or `"text"`, the labels of a transcriber.

    Raises:
        ValueError: If they do not match the output, or the kind is ambiguous.
    """
    targets = np.asarray(targets)
    if targets.dtype.kind not in "biuf" and targets.dtype.name != "bfloat16":
        raise _refusal(targets, head, "labels are numbers")
    targets = targets.astype("float64") if targets.dtype.kind not in "biu" else targets
    if not np.isfinite(targets).all():
        raise _refusal(targets, head, "labels are finite, and some here are NaN or infinite")
    if head.blank:
        return _kind_for_transcriber(targets, head)
    each_unit = len(targets.shape) == len(head.shape) and targets.shape[-1] == head.units
    one_less = len(targets.shape) == len(head.shape) - 1
    trailing_one = len(targets.shape) == len(head.shape) and targets.shape[-1] == 1
    _check_positions(targets, head)
    if head.units == 1 and (each_unit or (one_less and targets.dtype.kind in "bf")):
        return _kind_for_one_unit(targets, head)
    if each_unit:
        return _kind_for_each_unit(targets, head)
    if one_less or trailing_one:
        return _classes(targets, head)
    raise _refusal(targets, head, "labels have a class number a position or a number a unit")


def _kind_for_transcriber(targets, head):
    whole = targets.ndim == 2 and (targets == np.round(targets)).all()
    if not whole or targets.min() < -1 or targets.max() >= head.units - 1:
        raise _refusal(
            targets,
            head,
            f"labels of a transcriber are (batch, length), numbers in 0..{head.units - 2} with -1 "
            "behind the last",
        )
    return "text"


def _check_positions(targets, head):
    """Compares the axes between the batch and the units, such as the sides of a map."""
    expected = head.shape[1:-1]
    found = targets.shape[1 : 1 + len(expected)]
    fits = len(found) == len(expected) and all(
        size in (None, received) for size, received in zip(expected, found, strict=True)
    )
    if not fits:
        raise _refusal(
            targets, head, f"labels have the shape (batch, *{expected}) or one axis more"
        )


def _kind_for_one_unit(targets, head):
    if head.activation == "softmax":
        raise _refusal(targets, head, "a softmax over one unit is always 1; a sigmoid suits one")
    if _are_zeros_and_ones(targets) and head.activation in ("sigmoid", "linear"):
        return "multi_label"
    if targets.dtype.kind in "iu":
        raise _refusal(
            targets,
            head,
            "whole numbers other than 0 and 1 may be class numbers, which need a unit a class, or "
            "measurements, which are floating point",
        )
    return _regression(targets, head)


def _kind_for_each_unit(targets, head):
    sums_to_one = targets.min() >= 0 and (abs(targets.sum(-1) - 1) < _TOLERANCE).all()
    if head.activation == "softmax":
        if sums_to_one:
            return "one_hot"
        several = "several labels an example need a sigmoid or no activation"
        raise _refusal(targets, head, f"with softmax the shares of the classes sum to 1; {several}")
    if head.activation == "linear" and sums_to_one:
        return "one_hot"
    if head.activation in ("sigmoid", "linear") and _are_zeros_and_ones(targets):
        return "multi_label"
    return _regression(targets, head)


def _regression(targets, head):
    if head.activation == "sigmoid":
        raise _refusal(
            targets,
            head,
            "a sigmoid answers labels of 0 and 1; numbers between may be probabilities "
            "(loss='binary_crossentropy') or measurements (loss='mean_squared_error')",
        )
    if head.activation != "linear" and _are_zeros_and_ones(targets):
        raise _refusal(targets, head, "labels of 0 and 1 need softmax, sigmoid or no activation")
    return "regression"


def _classes(targets, head):
    if not (targets == np.round(targets)).all():
        raise _refusal(targets, head, "measurements need a unit for each number of an example")
    if head.units == 1:
        raise _refusal(
            targets,
            head,
            "class numbers need a unit a class; 0 and 1 for one unit are floating point",
        )
    lowest, highest = targets.min(), targets.max()
    if lowest < 0 or (head.units is not None and highest >= head.units):
        raise _refusal(
            targets, head, f"class numbers lie in 0..{head.units - 1}, not {lowest:g}..{highest:g}"
        )
    return "classes"


def _are_zeros_and_ones(targets) -> bool:
    return bool(((targets == 0) | (targets == 1)).all())


def _refusal(targets, head, reason) -> ValueError:
    shape = ", ".join(["batch", *map(str, targets.shape[1:])])
    return ValueError(
        f"`loss` does not follow from labels of shape ({shape}), {targets.dtype}, and {head}: "
        f"{reason}. Change one of them or pass `loss`. Received: loss=None"
    )


def first_targets(train: Iterable[Any] | Callable[..., Any], head: Head) -> tuple[np.ndarray, Any]:
    """Returns all labels of arrays, or those of the first batches, and the data to continue with.

    For an iterator, the batches that were read are put back in front.
    """
    if isinstance(train, ArrayBatches):
        return train.arrays[1], train
    batches, train = first_batches(train)
    found = []
    for batch in itertools.islice(batches, _BATCHES):
        found.append(_labels(batch))
        # Class numbers; others may change their kind: each example of a batch may have one label.
        if found[-1].dtype.kind in "iu" and found[-1].ndim < len(head.shape):
            break
    if not found:
        raise ValueError("`data` must hold at least one training batch. Received: none")
    return np.concatenate(found), train


def first_batches(train: Iterable[Any] | Callable[..., Any]) -> tuple[Iterable[Any], Any]:
    """Returns batches for inspection, and the training data to continue with."""
    if makes_batches_in_step(train):
        return _made_in_step(train), train
    batches = train(0) if callable(train) else train
    if isinstance(batches, keras.utils.PyDataset):
        return (batches[index] for index in range(len(batches))), train
    if iter(batches) is not batches or callable(train):
        return batches, train
    read = []
    return _remembered(batches, read), _chained(read, batches)


def example_batch(train: Iterable[Any] | Callable[..., Any]) -> tuple[Any, Any]:
    """Returns a batch of the right shapes, or `None`, and the training data to continue with."""
    batches, train = first_batches(train)
    specs = keras.tree.flatten(getattr(batches, "element_spec", None))
    shapes = [getattr(spec, "shape", None) for spec in specs]
    if all(shape is not None and shape.rank and None not in shape[1:] for shape in shapes):
        # Without waiting for the first images to be read.
        return keras.tree.map_structure(_zeros, batches.element_spec), train
    return next(iter(batches), None), train


def _zeros(spec):
    return keras.ops.zeros((spec.shape[0] or 1, *spec.shape[1:]), spec.dtype.name)


def _remembered(batches, read: list[Any]):
    for batch in batches:
        read.append(batch)
        yield batch


def _chained(read, rest):
    """Returns a generator, because Keras does not accept other iterators."""
    yield from read
    yield from rest


def _made_in_step(train):
    arrays = tuple(keras.ops.convert_to_tensor(array) for array in train.arrays)
    epoch = keras.ops.convert_to_tensor(0, dtype="int32")
    for index in train.order(0)[0]:
        yield train.make(arrays, keras.ops.convert_to_tensor(index), epoch)


def _labels(batch) -> np.ndarray:
    if not isinstance(batch, (tuple, list)) or len(batch) < 2 or batch[1] is None:
        raise ValueError(
            "`loss` must be given where batches have no labels; others are (inputs, labels) or "
            f"with sample weights. Received: {type(batch).__name__}"
        )
    labels = batch[1]
    if isinstance(labels, (dict, tuple, list)):
        raise ValueError(
            "`loss` must be given where an example has several labels. "
            f"Received: labels in a {type(labels).__name__}"
        )
    if any(hasattr(part, "ragged_rank") for part in batch[:2]):
        raise ValueError(
            "`data` must hold batches whose examples have one shape: pad a ragged tensor by its "
            "`to_tensor()`. Received: a ragged tensor"
        )
    if keras.ops.is_tensor(labels):
        labels = keras.ops.convert_to_numpy(labels)
    return np.atleast_1d(np.asarray(labels.cpu() if hasattr(labels, "cpu") else labels))
