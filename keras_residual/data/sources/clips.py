"""Clips as datasets: arrays, folders of frames and video files."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual._words import counted
from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.files import files_below
from keras_residual.data.sources.clip_files import VIDEO_SUFFIXES, read_clip
from keras_residual.data.sources.damage import tell_of_damaged
from keras_residual.data.sources.folder import (
    PICTURE_FILES,
    Files,
    check_classes_left,
    parts_of_folder,
)
from keras_residual.data.sources.folder import SUFFIXES as PICTURES
from keras_residual.data.sources.frames import too_short, with_frames
from keras_residual.data.sources.options import Options
from keras_residual.data.splits import ArraySplit

_OTHERS = {".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv"}
VIDEO_FILES = Files("videos", VIDEO_SUFFIXES, _OTHERS, "videos")
_FRAMES = Files(
    "frames", PICTURES, PICTURE_FILES.foreign, "folders of PNG or JPEG frames, one a clip,"
)


def from_clip_folder(folder: Path, options: Options) -> Dataset:
    """Returns a dataset of `CLASS/CLIP/*.jpg`, frames sorted by name, or of `CLASS/*.mp4`."""
    videos = any(path.suffix.lower() in VIDEO_SUFFIXES for path in files_below(folder))
    parts, names = parts_of_folder(
        folder, options, VIDEO_FILES if videos else _FRAMES, by_parent=not videos
    )
    places = [place for files, _ in parts for place in files]
    clips, errors = _read(places, options)
    if errors:
        tell_of_damaged(errors, len(places), options.damaged, "clips")
    shapes = {clip.shape[1:] for clip in clips if clip is not None}
    if len(shapes) > 1:
        shown = ", ".join(f"{height} x {width}" for height, width, _ in sorted(shapes)[:5])
        raise DatasetError(
            f"{folder}: frames must be of one size: give `frame_size`, an integer or "
            f"(height, width), to resize them. Received: {shown}"
        )
    _check_size([clip for clip in clips if clip is not None], str(folder), options)
    options = with_frames(options, [len(c) for c in clips if c is not None], str(folder))
    splits, start = [], 0
    for files, fields in parts:
        kept = [n for n in range(len(files)) if clips[start + n] is not None]
        taken = [clips[start + n] for n in kept]
        if not taken:
            raise DatasetError(
                f"{folder}: no {'held-out' if splits else 'training'} clips are left."
            )
        labels = {key: value[kept] for key, value in fields.items() if value is not None}
        splits.append(split_of_clips(taken, options, **labels))
        start += len(files)
    check_classes_left(folder, names, *splits, "clips")
    return Dataset(folder.name, *splits, tuple(names), tuple(errors))


def split_of_clips(clips: Sequence[np.ndarray], options: Options, **fields) -> ArraySplit:
    """Returns a split of clips `(frames, height, width, channels)` uint8 of several lengths."""
    longest = max(map(len, clips))
    # Shorter clips are padded with their last frame; `lengths` excludes the padding.
    x = np.stack([clip[np.minimum(np.arange(longest), len(clip) - 1)] for clip in clips])
    return ArraySplit(
        x=x,
        image_shape=(options.frames, *x.shape[2:]),
        scale=255.0,
        augmentation="shift",
        lengths=np.array([len(clip) for clip in clips], np.int32),
        stride=options.stride,
        **fields,
    )


def _read(places, options) -> tuple[list[Any], dict[str, str]]:
    room = options.max_bytes

    def attempt(place):
        nonlocal room
        # Checked while reading: each of many clips may be within the limit.
        if room < 0:
            return None, None
        try:
            clip = read_clip(place, options.max_bytes, options.max_pixels, options.frame_size)
            room -= clip.nbytes
            if message := too_short(len(clip), options):
                raise DatasetError(f"{place}: {message}")
            return clip, None
        except DatasetError as error:
            return None, str(error)

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(attempt, places))
    if room < 0:
        raise DatasetError(
            f"{places[0].parent}: {counted(len(places), 'clip')} take more than "
            f"max_bytes={options.max_bytes:,}: cut or reduce them, or raise `max_bytes`."
        )
    errors = {
        str(place): error
        for place, (_, error) in zip(places, found, strict=True)
        if error is not None
    }
    return [clip for clip, _ in found], errors


def _check_size(clips, where, options) -> None:
    needed = len(clips) * max(clip.nbytes for clip in clips)
    if needed > options.max_bytes:
        raise DatasetError(
            f"{where}: {counted(len(clips), 'clip')} of equal length take {needed:,} bytes, more "
            "than "
            f"max_bytes={options.max_bytes:,}: cut or reduce them, or raise `max_bytes`."
        )
