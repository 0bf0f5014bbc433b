"""Recordings in files as a model for sound takes them."""

from pathlib import Path

import numpy as np

from keras_residual.data import DatasetError
from keras_residual.data.sources.recordings import FULL_SCALE
from keras_residual.data.sources.sound_files import read_recording

# A rest that is shorter than this share of the model's length is not heard by itself.
_LEAST_REST = 0.1


def read_waves(path: Path, rate: int, length: int | None) -> np.ndarray:
    """Returns a recording as waveforms `(n, length)` side by side, silence behind the last.

    Args:
        path: A WAV, FLAC or OGG file.
        rate: Samples a second that the model takes.
        length: Samples that it takes, `None` for any number.

    Raises:
        DatasetError: If the file is damaged, empty, stereo, not finite or of another rate.
        ImportError: If soundfile is not installed.
    """
    samples, found = read_recording(path)
    if found != rate:
        raise DatasetError(
            f"{path} has {found:,} samples a second where the model takes {rate:,}: resample it."
        )
    if samples.dtype == np.int16:
        samples = samples / np.float32(FULL_SCALE)
    samples = samples.astype("float32")
    if length is None:
        return samples[None]
    count = max(1, len(samples) // length)
    if len(samples) - count * length >= _LEAST_REST * length:
        count += 1
    waves = np.zeros(count * length, "float32")
    waves[: min(len(samples), len(waves))] = samples[: len(waves)]
    return waves.reshape(count, length)
