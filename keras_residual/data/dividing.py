"""Splits examples into training and held-out parts: stratified by class, or by whole groups."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual._words import counted
from keras_residual.data import keyed
from keras_residual.data.labels import strata

# With more groups than this they are drawn in random order, regardless of their classes.
_COMPARED_GROUPS = 2000


def stratified(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits `range(len(labels))` in two, stratified by class; the result never changes.

    Args:
        labels: `(n,)` integers.
        fraction: Number in (0, 1), fraction of the second part, rounded up to a whole example.
        seed: Integer.

    Returns:
        The sorted indices of the first and of the second part. Each class keeps at least one
        example in the first.
    """
    labels = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(labels)
    wanted = np.minimum(counts * fraction, np.maximum(counts - 1, 0))
    quota = np.floor(wanted).astype(int)
    missing = math.ceil(len(labels) * fraction - 1e-9) - quota.sum()
    by_remainder = np.argsort(quota - wanted, kind="stable")
    room = by_remainder[quota[by_remainder] < counts[by_remainder] - 1]
    quota[room[: max(missing, 0)]] += 1
    order = keyed.shuffled(np.arange(len(labels)), seed, epoch=0)
    by_class = order[np.argsort(labels[order], kind="stable")]
    place_in_class = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    held_out = by_class[place_in_class < np.repeat(quota, counts)]
    return np.setdiff1d(order, held_out), np.sort(held_out)


def divided(
    y: np.ndarray,
    kind: str,
    fraction: float,
    seed: int,
    groups: np.ndarray | None = None,
    held_out: Sequence[Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sorted indices of the kept and of the held-out examples; neither is empty.

    Args:
        y: Labels, in the form of `check_labels`.
        kind: Their kind.
        fraction: Number in (0, 1), the fraction to hold out.
        seed: Non-negative integer.
        groups: `(n,)`, groups that must stay together, such as the person in a picture.
        held_out: Names of the groups to hold out, in place of a fraction.

    Raises:
        ValueError: If an argument is none of the accepted or a part would be empty.
    """
    _checks.real("fraction", fraction, 0, 1, open_end=True)
    _checks.seed(seed)
    classes = strata(y, kind)
    if groups is None:
        if held_out is not None:
            raise ValueError(
                f"`held_out` needs groups to choose from. Received: held_out={held_out!r}"
            )
        rest, chosen = stratified(classes, fraction, seed)
    else:
        names, members = _checked_groups(groups, len(y))
        which = (
            _named(names, held_out)
            if held_out is not None
            else _drawn(members, classes, fraction, seed)
        )
        inside = np.isin(members, which)
        rest, chosen = np.flatnonzero(~inside), np.flatnonzero(inside)
    if not len(chosen) or not len(rest):
        raise ValueError(
            "`fraction` must leave an example in each of the two parts of "
            f"{counted(len(y), 'example')}. "
            f"Received: fraction={fraction!r}"
        )
    return rest, chosen


def _checked_groups(groups, count):
    groups = np.asarray(groups)
    if groups.shape != (count,):
        raise ValueError(
            f"`groups` must hold one value for each of {counted(count, 'example')}. "
            f"Received: shape {groups.shape}"
        )
    names, members = np.unique(groups.astype(str), return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"`groups` must hold at least 2 groups, one to hold out. Received: {', '.join(names)}"
        )
    return names, members


def _named(names, held_out):
    wanted = [str(name) for name in ([held_out] if isinstance(held_out, str) else held_out)]
    unknown = sorted(set(wanted) - set(names))
    if unknown or not wanted or len(set(wanted)) == len(names):
        raise ValueError(
            f"`held_out` must name some of the groups, not all: {', '.join(names[:20])}. "
            f"Received: held_out={held_out!r}"
        )
    return np.flatnonzero(np.isin(names, wanted))


def _drawn(members, classes, fraction, seed) -> np.ndarray:
    """Chooses groups greedily, each time the one that best approaches the class proportions."""
    classes = np.unique(classes, return_inverse=True)[1]
    counts = np.zeros((members.max() + 1, classes.max() + 1))
    np.add.at(counts, (members, classes), 1)
    wanted, size = fraction * counts.sum(axis=0), math.ceil(fraction * len(members) - 1e-9)
    left = list(keyed.shuffled(np.arange(len(counts)), seed, epoch=0))
    found, chosen = np.zeros_like(wanted), []
    while found.sum() < size and len(left) > 1:
        looked_at = np.array(left[: _COMPARED_GROUPS if len(counts) <= _COMPARED_GROUPS else 1])
        distance = np.square((found + counts[looked_at] - wanted) / np.sqrt(wanted + 1)).sum(axis=1)
        best = looked_at[distance.argmin()]
        with_it, without = found.sum() + counts[best].sum() - size, size - found.sum()
        if chosen and with_it > without:
            break
        chosen.append(best)
        found = found + counts[best]
        left.remove(best)
    return np.array(chosen, int)
