"""Knobs: hyperparameters of a search, which a user can fix, narrow or omit."""

import dataclasses
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner

from keras_residual import _checks

# Distance to a neighbouring value, as a share of the range of choices.
_NEAR = 0.15
_DESCRIPTIONS = {bool: "True or False", int: "an integer", float: "a number", str: "a string"}


@dataclass(frozen=True)
class Interval:
    """An interval of numbers, for a knob such as a learning rate.

    Attributes:
        low: Lower bound.
        high: Upper bound.
        log: Whether to sample uniformly on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        smallest = 1e-12 if self.log else float("-inf")
        _checks.real("high", self.high, smallest, float("inf"))
        _checks.real("low", self.low, smallest, self.high)

    def near(self, value: float, order: random.Random) -> float:
        """Returns a random number near `value`."""
        share = order.gauss(0, _NEAR)
        if self.log:
            value *= (self.high / self.low) ** share
        else:
            value += (self.high - self.low) * share
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Knob:
    """One dimension of a space.

    Attributes:
        name: Its name, that of an argument.
        choices: A tuple of values of one type, or an `Interval`.
        default: The value in the network and recipe that the space is built around.
        parent: Name of the knob on which it depends, if any.
        parent_values: The values of `parent` with which it has an effect.
    """

    name: str
    choices: tuple[Any, ...] | Interval
    default: object
    parent: str = ""
    parent_values: tuple[Any, ...] = ()

    def matters(self, values: Mapping[str, Any]) -> bool:
        """Returns whether the knob has an effect, given the other values."""
        return not self.parent or values[self.parent] in self.parent_values

    def register(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares the knob, conditional on its parent."""
        if self.parent:
            with hp.conditional_scope(self.parent, list(self.parent_values)):
                self._declare(hp)
        else:
            self._declare(hp)

    def _declare(self, hp):
        if isinstance(self.choices, Interval):
            sampling = "log" if self.choices.log else "linear"
            low, high = float(self.choices.low), float(self.choices.high)
            hp.Float(self.name, low, high, sampling=sampling, default=self.default)
        elif isinstance(self.default, bool):
            hp.Boolean(self.name, default=self.default)
        else:
            hp.Choice(self.name, list(self.choices), default=self.default)

    def near(self, value: Any, order: random.Random) -> Any:
        """Returns another choice, near `value` if choices are numbers, else at random."""
        if isinstance(self.choices, Interval):
            return self.choices.near(value, order)
        reach = len(self.choices)
        if not isinstance(self.default, str):
            reach = max(1, math.floor(_NEAR * reach))
        place = self.choices.index(value)
        below, above = self.choices[max(0, place - reach) : place], self.choices[place + 1 :]
        return order.choice(below + above[:reach])

    def check(self, value: object) -> None:
        """Checks that a value read from a file is a choice of the knob.

        Raises:
            ValueError: If it is not.
        """
        kinds = (float, int) if isinstance(self.default, float) else (type(self.default),)
        fits = type(value) in kinds
        if fits and isinstance(self.choices, Interval):
            slack = 1e-6 * max(abs(self.choices.low), abs(self.choices.high))
            fits = self.choices.low - slack <= value <= self.choices.high + slack
        elif fits and isinstance(self.default, float):
            fits = any(math.isclose(value, choice, rel_tol=1e-6) for choice in self.choices)
        elif fits:
            fits = value in self.choices
        if not fits:
            raise ValueError(f"{self.name} is {str(value)[:60]!r}, which is not in the space")

    def nearest(self, value: Any) -> Any:
        """Returns the choice nearest to `value`, which may have been rounded in a file."""
        if isinstance(self.default, float) and not isinstance(self.choices, Interval):
            return min(self.choices, key=lambda choice: abs(choice - value))
        return value


def narrowed(knobs: list[Knob], settings: Mapping[str, Any]) -> list[Knob]:
    """Applies a user's settings to the knobs.

    Args:
        knobs: All knobs.
        settings: By name of a knob: `None` to omit it, a value to fix it, a list of values or an
            `Interval` to narrow it.

    Returns:
        All knobs, those in `settings` with their remaining choices.

    Raises:
        ValueError: If a name is unknown, or a value has another type than the knob's.
    """
    for name in settings:
        _checks.known("knob", name, [knob.name for knob in knobs])
    return [_changed(knob, settings.get(knob.name, knob.choices)) for knob in knobs]


def free(knobs: list[Knob]) -> list[Knob]:
    """Returns the knobs left to search: those with several choices that can have an effect.

    Args:
        knobs: All knobs, parents before those that depend on them.
    """
    defaults = {knob.name: knob.default for knob in knobs}
    several = {knob.name: knob for knob in knobs if _is_free(knob)}
    left = []
    for knob in several.values():
        if not knob.parent or knob.parent in several:
            left.append(knob)
        elif knob.matters(defaults):
            left.append(dataclasses.replace(knob, parent="", parent_values=()))
    return _reachable(left)


def _is_free(knob):
    if isinstance(knob.choices, Interval):
        return knob.choices.low < knob.choices.high
    return len(knob.choices) > 1


def _reachable(knobs):
    """Drops knobs whose parent cannot take the values that they depend on."""
    by_name, left = {knob.name: knob for knob in knobs}, []
    names = set()
    for knob in knobs:
        parent = by_name.get(knob.parent)
        reachable = parent is None or (
            parent.name in names and set(parent.choices) & set(knob.parent_values)
        )
        if reachable:
            left.append(knob)
            names.add(knob.name)
    return left


def _changed(knob, setting):
    if setting is knob.choices:
        return knob
    if setting is None:
        return dataclasses.replace(knob, choices=(knob.default,))
    if isinstance(setting, Interval):
        if not isinstance(knob.default, float):
            raise ValueError(
                f"`{knob.name}` takes no interval, but one of {knob.choices}. "
                f"Received: {knob.name}={setting!r}"
            )
        default = min(max(knob.default, setting.low), setting.high)
        return dataclasses.replace(knob, choices=setting, default=float(default))
    choices = tuple(setting) if isinstance(setting, list | tuple) else (setting,)
    choices = tuple(dict.fromkeys(_of_type(knob, value) for value in choices))
    if not choices:
        raise ValueError(f"`{knob.name}` must not be empty. Received: {knob.name}={setting!r}")
    default = knob.default if knob.default in choices else choices[0]
    return dataclasses.replace(knob, choices=choices, default=default)


def _of_type(knob, value):
    kind = type(knob.default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ValueError(
            f"`{knob.name}` must be {_DESCRIPTIONS[kind]}, a list of such, or None to leave it "
            f"out. Received: {knob.name}={value!r}"
        )
    return value
