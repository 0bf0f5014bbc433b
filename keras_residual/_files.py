"""Atomic writing of files and folders: a failure leaves the old content in place."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path next to `path` to write to, which replaces `path` at the end.

    If the block fails, `path` is unchanged. The next call removes what a killed process left; if
    that was killed while it replaced a folder, it first puts the new one in place.

    Args:
        path: File or folder. Its parent folders are created.
    """
    path = Path(path)
    workshop = path.parent / f".{path.name}.partial"
    before = workshop / ".before"
    if before.exists() and not path.exists():
        finished = workshop / path.name
        os.replace(finished if finished.exists() else before, path)
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(parents=True)
    try:
        yield workshop / path.name
        if path.is_dir():
            # A rename can replace only an empty folder.
            os.replace(path, before)
        os.replace(workshop / path.name, path)
    except BaseException:
        if before.exists() and not path.exists():
            os.replace(before, path)
        raise
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
