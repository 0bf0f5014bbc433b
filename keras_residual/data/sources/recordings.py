"""Datasets of sound recordings, padded to one length, with classes or transcripts."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from keras_residual._words import counted
from keras_residual.data.dataset import Dataset
from keras_residual.data.dividing import divided
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.rows import Labels
from keras_residual.data.splits import ArraySplit

# Full scale of int16 samples.
FULL_SCALE = 2**15
# Samples beyond it were not divided by the full scale; those of loud mixes are not far above 1.
_LOUDEST = 32.0
# Padding of transcripts: no character has this number.
PADDING = -1


def checked_samples(samples: object, where: str) -> np.ndarray:
    """Returns the samples of a recording, `(n,)` int16, or float32 in about [-1, 1].

    Raises:
        DatasetError: If there are no samples, several channels, or invalid values.
    """
    samples = np.asarray(samples)
    if samples.ndim == 2 and samples.shape[1] == 1:
        samples = samples[:, 0]
    if samples.ndim != 1:
        raise DatasetError(
            f"{where} has {counted(samples.shape[-1], 'channel')}: make it mono, by their mean or "
            "by one of "
            "them."
        )
    if not len(samples):
        raise DatasetError(f"{where} is empty: it holds no samples.")
    if samples.dtype.kind == "f":
        # Large doubles become infinite.
        with np.errstate(over="ignore"):
            samples = samples.astype(np.float32, copy=False)
        if not np.isfinite(samples).all():
            raise DatasetError(f"{where} holds samples that are NaN or infinite.")
        if abs(samples).max() > _LOUDEST:
            raise DatasetError(
                f"{where} holds floating-point samples up to {abs(samples).max():g}: scale them to "
                "[-1, 1], or give those of 16 bits as int16."
            )
        return samples
    eight_bits = samples.dtype.itemsize == 1
    if (
        samples.dtype.kind not in "iu"
        or eight_bits
        or samples.min() < -FULL_SCALE
        or samples.max() >= FULL_SCALE
    ):
        raise DatasetError(
            f"{where} must hold samples in int16 or floating point. Received: {samples.dtype}"
        )
    return samples.astype(np.int16, copy=False)


def check_rate(rate: object, options: Options, where: str) -> int:
    """Returns the sampling rate of the source or of the options.

    Raises:
        DatasetError: If it is unknown, not a positive integer, or the two differ.
    """
    if rate is not None:
        numbers = np.asarray(rate).reshape(-1)
        known = len(numbers) == 1 and numbers.dtype.kind in "iuf" and np.isfinite(numbers[0])
        if not known or numbers[0] < 1 or numbers[0] != int(numbers[0]):
            raise DatasetError(
                f"{where}: `rate` must be one positive integer, samples a second. "
                f"Received: {np.asarray(rate).tolist()}"
            )
        rate = int(numbers[0])
    if rate is None and options.rate is None:
        raise DatasetError(f"{where} does not store its sampling rate: give it as `rate`.")
    if rate is not None and options.rate is not None and rate != options.rate:
        raise DatasetError(
            f"{where} has {rate:,} samples a second, not rate={options.rate:,}: resample it."
        )
    return options.rate if rate is None else rate


def transcripts(texts: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns transcripts as character numbers, padded with -1, and the characters.

    Args:
        texts: Non-empty transcripts.
    """
    # An accented letter may be one character or two; both look alike.
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    characters = sorted(set("".join(texts)))
    numbers = {character: number for number, character in enumerate(characters)}
    y = np.full((len(texts), max(map(len, texts))), PADDING, np.int32)
    for row, text in zip(y, texts, strict=True):
        row[: len(text)] = [numbers[character] for character in text]
    return y, tuple(characters)


def from_recordings(
    name: str,
    where: str,
    recordings: Sequence[np.ndarray],
    rate: int,
    labels: Labels,
    options: Options,
    parts: tuple[np.ndarray, np.ndarray] | None = None,
    left_out: tuple[str, ...] = (),
) -> Dataset:
    """Returns a dataset of recordings, zero-padded at the end or cut to `options.seconds`.

    Args:
        name: Name of the dataset.
        where: Name of the source in error messages.
        recordings: Checked samples.
        rate: Samples per second.
        labels: Their labels.
        options: The loading options.
        parts: The indices of the training and of the held-out recordings. Defaults to a split by
            classes and groups.
        left_out: Damaged files that were left out.

    Raises:
        DatasetError: If they cannot be split or take more memory than allowed.
    """
    if labels.kind == "classes" and len(labels.names) < 2:
        raise DatasetError(f"{where}: at least 2 classes are needed. Received: {labels.names}")
    if parts is None:
        parts = _divided(where, labels, options)
    longest = max(map(len, recordings))
    length = longest if options.seconds is None else max(1, round(options.seconds * rate))
    floating = any(samples.dtype == np.float32 for samples in recordings)
    needed = len(recordings) * length * (4 if floating else 2)
    if needed > options.max_bytes:
        raise DatasetError(
            f"{where}: {counted(len(recordings), 'recording')} padded to {length / rate:.3g} "
            "seconds take "
            f"{needed:,} bytes, more than max_bytes={options.max_bytes:,}: cut them by `seconds` "
            "or raise `max_bytes`."
        )
    splits = []
    for part in parts:
        x, lengths = _padded([recordings[index] for index in part], length, floating)
        splits.append(
            ArraySplit(
                x=x,
                y=labels.y[part],
                image_shape=(length, 1),
                scale=1.0 if floating else float(FULL_SCALE),
                augmentation="noise" if labels.kind == "text" else "audio",
                label_kind=labels.kind,
                groups=None if labels.groups is None else labels.groups[part],
                lengths=lengths,
                rate=rate,
            )
        )
    return Dataset(name, *splits, labels.names, left_out)


def _divided(where, labels, options):
    try:
        return divided(
            labels.y,
            labels.kind,
            options.test_fraction,
            options.seed,
            labels.groups,
            options.held_out,
        )
    except ValueError as error:
        raise DatasetError(f"{where} cannot be divided: {error}") from error


def _padded(recordings, length, floating) -> tuple[np.ndarray, np.ndarray]:
    x = np.zeros((len(recordings), length, 1), np.float32 if floating else np.int16)
    lengths = np.zeros(len(recordings), np.int32)
    for row, samples in enumerate(recordings):
        if floating and samples.dtype == np.int16:
            samples = samples / np.float32(FULL_SCALE)
        samples = samples[:length]
        x[row, : len(samples), 0] = samples
        lengths[row] = len(samples)
    return x, lengths
