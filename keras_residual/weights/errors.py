"""The error of weight files, and shortening of long texts to one line."""

from collections.abc import Collection, Mapping

from keras_residual import _words

# Number of names that a message shows; the rest are counted.
_SHOWN = 8


class WeightsError(ValueError):
    """Raised when a weight file, or the place it comes from, cannot be used.

    The message is one line: the file or address, then the reason.

    Args:
        message: The message.
        options: The options of a network that would fit, if the weights are for another network.
    """

    def __init__(self, message: str = "", options: Mapping[str, object] | None = None):
        super().__init__(message)
        self.options = dict(options or {})


def first_line(error: BaseException, limit: int = 160) -> str:
    """Returns the first line of an error's message, or its type's name if it is empty."""
    return _words.first_line(error, limit)


def listed(names: Collection[object], limit: int = _SHOWN) -> str:
    """Returns the first names of a list, separated by commas, and how many more there are."""
    shown = [str(name) for name in list(names)[:limit]]
    shown = [text if len(text) <= 160 else text[:159] + "…" for text in shown]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" … and {rest} more" if rest else "")
