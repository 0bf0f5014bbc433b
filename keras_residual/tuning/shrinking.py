"""Shrinks points that exceed a budget until they fit."""

import collections
import itertools
import random
from collections.abc import Mapping
from typing import Any

from keras_residual.tuning.errors import EmptySpaceError


def smallest(space) -> dict[str, Any]:
    """Returns `{}`, the default, if it fits the budget, else the values of the cheapest network.

    Raises:
        EmptySpaceError: If even the cheapest exceeds the budget.
    """
    if space.objection({}) is None:
        return {}
    knobs = [knob for knob in space.knobs if knob.name in space.architecture_knobs]
    values = {knob.name: min(knob.choices) for knob in knobs if is_one_of(space.sizes, knob)}
    others = [knob for knob in knobs if not is_one_of(space.sizes, knob)]
    parents = {knob.parent for knob in others}
    linked = [knob for knob in others if knob.parent or knob.name in parents]
    for group in [linked, *([knob] for knob in others if knob not in linked)]:
        names = [knob.name for knob in group]
        combinations = itertools.product(*(knob.choices for knob in group))
        tried = [{**values, **dict(zip(names, chosen, strict=True))} for chosen in combinations]
        values = min(tried, key=space.share_of_budget)
    values = {name: values[name] for name in space.active(values)}
    if reason := space.objection(values):
        raise EmptySpaceError(
            f"No network of this space fits into its budget. The smallest: {reason}."
        )
    return values


def narrowed(space, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the same network with all widths reduced, in equal numbers of choices, until it fits.

    This is the obvious manual choice, such as `ResNet8` at a quarter of its width.

    Returns:
        Values of knobs, or `None` if no width fits.
    """
    smaller = _smaller(space, values, space.widths)
    for steps in range(max(map(len, smaller.values()), default=0)):
        taken = {name: choices[min(steps, len(choices) - 1)] for name, choices in smaller.items()}
        point = {**values, **taken}
        if space.objection(point) is None:
            return point
    return None


def shrunk(space, values: Mapping[str, Any], order: random.Random) -> dict[str, Any] | None:
    """Returns a smaller network that fits, the first along a random path of reductions.

    The path starts at `values` and reduces sizes one at a time, in random order, down to the
    smallest ones.

    Returns:
        Values of knobs, or `None` if even the smallest sizes do not fit.
    """
    smaller = _smaller(space, values, space.sizes)
    steps = [name for name, choices in smaller.items() for _ in choices]
    order.shuffle(steps)

    def after(count):
        taken = collections.Counter(steps[:count])
        point = {**values, **{name: smaller[name][times - 1] for name, times in taken.items()}}
        return {name: point[name] for name in space.active(point)}

    low, high = 0, len(steps)
    if space.objection(after(high)) is not None:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if space.objection(after(middle)) is None else (middle, high)
    return after(high)


def _smaller(space, values, names):
    """Returns the smaller choices of the named knobs in `values`, the largest first."""
    smaller = {
        knob.name: sorted((c for c in knob.choices if c < values[knob.name]), reverse=True)
        for knob in space.knobs
        if knob.name in values and is_one_of(names, knob)
    }
    return {name: choices for name, choices in smaller.items() if choices}


def is_one_of(names, knob):
    return knob.name.rstrip("0123456789") in names
