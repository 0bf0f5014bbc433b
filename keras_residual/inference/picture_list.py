"""Which pictures are meant: files, folders and lists of names."""

import os
from collections.abc import Iterable
from pathlib import Path

from keras_residual.data.pictures.files import PICTURE_SUFFIXES


def picture_paths(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Returns the picture files that are named, those of folders in order of their names.

    Args:
        paths: A file or folder, or several. Folders are searched with all their subfolders, links
            included; other files than pictures and hidden ones are left out there.

    Raises:
        ValueError: If a path does not exist, is no PNG, JPEG or WebP file, or a folder holds none.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found: list[Path] = []
    for path in map(Path, paths):
        found += _inside(path) if path.is_dir() else [_checked(path)]
    if not found:
        raise ValueError("`paths` must name at least one picture. Received: none")
    return found


def _checked(path):
    if not path.is_file():
        raise ValueError(f"`paths` must exist. Received: {path}")
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(
            f"`paths` must be pictures ({', '.join(PICTURE_SUFFIXES)}) or folders of some. "
            f"Received: {path}"
        )
    return path


def _inside(folder):
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        found += [
            Path(parent, name)
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
    if not found:
        raise ValueError(f"`paths`: the folder {folder} holds no picture.")
    return found
