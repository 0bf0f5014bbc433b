"""Exceptions of a search."""


class EmptySpaceError(ValueError):
    """Raised when no network of a space fits its budget."""


class SearchError(RuntimeError):
    """Raised when a search cannot continue; the message is one line."""
