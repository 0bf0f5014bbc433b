"""Files of an export that appear in their folder together."""

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
    """Yields an empty folder; what is in it at the end goes to `directory` as one set.

    If the block fails, `directory` stays as it was, or away. Before the first file is moved, a
    journal of all of them is written: a process that is killed before leaves the old set, and one
    that is killed later leaves the rest of the new set to the next call, which begins with it.

    Args:
        directory: The folder, made if it is not there. What has the same name there is replaced.

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
    """Finishes moving the files of an interrupted export and cleans up."""
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
        # Only an empty folder can be replaced by renaming.
        os.replace(place, old)
    os.replace(new, place)
