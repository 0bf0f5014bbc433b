"""Files and folders that are there whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a path beside `path` to write to; at the end it takes the place of `path`.

    If the block fails, `path` stays as it was. What a killed process left is removed by the next.

    Args:
        path: File or folder. Its parent folders are made.
    """
    path = Path(path)
    workshop = path.parent / f".{path.name}.partial"
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(parents=True)
    try:
        yield workshop / path.name
        if path.is_dir():
            # Only an empty folder can be replaced by renaming.
            os.replace(path, workshop / "before")
        os.replace(workshop / path.name, path)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file whole."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
