"""A folder that one process at a time writes to."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import filelock

_NAME = ".lock"
# Folders that this process has claimed: by which thread, which may claim them again.
_claimed: dict[Path, int] = {}


class FolderInUseError(OSError):
    """Raised when another process or thread is writing to an output folder."""


@contextlib.contextmanager
def claimed(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keeps other processes from writing to `folder` while the block runs.

    The folder is made. A thread that has claimed it may claim it again, inside. The system gives
    the folder free when the process ends, however it ends.

    Args:
        folder: The folder.

    Raises:
        FolderInUseError: If another process or thread has claimed it; nobody waits.
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
            # Removed while it is held, so that nobody removes the file of the next.
            with contextlib.suppress(OSError):
                (key / _NAME).unlink()
            lock.release()


def _acquired(path: Path, folder: Path) -> filelock.BaseFileLock | None:
    """The lock, `None` where the file system has no locks."""
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
        # The one before may have removed the file between its opening here and its locking.
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == before:
                return lock
        lock.release()
