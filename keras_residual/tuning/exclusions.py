"""Drops the values of knobs that the options of the published network exclude."""

import dataclasses
import functools
import itertools
import json
from typing import Any

from keras_residual.analysis import cost
from keras_residual.tuning.knobs import Interval, Knob

# Of the values that a user gives several knobs, as one may allow what another excludes.
_MOST_COMBINATIONS = 64


def without_excluded(space, knobs: list[Knob], given: set[str]) -> list[Knob]:
    """Returns the knobs without the values that no network of a space can have.

    An ECA-ResNet has no squeeze-and-excitation and a reversible network no post-activation. A value
    is tried on the network `base` with as few blocks as possible.

    Args:
        space: The space; values of its `interdependent` knobs are tried.
        knobs: All knobs.
        given: Names of the knobs that the user has fixed or narrowed. Their values are tried
            together with those of the others.

    Raises:
        ValueError: If the user gives such a value.
    """
    chosen = [knob for knob in knobs if knob.name in given]
    names = [knob.name for knob in chosen]
    defaults = {knob.name: _smallest(knob) for knob in knobs}
    combinations = [
        {**defaults, **dict(zip(names, values, strict=True))}
        for values in itertools.islice(itertools.product(*map(_values, chosen)), _MOST_COMBINATIONS)
    ]

    def why_not(knob, value):
        """Returns why no network has the value, `None` if one has."""
        for values in combinations:
            options = space.counted_as(space.options({**values, knob.name: value}))
            reason = _why_not(space.base_name, json.dumps(options))
            if reason is None:
                return None
        return reason

    return [
        _without_excluded(space, knob, knob.name in given, why_not)
        if knob.name in space.interdependent
        else knob
        for knob in knobs
    ]


def _without_excluded(space, knob, is_given, why_not):
    reasons = {value: why_not(knob, value) for value in _values(knob)}
    excluded = [value for value, reason in reasons.items() if reason]
    if not is_given:
        choices = (c for c in knob.choices if c == knob.default or c not in excluded)
        return dataclasses.replace(knob, choices=tuple(choices))
    for value in excluded:
        raise ValueError(
            f"`{knob.name}` takes no such value with base={space.base_name!r}. "
            f"Received: {knob.name}={value!r}. {reasons[value]}"
        )
    return knob


def _values(knob):
    is_interval = isinstance(knob.choices, Interval)
    return (knob.choices.low, knob.choices.high) if is_interval else knob.choices


def _smallest(knob):
    """Returns the default of a knob; for numbers of blocks the fewest, built fastest."""
    return min(knob.choices) if knob.name.startswith("depth") else knob.default


def as_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Returns options read from JSON, which has no tuples, as arguments of a factory."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }


@functools.lru_cache(maxsize=1024)
def _why_not(name, options):
    """Returns why there is no such network, `None` if there is one."""
    try:
        cost(name, **as_arguments(json.loads(options)))
    except ValueError as error:
        return str(error)
    return None
