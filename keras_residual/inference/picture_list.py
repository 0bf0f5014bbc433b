"""Finding pictures and recordings: files, folders and lists of both."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from keras_residual.data.pictures.files import PICTURE_SUFFIXES
from keras_residual.data.sources.sound_files import SUFFIXES


def picture_paths(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Returns the picture files at the given paths; those in a folder are sorted by name.

    See `named_files`.
    """
    return named_files(paths, PICTURE_SUFFIXES, "picture")


def recording_paths(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Returns the sound files at the given paths; those in a folder are sorted by name.

    See `named_files`.
    """
    return named_files(paths, SUFFIXES, "recording")


def named_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    suffixes: Collection[str],
    kind: str,
) -> list[Path]:
    """Returns the files of a kind at the given paths; those in a folder are sorted by name.

    Args:
        suffixes: Their endings.
        kind: Singular noun for one file in error messages.
        paths: A file or folder, or several. Folders are searched with all their subfolders, links
            included; files of other kinds and hidden ones are left out there.

    Raises:
        ValueError: If a path does not exist, is no such file, or a folder holds none.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found: list[Path] = []
    for path in map(Path, paths):
        look = _inside if path.is_dir() else _checked
        found += look(path, suffixes, kind)
    if not found:
        raise ValueError(f"`paths` must name at least one {kind}. Received: none")
    return found


def _checked(path, suffixes, kind):
    if not path.is_file():
        raise ValueError(f"`paths` must exist. Received: {path}")
    if path.suffix.lower() not in suffixes:
        raise ValueError(
            f"`paths` must be {kind}s ({', '.join(suffixes)}) or folders of some. Received: {path}"
        )
    return [path]


def _inside(folder, suffixes, kind):
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        found += [
            Path(parent, name)
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes
        ]
    if not found:
        raise ValueError(f"`paths`: the folder {folder} holds no {kind}.")
    return found
