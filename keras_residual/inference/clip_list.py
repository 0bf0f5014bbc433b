"""Finding clips: video files and folders of frames."""

import os
from collections.abc import Iterable
from pathlib import Path

from keras_residual.data import VIDEO_SUFFIXES
from keras_residual.data.pictures.files import PICTURE_SUFFIXES


def clip_paths(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Returns the videos and folders of frames at the given paths, sorted by name.

    Args:
        paths: A video or folder, or several. A folder that holds pictures is a clip; others are
            searched with all their subfolders, without what is hidden.

    Raises:
        ValueError: If a path does not exist, is no video, or a folder holds no clip.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = _inside(path)
            if not inside:
                raise ValueError(f"`paths`: the folder {path} holds no clip.")
            found += inside
        elif path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
            found.append(path)
        else:
            raise ValueError(
                f"`paths` must be videos ({', '.join(VIDEO_SUFFIXES)}), folders of frames, or "
                f"folders of such. Received: {path}"
            )
    if not found:
        raise ValueError("`paths` must name at least one clip. Received: none")
    return found


def _inside(folder: Path) -> list[Path]:
    there = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if any(path.suffix.lower() in PICTURE_SUFFIXES for path in there):
        return [folder]
    found = []
    for path in there:
        if path.is_dir():
            found += _inside(path)
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            found.append(path)
    return found
