"""Power spectra by small matrix products, which every runtime has, and mel filters over them."""

import math

import numpy as np


class PowerSpectrum:
    """Constants of the discrete Fourier transform of real frames, in two steps (Cooley–Tukey).

    A transform of N = rows · columns points is a transform over the rows, a rotation, and one over
    the columns: about 2·N·√N products in place of N². Frames shorter than N fill the first rows.
    For real frames, half of the frequencies of the rows determine the others.

    Args:
        length: Even number of points of the transform, N.
        window: The window of a frame, at most N numbers.

    Attributes:
        rows: Number of rows that a frame fills.
        columns: Number of columns.
        window: `(rows, columns)`, zeros after the frame.
        first: `(rows, 2 · kept)`, the transform over the rows, real and imaginary parts.
        rotation: Two arrays `(kept, columns)`, cosines and sines.
        second: `(2 · columns, 2 · columns)`, the transform over the columns.
        frequencies: `(kept · columns,)`, the number of the frequency at each position of the
            result, -1 where it repeats another.
    """

    def __init__(self, length: int, window: np.ndarray):
        size = _rows(length)
        self.columns = columns = length // size
        self.rows = -(-len(window) // columns)
        kept = np.arange(size // 2 + 1)
        padded = np.zeros(self.rows * columns)
        padded[: len(window)] = window
        self.window = padded.reshape(self.rows, columns).astype(np.float32)
        angle = 2 * np.pi / size * np.outer(np.arange(self.rows), kept)
        self.first = _joined([[np.cos(angle), -np.sin(angle)]])
        angle = 2 * np.pi / length * np.outer(kept, np.arange(columns))
        self.rotation = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        angle = 2 * np.pi / columns * np.outer(np.arange(columns), np.arange(columns))
        cos, sin = np.cos(angle), np.sin(angle)
        self.second = _joined([[cos, -sin], [sin, cos]])
        found = (kept[:, None] + size * np.arange(columns)).reshape(-1)
        found = np.minimum(found, length - found)
        _, firsts = np.unique(found, return_index=True)
        self.frequencies = np.full(len(found), -1)
        self.frequencies[firsts] = found[firsts]


def _joined(parts) -> np.ndarray:
    return np.block(parts).astype(np.float32)


def _rows(length: int) -> int:
    """Returns the even divisor that takes the fewest products."""
    divisors = [n for n in range(2, length + 1, 2) if length % n == 0]
    return min(divisors, key=lambda n: length * (n + 2) + 2 * (n + 2) * (length // n) ** 2)


def mel_filters(
    count: int, length: int, rate: int, lowest: float, highest: float, scale: str, norm: str | None
) -> np.ndarray:
    """Returns `(length / 2 + 1, count)`, triangles over the frequencies equally wide in mel.

    Args:
        count: Number of filters.
        length: Points of the Fourier transform.
        rate: Samples a second.
        lowest: Where the first filter begins, in hertz.
        highest: Where the last filter ends, in hertz.
        scale: `"htk"` or `"slaney"`.
        norm: `"slaney"` for filters of equal area, or `None` for filters of equal height.
    """
    to_mel, to_hertz = _SCALES[scale]
    points = to_hertz(np.linspace(to_mel(lowest), to_mel(highest), count + 2))
    frequencies = np.linspace(0, rate / 2, length // 2 + 1)[:, None]
    widths = np.diff(points)
    rising = (frequencies - points[:-2]) / widths[:-1]
    falling = (points[2:] - frequencies) / widths[1:]
    filters = np.maximum(0, np.minimum(rising, falling))
    return filters * (2 / (points[2:] - points[:-2])) if norm == "slaney" else filters


def _htk_mel(hertz):
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def _htk_hertz(mel):
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)


# Linear up to 1 kHz, 15 mel there, then logarithmic, 27 mel for a factor of 6.4.
_STEP = math.log(6.4) / 27


def _slaney_mel(hertz):
    hertz = np.asarray(hertz, float)
    return np.where(
        hertz < 1000, hertz * 3 / 200, 15 + np.log(np.maximum(hertz, 1000) / 1000) / _STEP
    )


def _slaney_hertz(mel):
    mel = np.asarray(mel, float)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(_STEP * (np.maximum(mel, 15) - 15)))


_SCALES = {"htk": (_htk_mel, _htk_hertz), "slaney": (_slaney_mel, _slaney_hertz)}
MEL_SCALES = tuple(_SCALES)


def cosine_transform(size: int, count: int) -> np.ndarray:
    """Returns `(size, count)`, the first `count` vectors of the orthonormal DCT-II."""
    angle = np.pi / size * np.outer(np.arange(size) + 0.5, np.arange(count))
    scale = np.where(np.arange(count) == 0, math.sqrt(1 / size), math.sqrt(2 / size))
    return np.cos(angle) * scale
