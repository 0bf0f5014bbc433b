"""Augmentation of recordings and spectrograms as pure functions on batches, keyed by example."""

from typing import Any

from keras_residual import _checks
from keras_residual.data.keyed import DRAWS, namespace, random_integers

Tensor = Any

# Shifts of up to a tenth of a recording, like the usual 100 ms for keywords of one second.
_REACH = 0.1
_LOUDEST_NOISE = 0.1
_FINE = 2**24
# Standard deviation of the sum of four integers that are uniform in 0..255.
_DEVIATION = (4 * (256**2 - 1) / 12) ** 0.5


def time_shift(
    waves: Tensor,
    seed: int | Tensor,
    epoch: int | Tensor,
    index: Tensor,
    reach: float = _REACH,
) -> Tensor:
    """Shifts each recording by up to `reach` of its length in either direction, padding with 0.

    Args:
        waves: `(batch, steps, channels)`.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(batch,)` integers, the numbers of the recordings in their dataset.
        reach: Number in [0, 1).

    Returns:
        As `waves`.
    """
    xp = namespace(waves)
    steps, channels = (int(size) for size in waves.shape[1:])
    most = int(_checks.real("reach", reach, 0, 1, open_end=True) * steps)
    by = random_integers(2 * most + 1, seed, epoch, index, DRAWS["time_shift"][0]) - most
    place = xp.arange(steps, dtype="int32")[None] - xp.array(by, dtype="int32")[:, None]
    inside = (place >= 0) & (place < steps)
    # Index in the batch; the batch size of tf.data is unknown when it is traced.
    batch = xp.cumsum(xp.ones_like(place[:, :1]), axis=0, dtype="int32") - 1
    flat = xp.reshape(waves, (-1, channels))
    moved = xp.take(flat, batch * steps + xp.clip(place, 0, steps - 1), axis=0)
    return xp.where(inside[..., None], moved, xp.zeros_like(moved))


def add_noise(
    waves: Tensor,
    seed: int | Tensor,
    epoch: int | Tensor,
    index: Tensor,
    loudest: float = _LOUDEST_NOISE,
) -> Tensor:
    """Adds approximately Gaussian white noise of up to `loudest` times the recording's level.

    Its level, relative to the root mean square of the recording, is uniform in [0, `loudest`).
    Zeros at the end are padding and stay zero.

    Args:
        waves: `(batch, steps, channels)` floating point.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(batch,)` integers, the numbers of the recordings in their dataset.
        loudest: Non-negative number.

    Returns:
        As `waves`.
    """
    xp = namespace(waves)
    steps, channels = (int(size) for size in waves.shape[1:])
    _checks.real("loudest", loudest, 0, 1e6)
    if "float" not in str(waves.dtype):
        # The squares of integers would overflow.
        raise ValueError(f"`waves` must be floating point. Received: {waves.dtype}")
    # A key for each recording, from which a number for each sample is derived.
    key = random_integers(2**31 - 1, seed, epoch, index, DRAWS["noise"][0])
    place = xp.arange(steps * channels, dtype="int32")[None] + xp.zeros_like(key)[:, None]
    bits = random_integers(2**31 - 1, 0, key[:, None], place, DRAWS["noise"][1])
    total = sum(bits // 2**shift & 255 for shift in (0, 7, 15, 23))
    normal = (xp.array(total, dtype="float32") - 510.0) / _DEVIATION
    strength = random_integers(_FINE, seed, epoch, index, DRAWS["noise_strength"][0])
    strength = xp.array(strength, dtype="float32")[:, None, None] * (loudest / _FINE)
    recorded = _recorded(waves)
    energy = xp.sum(waves * waves, axis=(1, 2)) / channels
    count = xp.sum(xp.array(recorded, dtype="float32"), axis=(1, 2))
    loudness = xp.sqrt(energy / xp.maximum(count, xp.ones_like(count)))[:, None, None]
    noise = strength * loudness * xp.reshape(normal, (-1, steps, channels))
    return xp.where(recorded, waves + noise, waves)


def _recorded(waves):
    """Returns which steps come before the padding, `(batch, steps, 1)`."""
    xp = namespace(waves)
    place = xp.arange(int(waves.shape[1]), dtype="int32")[None]
    sounds = xp.max(xp.abs(waves), axis=2) > 0
    last = xp.max(xp.where(sounds, place, xp.zeros_like(place) - 1), axis=1)
    return (place <= last[:, None])[..., None]


def audio(waves: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> Tensor:
    """`time_shift` by up to a tenth, then `add_noise` of up to a tenth of the level.

    Args:
        waves: `(batch, steps, channels)` floating point.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(batch,)` integers, the numbers of the recordings in their dataset.

    Returns:
        As `waves`.
    """
    return add_noise(time_shift(waves, seed, epoch, index), seed, epoch, index)


def spec_augment(
    spectrograms: Tensor,
    seed: int | Tensor,
    epoch: int | Tensor,
    index: Tensor,
    frequencies: float = 0.25,
    times: float = 0.2,
    fill: float = 0.0,
) -> Tensor:
    """Masks two frequency bands and two time bands of each spectrogram with `fill`.

    Their widths are uniform from 0 to the given fractions, their positions uniform.

    Args:
        spectrograms: `(batch, steps, frequencies)` or `(batch, steps, frequencies, channels)`.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(batch,)` integers, the numbers of the examples in their dataset.
        frequencies: Number in [0, 1], the largest fraction of a frequency band.
        times: Number in [0, 1], the largest fraction of a time band.
        fill: Value of masked positions; 0 is the mean of standardized spectrograms.

    Returns:
        As `spectrograms`.

    Reference:
        - [Park et al., 2019](https://arxiv.org/abs/1904.08779), without time warping.
    """
    xp = namespace(spectrograms)
    if len(spectrograms.shape) not in (3, 4):
        raise ValueError(
            "`spectrograms` must have the shape (batch, steps, frequencies), with or without "
            f"channels. Received: a shape of {tuple(spectrograms.shape)}"
        )
    _checks.real("frequencies", frequencies, 0, 1)
    _checks.real("times", times, 0, 1)
    draws, trailing = iter(DRAWS["spec_augment"]), (None,) * (len(spectrograms.shape) - 3)
    for axis, share in ((1, times), (2, frequencies)):
        size = int(spectrograms.shape[axis])
        place = xp.arange(size, dtype="int32")[None]
        hit = place < 0
        for _ in range(2):
            widest = int(share * size)
            width = random_integers(widest + 1, seed, epoch, index, next(draws))
            start = random_integers(_FINE, seed, epoch, index, next(draws))
            # Uniform over the positions that the width allows.
            room = xp.array(size - width + 1, dtype="float32")
            start = xp.floor(xp.array(start, dtype="float32") * (1 / _FINE) * room)
            start = xp.array(start, dtype="int32")[:, None]
            width = xp.array(width, dtype="int32")[:, None]
            hit = hit | ((place >= start) & (place < start + width))
        mask = hit[:, :, None] if axis == 1 else hit[:, None, :]
        mask = mask[(..., *trailing)] if trailing else mask
        filled = xp.zeros_like(spectrograms) + fill
        spectrograms = xp.where(mask, filled, spectrograms)
    return spectrograms
