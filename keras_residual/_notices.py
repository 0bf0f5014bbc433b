"""Notices for people, such as the progress of a download, while a command silences libraries."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TextIO

_kept: TextIO | None = None
_pause: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext


def stream() -> TextIO:
    """Returns where notices are written: standard error, unless a command has silenced it."""
    return sys.stderr if _kept is None else _kept


@contextlib.contextmanager
def shown_on(file: TextIO) -> Iterator[None]:
    """Has notices written to a file, while others' writing to standard error is held back."""
    global _kept
    before, _kept = _kept, file
    try:
        yield
    finally:
        _kept = before


@contextlib.contextmanager
def pausing(pause: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Has `pause` entered around every notice, as a line that is drawn again would overwrite it."""
    global _pause
    before, _pause = _pause, pause
    try:
        yield
    finally:
        _pause = before


@contextlib.contextmanager
def undisturbed() -> Iterator[TextIO]:
    """Yields the stream for notices, while nothing else is drawn on the terminal."""
    with _pause():
        yield stream()
