"""Atomic publication of all files of an export."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from keras_residual._locks import claimed

WORKSHOP, JOURNAL = ".export.partial", "journal.json"


@contextlib.contextmanager
def published(directory: Path) -> Iterator[Path]:
    """Yields an empty folder, whose content is moved to `directory` as one set at the end.

    If the block fails, `directory` is unchanged. Before the first file is moved, a file marks the
    new set as complete: a process that is killed earlier leaves the old set; if it is killed later,
    the next call first finishes moving the new set.

    Args:
        directory: The folder, created if missing. Existing files of the same names are replaced.

    Raises:
        FolderInUseError: If another process is writing to it.
    """
    new = not directory.exists()
    try:
        with claimed(directory):
            finish(directory)
            workshop = directory / WORKSHOP
            try:
                (workshop / "new").mkdir(parents=True)
                yield workshop / "new"
                (workshop / JOURNAL).touch()
                finish(directory)
            except BaseException:
                if not (workshop / JOURNAL).exists():
                    shutil.rmtree(workshop, ignore_errors=True)
                raise
    except BaseException:
        if new:
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise


def finish(directory: Path) -> None:
    """Finishes moving the files of an interrupted export, and cleans up."""
    workshop = directory / WORKSHOP
    journal = workshop / JOURNAL
    if journal.exists():
        (workshop / "old").mkdir(exist_ok=True)
        # What was moved before an interruption is no longer there.
        for new in sorted((workshop / "new").iterdir()):
            _move(new, directory / new.name, workshop / "old" / new.name)
        journal.unlink()
    if workshop.exists():
        shutil.rmtree(workshop)


def _move(new: Path, place: Path, old: Path) -> None:
    if place.is_dir():
        # A rename can replace only an empty folder.
        os.replace(place, old)
    os.replace(new, place)
