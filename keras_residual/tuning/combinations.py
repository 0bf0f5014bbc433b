"""Every point of a space of hyperparameters."""

from collections.abc import Iterator, Sequence
from typing import Any

from keras_tuner.engine.hyperparameters import HyperParameter


def combinations(
    space: Sequence[HyperParameter], chosen: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Yields the values of every combination of the active hyperparameters, defaults first.

    Args:
        space: Hyperparameters, each behind those that it depends on.
        chosen: The values of hyperparameters that `space` depends on.
    """
    chosen = chosen or {}
    if not space:
        yield dict(chosen)
        return
    hp, *others = space
    if not all(condition.is_active(chosen) for condition in hp.conditions):
        yield from combinations(others, chosen)
        return
    for value in dict.fromkeys([hp.default, *hp.values]):
        yield from combinations(others, {**chosen, hp.name: value})
