"""Atomic publication of all files of an export."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from keras_residual._locks import claimed

WORKSHOP, JOURNAL = ".export.partial", "journal.json"


@contextlib.contextmanager
def published(directory: Path) -> Iterator[Path]:
    """Yields an empty folder, whose content is moved to `directory` as one set at the end.

    If the block fails, `directory` is unchanged. Before the first file is moved, a journal of all
    of them is written: a process that is killed earlier leaves the old set; if it is killed later,
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
                names = sorted(path.name for path in (workshop / "new").iterdir())
                (workshop / "draft").write_text(json.dumps(names), encoding="utf-8")
                os.replace(workshop / "draft", workshop / JOURNAL)
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
        for name in json.loads(journal.read_text(encoding="utf-8")):
            _move(workshop / "new" / name, directory / name, workshop / "old" / name)
        journal.unlink()
    if workshop.exists():
        shutil.rmtree(workshop)


def _move(new: Path, place: Path, old: Path) -> None:
    if not new.exists():
        return
    if place.is_dir():
        # A rename can replace only an empty folder.
        os.replace(place, old)
    os.replace(new, place)
