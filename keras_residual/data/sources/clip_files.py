"""Clips in files: a video, or a folder of frames."""

import os
from pathlib import Path

import numpy as np

from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.headers import LARGEST_PICTURE
from keras_residual.data.sources.folder import SUFFIXES as PICTURES
from keras_residual.data.sources.picture_files import decode

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
_MOST_BYTES = 2**31


def read_clip(
    path: str | os.PathLike[str], max_bytes: int = _MOST_BYTES, max_pixels: int = LARGEST_PICTURE
) -> np.ndarray:
    """Returns the frames of a video file, or the pictures in a folder in the order of their names.

    Args:
        path: A video that PyAV reads, or a folder of PNG or JPEG files of one size.
        max_bytes: Most bytes that the frames of a video may take; no more are decoded.
        max_pixels: Most pixels that a picture may have.

    Returns:
        `(frames, height, width, 3)` uint8.

    Raises:
        DatasetError: If there is none, it is damaged, holds no frames or frames of several sizes,
            or more than `max_bytes`.
        ImportError: If PyAV is needed and not installed.
    """
    path = Path(path)
    if path.is_dir():
        return _pictures(path, max_pixels)
    if not path.is_file():
        raise DatasetError(f"{path} does not exist.")
    return _video(path, max_bytes)


def _video(path: Path, max_bytes: int) -> np.ndarray:
    try:
        import av
    except ImportError as error:
        raise ImportError('Video files need: pip install "keras-residual[video]"') from error
    frames, size = [], 0
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                frames.append(frame.to_ndarray(format="rgb24"))
                size += frames[-1].nbytes
                if size > max_bytes:
                    raise DatasetError(f"{path} holds more than max_bytes={max_bytes:,}: cut it.")
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise DatasetError(f"{path} is damaged or no video ({error}).") from error
    if not frames:
        raise DatasetError(f"{path} holds no frames.")
    return np.stack(frames)


def _pictures(folder: Path, max_pixels: int) -> np.ndarray:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not files:
        raise DatasetError(f"{folder} holds no frames.")
    frames = [decode(str(path), 3, max_pixels) for path in files]
    if len({frame.shape for frame in frames}) > 1:
        raise DatasetError(f"{folder} holds frames of several sizes.")
    return np.stack(frames)
