"""The training and held-out examples of a search."""

import zlib
from typing import Any

import numpy as np

from keras_residual import data
from keras_residual._words import counted
from keras_residual.data.dividing import stratified
from keras_residual.data.labels import check_labels, strata
from keras_residual.tuning.hypermodel import HyperNetwork


def described(source: data.Dataset | tuple[np.ndarray, np.ndarray]) -> str:
    """Returns a text that identifies a source, for arrays by their checksum."""
    if isinstance(source, data.Dataset):
        return str(source)
    x, y = (np.ascontiguousarray(array) for array in source)
    return f"arrays of {x.shape}, checksum {zlib.crc32(y, zlib.crc32(x)):08x}"


def of_arrays(hypermodel: HyperNetwork, source: object, validation: float) -> dict[str, Any]:
    """Splits arrays into training and held-out examples, as arguments of `HyperNetwork.fit`.

    Raises:
        ValueError: If they do not fit the space, or a part would be empty.
    """
    x, y = _arrays(hypermodel, source)
    rest, held_out = stratified(strata(y, hypermodel.labels), validation, 0)
    if not len(held_out):
        raise ValueError(
            "`validation` must leave an example in each of the two parts of "
            f"{counted(len(y), 'example')}. "
            f"Received: validation={validation!r}"
        )
    return {"x": x[rest], "y": y[rest], "validation_data": (x[held_out], y[held_out])}


def _arrays(hypermodel, source):
    """Returns `(x, y)` as arrays that fit the networks of the space."""
    try:
        x, y = (np.asarray(array) for array in source)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`source` must be a Dataset or a pair of arrays (x, y). "
            f"Received: {type(source).__name__}"
        ) from error
    expected = hypermodel.input_shape
    shape_fits = len(x.shape) == len(expected) + 1 and all(
        size in (None, received) for size, received in zip(expected, x.shape[1:], strict=True)
    )
    if not shape_fits:
        raise ValueError(
            f"`source` must hold examples of the space's input_shape, {expected}. "
            f"Received: x of shape {x.shape}"
        )
    labels = _classes if hypermodel.labels == "classes" else _others
    return x, labels(hypermodel, y, len(x))


def _classes(hypermodel, y, count):
    classes = hypermodel.classes
    if y.shape != (count,) or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"`source` must hold an integer label for each of {counted(count, 'example')}. "
            f"Received: y of shape {y.shape}, {y.dtype}"
        )
    if not len(y) or not 0 <= y.min() <= y.max() < classes:
        labels = f"labels from {y.min()} to {y.max()}" if len(y) else "no example"
        raise ValueError(
            f"`source` must hold labels from 0 to {classes - 1}, the space's classes. "
            f"Received: {labels}"
        )
    return y


def _others(hypermodel, y, count):
    """Returns several labels or numbers of each example as float32."""
    kind, units = hypermodel.labels, hypermodel.classes
    if not count:
        raise ValueError("`source` must hold examples. Received: no example")
    made, _ = check_labels("y", y, count, "source", kind)
    if made.shape[1] != units:
        raise ValueError(
            f"`source` must hold {units} values for each example, the space's classes, as "
            f"labels={kind!r}. Received: y of shape {y.shape}"
        )
    return made


def of_dataset(hypermodel: HyperNetwork, dataset: data.Dataset, validation: float) -> data.Dataset:
    """Splits the training examples of a dataset into training and held-out ones.

    Raises:
        ValueError: If they do not fit the space.
    """
    shape, classes = hypermodel.input_shape, hypermodel.classes
    kind = dataset.label_kind
    if kind != hypermodel.labels:
        raise ValueError(
            f"`source` must have labels of the space's kind, {hypermodel.labels!r}; make the space "
            f"with labels={kind!r} for these. Received: label_kind={kind!r} in {dataset}"
        )
    fits = len(shape) == 3 and shape[-1] == dataset.image_shape[-1]
    if dataset.examples != "images":
        fits = tuple(shape) == dataset.image_shape
    units = dataset.num_classes
    if not fits or (units > classes if kind == "classes" else units != classes):
        raise ValueError(
            "`source` must hold examples that the space takes, with "
            f"input_shape={shape} and classes={classes}. Received: {dataset}"
        )
    return dataset.hold_out(validation)
