"""Reading recordings as the waveforms that a model for sound takes."""

from pathlib import Path

import numpy as np

from keras_residual.data import DatasetError
from keras_residual.data.sources.recordings import FULL_SCALE
from keras_residual.data.sources.sound_files import read_recording

# For a class, a last piece shorter than this share of the model's length is dropped.
_LEAST_REST = 0.1


def read_waves(path: Path, rate: int, length: int | None, whole: bool = False) -> np.ndarray:
    """Returns a recording split into waveforms `(n, length)`; the last is padded with silence.

    Args:
        path: A WAV, FLAC or OGG file.
        rate: The model's sampling rate in Hz.
        length: Number of samples of its input, `None` for any.
        whole: Whether a short rest at the end counts too.

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
    if len(samples) - count * length >= (1 if whole else _LEAST_REST * length):
        count += 1
    waves = np.zeros(count * length, "float32")
    waves[: min(len(samples), len(waves))] = samples[: len(waves)]
    return waves.reshape(count, length)
