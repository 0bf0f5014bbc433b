"""Argument checks: each ValueError names the argument, the value received, what is accepted."""

import difflib
import numbers
from collections.abc import Collection, Iterable


def integer(name: str, value: object, minimum: int = 1) -> int:
    """Returns `value` as an int, or raises if it is not an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        accepted = {0: "a non-negative integer", 1: "a positive integer"}.get(
            minimum, f"an integer of at least {minimum}"
        )
        raise ValueError(f"`{name}` must be {accepted}. Received: {name}={value!r}")
    return int(value)


def real(
    name: str, value: object, minimum: float, maximum: float, *, open_end: bool = False
) -> float:
    """Returns `value` as a float in `[minimum, maximum]`; `open_end` leaves out the maximum."""
    inside = (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and minimum <= value <= maximum
        and not (open_end and value == maximum)
    )
    if not inside:
        interval = f"[{minimum:g}, {maximum:g}" + (")" if open_end else "]")
        raise ValueError(f"`{name}` must be a number in {interval}. Received: {name}={value!r}")
    return float(value)


def boolean(name: str, value: object) -> bool:
    """Returns `value`, or raises if it is not a bool."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return value


def choice(name: str, value: object, accepted: Collection) -> object:
    """Returns `value`, or raises if it is not one of `accepted`."""
    if not any(type(value) is type(item) and value == item for item in accepted):
        options = ", ".join(repr(item) for item in accepted)
        raise ValueError(f"`{name}` must be one of {options}. Received: {name}={value!r}")
    return value


def integers(name: str, value: object, minimum: int = 1) -> tuple[int, ...]:
    """Returns `value` as a non-empty tuple of integers of at least `minimum`."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"`{name}` must be a sequence of integers. Received: {name}={value!r}")
    items = tuple(value)
    if not items:
        raise ValueError(f"`{name}` must not be empty. Received: {name}={value!r}")
    for item in items:
        if isinstance(item, bool) or not isinstance(item, numbers.Integral) or item < minimum:
            raise ValueError(
                f"`{name}` must hold integers of at least {minimum}. Received: {name}={value!r}"
            )
    return tuple(int(item) for item in items)


def effective(
    name: str, value: object, default: object, met: bool, needs: str, **beside: object
) -> None:
    """Raises for a value other than the default where what it `needs` for any effect is not met."""
    if value != default and not met:
        received = ", ".join(f"{key}={item!r}" for key, item in {name: value, **beside}.items())
        raise ValueError(f"`{name}` has no effect without {needs}. Received: {received}")


def known(kind: str, name: object, accepted: Collection[str]) -> str:
    """Returns `name`, or raises naming the nearest of `accepted`."""
    if isinstance(name, str) and name in accepted:
        return name
    lowered, wanted = {item.lower(): item for item in accepted}, str(name).lower()
    starting = [item for item in lowered if wanted and item.startswith(wanted)]
    close = difflib.get_close_matches(wanted, lowered, n=3, cutoff=0.5)
    near = list(dict.fromkeys([*starting, *close]))[:3]
    hint = f" Did you mean {' or '.join(lowered[item] for item in near)}?" if near else ""
    raise ValueError(f"Unknown {kind}: {name!r}.{hint}")
