"""Transcripts: where labels begin on a path of CTC, and how far two transcripts are apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def beginnings(path: np.ndarray, blank: int) -> np.ndarray:
    """Returns at which steps of a path a label begins: neither a repetition nor the blank.

    Args:
        path: `(steps,)`, the unit of each step.
        blank: The unit of the blank.
    """
    return np.append(True, path[1:] != path[:-1])[: len(path)] & (path != blank)


def edit_distance(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Returns the fewest insertions, deletions and substitutions that turn one into the other.

    Args:
        one: A text, or any sequence.
        other: Another.

    Example:

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(other) + 1))
    for token in one:
        before, row = row, [row[0] + 1]
        for place, another in enumerate(other):
            changed = before[place] + (token != another)
            row.append(min(before[place + 1] + 1, row[-1] + 1, changed))
    return row[-1]
