"""Helpers for the wording of messages."""

import re

# What Keras calls a model that was made without a name.
_AUTOMATIC = re.compile(r"(functional|model|sequential)(_\d+)?")


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Returns a number with its noun, such as `1 picture` or `2,000 pictures`.

    Args:
        number: How many.
        singular: The noun for one of them; in a phrase such as `held-out image`, its last word is
            the noun.
        plural: The noun for any other number. Defaults to `singular` and an s.

    Example:

    >>> counted(1, "picture"), counted(0, "class", "classes")
    ('1 picture', '0 classes')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def first_line(error: object, limit: int | None = None) -> str:
    """Returns the one line of another library's error that a message quotes.

    That is the first line with text, or the name of the exception type if there is none. For a
    failure while tracing, TensorFlow puts the message after the trace.

    Args:
        error: An exception, or a text.
        limit: Largest number of characters; longer lines end in `…`. Defaults to no limit.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = lines or [type(error).__name__]
    line = lines[-1] if lines[0] == "in user code:" else lines[0]
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def name_of(model, otherwise: str = "model") -> str:
    """Returns a model's name, or another one if Keras chose it, such as `functional_1`.

    Args:
        model: A Keras model.
        otherwise: The name of a model that was made without one.
    """
    return otherwise if _AUTOMATIC.fullmatch(model.name) else model.name
