"""Validates JSON from files of a search, which may be damaged or written by another program.

A schema is one of

- a type or a tuple of types: `int` and `float` reject `bool`, `float` accepts `int`;
- `[schema]`: a list of such values;
- `{str: schema}`: an object with any keys;
- `{"name": schema, …}`: an object with at least these keys;
- a function that raises `ValueError`.
"""

import math
from collections.abc import Callable

Schema = type | tuple | list | dict | Callable[[object], None]


def check(value: object, schema: Schema, name: str = "") -> None:
    """Checks a value against a schema.

    Raises:
        ValueError: If the value does not match; the message gives its path.
    """
    place = name or "the content"
    if isinstance(schema, list):
        _of_type(value, list, place)
        for index, item in enumerate(value):
            check(item, schema[0], f"{name}[{index}]")
    elif isinstance(schema, dict):
        _of_type(value, dict, place)
        any_name = schema.get(str)
        for key in value if any_name is not None else schema:
            if key not in value:
                raise ValueError(f"{place} has no {key!r}")
            check(value[key], any_name or schema[key], f"{name}.{key}" if name else str(key))
    elif isinstance(schema, type | tuple):
        _of_type(value, schema, place)
    else:
        try:
            schema(value)
        except ValueError as error:
            raise ValueError(f"{place} {error}") from error


def _of_type(value, kinds, place):
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    fits = any(
        isinstance(value, (int, float) if kind is float else kind)
        and (kind is bool or not isinstance(value, bool))
        for kind in kinds
    )
    if not fits:
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ValueError(f"{place} is no {names}: {str(value)[:60]!r}")


def finite(value: object) -> None:
    """Schema of finite numbers."""
    _of_type(value, float, "which")
    if not math.isfinite(value):
        raise ValueError(f"is not finite: {value!r}")


def positive(value: object) -> None:
    """Schema of finite numbers above 0."""
    _of_type(value, float, "which")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"is no positive number: {value!r}")


def count(value: object) -> None:
    """Schema of integers of at least 0."""
    _of_type(value, int, "which")
    if value < 0:
        raise ValueError(f"is negative: {value!r}")


def digits(value: object) -> None:
    """Schema of trial ids, such as `"07"`."""
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        raise ValueError(f"is no number of a trial: {str(value)[:60]!r}")
