"""Locks on output folders, so that one process at a time writes to each."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import filelock

_NAME = ".lock"
# Folders that this process has locked, with the thread that holds them and may lock again.
_claimed: dict[Path, int] = {}


class FolderInUseError(OSError):
    """Raised when another process or thread is writing to an output folder."""


@contextlib.contextmanager
def claimed(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Locks `folder` against other processes and threads while the block runs.

    The folder is created. The lock is reentrant in the thread that holds it. The system releases
    it when the process ends, however it ends.

    Args:
        folder: The folder.

    Raises:
        FolderInUseError: If another process or thread holds the lock; the call never waits.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    key = folder.resolve()
    if _claimed.get(key) == threading.get_ident():
        yield
        return
    lock = _acquired(key / _NAME, folder)
    _claimed[key] = threading.get_ident()
    try:
        yield
    finally:
        del _claimed[key]
        if lock is not None:
            # Removed while the lock is held, so as never to remove the file of the next holder.
            with contextlib.suppress(OSError):
                (key / _NAME).unlink()
            lock.release()


def _acquired(path: Path, folder: Path) -> filelock.BaseFileLock | None:
    """Returns the lock, `None` if the file system does not support locks."""
    while True:
        lock = filelock.FileLock(path)
        try:
            path.touch()
            before = path.stat().st_ino
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise FolderInUseError(
                f"{folder} is in use: another process writes to it. Wait until it has ended, or "
                "choose another output."
            ) from error
        except NotImplementedError:
            return None
        # The previous holder may have removed the file after it was opened here.
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == before:
                return lock
        lock.release()
