"""The error of this room."""


class WeightsError(ValueError):
    """A weight file, or the place it comes from, cannot be used.

    The message is one line: the file or address, then the reason.
    """


def first_line(error: BaseException, limit: int = 160) -> str:
    """Returns the first line of an error's message, or its type's name where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= limit else line[: limit - 1] + "…"
