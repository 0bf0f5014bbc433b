"""Forced alignment: the most probable CTC path through a sequence that gives its labels."""

from collections.abc import Sequence

import numpy as np

from keras_residual._types import Tensor
from keras_residual.inference.decoding import sequences


def align(
    outputs: Tensor, labels: Sequence[Sequence[int]], mask: Tensor | None = None, blank: int = -1
) -> list[np.ndarray]:
    """Returns the steps of each label on the most probable path that gives the labels.

    Args:
        outputs: `(batch, steps, units)`, logits or logarithms of probabilities.
        labels: The labels of each sequence: lists, a ragged tensor, or rows of an array with
            negative padding at the end.
        mask: Optional, the valid steps: booleans `(batch, steps)`, or lengths `(batch,)`.
        blank: Index of the blank; `-1`, the default, is the last unit.

    Returns:
        For each sequence `(labels, 2)` integers: the first step of a label, and the one after its
        last.

    Raises:
        ValueError: If a shape does not fit, a label does not exist, or there are fewer steps than
            the labels need.

    Example:

    >>> outputs = np.log([[[0.1, 0.1, 0.8], [0.7, 0.1, 0.2], [0.6, 0.1, 0.3], [0.1, 0.8, 0.1]]])
    >>> align(outputs, [[0, 1]])[0].tolist()
    [[1, 3], [3, 4]]
    """
    found = list(sequences(outputs, mask, blank))
    labels = labels.to_list() if hasattr(labels, "to_list") else labels
    if len(labels) != len(found):
        raise ValueError(
            f"`labels` must be those of {len(found)} sequences. Received: {len(labels)}"
        )
    units = np.shape(outputs)[-1]
    blank = units - 1 if blank == -1 else blank
    return [
        _aligned(scores, steps, _moved(row, units, blank, index), index)
        for index, ((scores, steps), row) in enumerate(zip(found, labels, strict=True))
    ]


def _moved(row, units, blank, index):
    """Returns checked labels as indices of units among which the blank is the last."""
    row = np.asarray(row)
    if row.ndim != 1 or row.dtype.kind not in "iuf" or (row != np.floor(row)).any():
        raise ValueError(
            f"`labels` must be whole numbers. Received: {row.tolist()} for sequence {index}"
        )
    row = row.astype(int)
    row, padding = np.split(row, [int(np.argmax(row < 0)) if (row < 0).any() else len(row)])
    if (padding >= 0).any():
        raise ValueError(
            f"`labels` must have padding at the end only. Received: {row.tolist()} before "
            f"{padding.tolist()} for sequence {index}"
        )
    if len(row) and (row.max() >= units or (row == blank).any()):
        raise ValueError(
            f"`labels` must lie in 0..{units - 1} without the blank {blank}. "
            f"Received: {row.tolist()} for sequence {index}"
        )
    return row - (row > blank)


def _aligned(scores, steps, row, index):
    places = np.full(2 * len(row) + 1, scores.shape[1] - 1)
    places[1::2] = row
    may_skip = np.zeros(len(places), bool)
    may_skip[3::2] = row[1:] != row[:-1]
    best = np.where(np.arange(len(places)) < 1, 0.0, -np.inf)
    came_from = np.zeros((len(scores), len(places)), int)
    for t, emitted in enumerate(scores[:, places]):
        one = np.append(-np.inf, best[:-1])
        two = np.where(may_skip, np.append([-np.inf, -np.inf], best)[: len(best)], -np.inf)
        # The first step begins with the blank or the first label.
        choices = np.stack([best, one, two])
        came_from[t] = choices.argmax(axis=0)
        best = choices.max(axis=0) + emitted
    place = int(np.argmax(best[-2:])) + max(len(best) - 2, 0)
    if not np.isfinite(best[place]):
        if len(row) + (row[1:] == row[:-1]).sum() <= len(scores):
            raise ValueError(
                "`outputs` must give the labels a probability above 0. Received: 0 for the labels "
                f"of sequence {index}"
            )
        raise ValueError(
            "`labels` must fit into the steps that count: one each, and one between equal "
            f"neighbours. Received: {len(row)} labels and {len(scores)} steps in sequence {index}"
        )
    path = np.zeros(len(scores), int)
    for t in range(len(scores) - 1, -1, -1):
        path[t] = place
        place -= came_from[t, place]
    inside = [np.flatnonzero(path == 2 * i + 1) for i in range(len(row))]
    pairs = [(steps[at[0]], steps[at[-1]] + 1) for at in inside]
    return np.array(pairs, int).reshape(-1, 2)
