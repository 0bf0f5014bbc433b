"""Padded label sequences: their lengths and their validity."""

import keras
import numpy as np
from keras import ops


def checked_padding(padding) -> int:
    """Returns the padding value, or raises if it is not a negative integer."""
    valid = isinstance(padding, int) and not isinstance(padding, bool) and padding < 0
    if not valid:
        raise ValueError(
            "`padding` must be a negative integer, which no unit has as its number. "
            f"Received: padding={padding!r}"
        )
    return padding


def as_matrix(labels, padding: int):
    """Returns labels, also of a ragged tensor or of lists of several lengths, padded to one."""
    if hasattr(labels, "ragged_rank"):
        return labels.to_tensor(default_value=padding)
    if not isinstance(labels, (list, tuple)) or not labels:
        return labels
    rows = [np.asarray(row) for row in labels]
    if any(row.ndim != 1 for row in rows):
        return np.asarray(labels)
    longest = max(map(len, rows))
    filled = [np.pad(row, (0, longest - len(row)), constant_values=padding) for row in rows]
    return np.stack(filled)


def check_batch(labels, batch: int | None) -> None:
    """Raises if there are not as many rows of labels as sequences, where both are known."""
    given = labels.shape[0] if len(labels.shape) == 2 else None
    if None not in (given, batch) and given != batch:
        raise ValueError(
            f"`y_true` must have a row for each of {batch} sequences. Received: a shape of "
            f"{tuple(labels.shape)}"
        )


def unit_of_blank(blank: int, units: int) -> int:
    """Returns the index of the blank's unit, `-1` being the last.

    Raises:
        ValueError: If there is no such unit, or no other one.
    """
    if units is None or units < 2:
        raise ValueError(
            f"`y_pred` must have a unit for the blank and one for each class. Received: {units} "
            "units"
        )
    if blank >= units:
        raise ValueError(
            f"`blank` must be one of the {units} units of `y_pred`, or -1 for the last. "
            f"Received: blank={blank}"
        )
    return units - 1 if blank == -1 else blank


def label_lengths(labels, padding: int, units: int, blank: int):
    """Returns the number of labels of each example, and whether any is invalid."""
    labels = ops.cast(labels, "float32")
    present = labels != padding
    number = ops.cast(present, "int32")
    lengths = ops.sum(number, axis=1)
    exists = (labels >= 0) & (labels < units) & (labels != blank)
    exists = exists & (labels == ops.floor(labels))
    places = ops.cumsum(ops.ones_like(number), axis=1)
    behind = places > ops.expand_dims(lengths, -1)
    return lengths, ops.any(ops.where(behind, present, ~exists), axis=1)


def steps_needed(labels, lengths):
    """Returns the number of steps labels need: one each, and a blank between equal neighbours."""
    labels = ops.convert_to_tensor(labels)
    places = ops.cumsum(ops.ones_like(labels[:, 1:]), axis=1)
    repeated = (labels[:, 1:] == labels[:, :-1]) & (places < ops.expand_dims(lengths, -1))
    return lengths + ops.sum(ops.cast(repeated, "int32"), axis=1)


def check_labels(labels, padding: int, units: int, blank: int) -> None:
    """Raises if the labels of a batch are known and some are invalid.

    Raises:
        ValueError: If they are not a matrix, one is the blank or out of range, or padding is not at
            the end.
    """
    if len(labels.shape) != 2:
        raise ValueError(
            "`y_true` must have the shape (batch, length), padded to one length. "
            f"Received: a shape of {tuple(labels.shape)}"
        )
    values = known_values(labels)
    if values is None:
        return
    others = values[values != padding]
    accepted = f"labels lie in 0..{units - 1} without the blank {blank}; {padding} is padding"
    for wrong in others[(others < 0) | (others >= units) | (others != np.floor(others))][:1]:
        raise ValueError(f"`y_true`: {accepted}. Received: {wrong:g}")
    if (others == blank).any():
        raise ValueError(f"`y_true` must not contain the blank: {accepted}. Received: {blank}")
    present = values != padding
    if (present[:, 1:] & ~present[:, :-1]).any():
        raise ValueError(
            "`y_true` must have padding after the last label only. Received: "
            f"{padding} before another label"
        )


def known_values(x) -> np.ndarray | None:
    """Returns the values of a tensor, `None` inside a function that is being compiled."""
    if isinstance(x, np.ndarray):
        return x
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return x.numpy() if tf.executing_eagerly() else None
    if backend == "jax":
        import jax

        return None if isinstance(x, jax.core.Tracer) else np.asarray(x)
    return None if x.is_meta else ops.convert_to_numpy(x)
