"""Argument checks: each ValueError names the argument, the value received, what is accepted."""

import difflib
import numbers
from collections.abc import Collection
from typing import Any

# Larger sizes and seeds overflow in some library, with a message that names no argument.
_LARGEST = 2**31 - 1
_LARGEST_SEED = 2**32 - 1
# Number of accepted names that the error for an unknown name lists.
_SHOWN = 12


def integer(name: str, value: object, minimum: int = 1, maximum: float = _LARGEST) -> int:
    """Returns `value` as an int, or raises if it is not an integer in `[minimum, maximum]`."""
    if not _is_integer(value) or not minimum <= value <= maximum:
        accepted = {0: "a non-negative integer", 1: "a positive integer"}.get(
            minimum, f"an integer of at least {minimum}"
        )
        if _is_integer(value) and value > maximum:
            accepted += f" of at most {maximum}"
        raise ValueError(f"`{name}` must be {accepted}. Received: {name}={value!r}")
    return int(value)


def seed(value: object) -> int:
    """Returns a seed as an int, or raises if it is none that NumPy and Keras take."""
    return integer("seed", value, 0, _LARGEST_SEED)


def _is_integer(value) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def real(
    name: str,
    value: object,
    minimum: float,
    maximum: float,
    *,
    open_start: bool = False,
    open_end: bool = False,
) -> float:
    """Returns `value` as a float in the interval, whose ends may be open."""
    inside = (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and minimum <= value <= maximum
        and not (open_start and value == minimum)
        and not (open_end and value == maximum)
    )
    if not inside:
        start, end = "(" if open_start else "[", ")" if open_end else "]"
        interval = f"{start}{minimum:g}, {maximum:g}{end}"
        raise ValueError(f"`{name}` must be a number in {interval}. Received: {name}={value!r}")
    return float(value)


def items(name: str, value: object) -> list[Any]:
    """Returns the items of `value`, or raises if it is not a sequence."""
    try:
        found = None if isinstance(value, str | dict) else list(value)
    except TypeError:
        found = None
    if found is None:
        raise ValueError(f"`{name}` must be a sequence of numbers. Received: {name}={value!r}")
    return found


def reals(name: str, value: object, minimum: float, maximum: float) -> list[float]:
    """Returns `value` as a list of floats in `[minimum, maximum]`."""
    return [real(name, item, minimum, maximum) for item in items(name, value)]


def boolean(name: str, value: object) -> bool:
    """Returns `value`, or raises if it is not a bool."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return value


def choice(name: str, value: object, accepted: Collection[Any]) -> object:
    """Returns `value`, or raises if it is not one of `accepted`."""
    if not any(type(value) is type(item) and value == item for item in accepted):
        options = ", ".join(repr(item) for item in accepted)
        raise ValueError(f"`{name}` must be one of {options}. Received: {name}={value!r}")
    return value


def integers(name: str, value: object, minimum: int = 1) -> tuple[int, ...]:
    """Returns `value` as a non-empty tuple of integers of at least `minimum`."""
    try:
        items = None if isinstance(value, str) else tuple(value)
    except (TypeError, NotImplementedError):  # a symbolic Keras tensor raises the latter
        items = None
    if items is None:
        raise ValueError(f"`{name}` must be a sequence of integers. Received: {name}={value!r}")
    if not items:
        raise ValueError(f"`{name}` must not be empty. Received: {name}={value!r}")
    if not all(_is_integer(item) and minimum <= item <= _LARGEST for item in items):
        raise ValueError(
            f"`{name}` must hold integers of at least {minimum} and at most {_LARGEST}. "
            f"Received: {name}={value!r}"
        )
    return tuple(int(item) for item in items)


def integer_or_none(name: str, value: object, minimum: int = 1) -> int | None:
    """Returns `None`, or `value` as an integer of at least `minimum`."""
    return None if value is None else integer(name, value, minimum)


def positive(**values: object) -> tuple[int, ...]:
    """Returns several arguments, given by name, as positive integers."""
    return tuple(integer(name, value) for name, value in values.items())


def per_axis(name: str, value: object) -> int | tuple[int, ...]:
    """Returns a positive integer, or a tuple with one for each spatial axis."""
    if isinstance(value, (tuple, list)):
        return integers(name, value)
    return integer(name, value)


def effective(
    name: str, value: object, default: object, met: bool, needs: str, **beside: object
) -> None:
    """Raises if `value` is not the default although it has no effect without what it `needs`."""
    if value != default and not met:
        received = ", ".join(f"{key}={item!r}" for key, item in {name: value, **beside}.items())
        raise ValueError(f"`{name}` has no effect without {needs}. Received: {received}")


def known(kind: str, name: object, accepted: Collection[str]) -> str:
    """Returns `name`, or raises with the most similar of `accepted`."""
    if isinstance(name, str) and name in accepted:
        return name
    lowered, wanted = {item.lower(): item for item in accepted}, str(name).lower()
    starting = [item for item in lowered if wanted and item.startswith(wanted)]
    close = difflib.get_close_matches(wanted, lowered, n=3, cutoff=0.5)
    near = list(dict.fromkeys([*starting, *close]))[:3]
    if near:
        hint = f"Did you mean {' or '.join(lowered[item] for item in near)}?"
    else:
        some = ", ".join(list(accepted)[:_SHOWN]) + (", …" if len(accepted) > _SHOWN else "")
        hint = f"Accepted: {some}."
    raise ValueError(f"Unknown {kind}: {name!r}. {hint}")
