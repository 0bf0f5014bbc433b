"""Clips in files: a video, or a folder of frames."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.headers import LARGEST_PICTURE
from keras_residual.data.sources.folder import SUFFIXES as PICTURES
from keras_residual.data.sources.picture_files import decode

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
_MOST_BYTES = 2**31


def read_clip(
    path: str | os.PathLike[str],
    max_bytes: int = _MOST_BYTES,
    max_pixels: int = LARGEST_PICTURE,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Returns the frames of a video file, or the pictures in a folder, by their numbers.

    Args:
        path: A video in a format of PyAV, turned upright as the camera says, or a folder of PNG or
            JPEG files, in the order of their names, `2.jpg` before `10.jpg`.
        max_bytes: Maximal number of bytes of all frames; no more are decoded.
        max_pixels: Maximal number of pixels of a frame.
        size: Optional `(height, width)` to which each frame is resized, with antialiasing. Without
            it all frames must have one size.

    Returns:
        `(frames, height, width, 3)` uint8.

    Raises:
        DatasetError: If the clip is missing or damaged, has no frames, frames of several sizes, or
            more than `max_bytes`.
        ImportError: If PyAV is needed and not installed.
    """
    path = Path(path)
    if path.is_dir():
        return _pictures(path, max_bytes, max_pixels, size)
    if not path.is_file():
        raise DatasetError(f"{path} does not exist.")
    return _video(path, max_bytes, max_pixels, size)


def _video(
    path: Path, max_bytes: int, max_pixels: int, wanted: tuple[int, int] | None
) -> np.ndarray:
    try:
        import av
    except ImportError as error:
        raise ImportError('Video files need: pip install "keras-residual[video]"') from error
    try:
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            if context.width * context.height > max_pixels:
                raise DatasetError(
                    f"{path} has frames of {context.width} x {context.height} pixels, more than "
                    f"max_pixels={max_pixels:,}."
                )
            decoded = (_upright(frame) for frame in container.decode(video=0))
            frames = _limited((_resized(frame, wanted) for frame in decoded), path, max_bytes)
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise DatasetError(f"{path} is damaged or no video ({error}).") from error
    if not frames:
        raise DatasetError(f"{path} holds no frames.")
    return _stacked(frames, path)


def _upright(frame: Any) -> np.ndarray:
    """Returns the pixels of a frame, turned counterclockwise as its file says."""
    # Old versions of PyAV do not read the rotation.
    quarters = round(getattr(frame, "rotation", 0) / 90)
    return np.rot90(frame.to_ndarray(format="rgb24"), quarters)


def _pictures(
    folder: Path, max_bytes: int, max_pixels: int, wanted: tuple[int, int] | None
) -> np.ndarray:
    files = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    files = sorted((path for path in files if not path.name.startswith(".")), key=_in_order)
    if not files:
        raise DatasetError(f"{folder} holds no frames.")
    decoded = (_resized(decode(str(path), 3, max_pixels), wanted) for path in files)
    return _stacked(_limited(decoded, folder, max_bytes), folder)


def _in_order(path: Path) -> tuple[Any, ...]:
    """Returns the key that sorts frame 2 before frame 10."""
    parts = re.split(r"(\d+)", path.name)
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), path.name


def _limited(frames: Iterable[np.ndarray], path: Path, max_bytes: int) -> list[np.ndarray]:
    """Returns frames as a list, or raises before they take more memory than allowed."""
    kept, size = [], 0
    for frame in frames:
        kept.append(frame)
        size += frame.nbytes
        if size > max_bytes:
            raise DatasetError(f"{path} holds more than max_bytes={max_bytes:,}: cut it.")
    return kept


def _stacked(frames: list[np.ndarray], path: Path) -> np.ndarray:
    if len({frame.shape for frame in frames}) > 1:
        raise DatasetError(
            f"{path} holds frames of several sizes: bring them to one, as `frame_size` of "
            "`data.load` does."
        )
    return np.stack(frames)


def _resized(frame: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    if size is None or frame.shape[:2] == tuple(size):
        return frame
    import tensorflow as tf

    with tf.device("CPU:0"):
        resized = tf.image.resize(frame, size, antialias=True).numpy()
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)
