"""Upscaling large pictures in overlapping windows."""

import itertools
from collections.abc import Callable

import numpy as np

from keras_residual import _checks

_LARGEST_SCALE, _LARGEST_TILE = 2**6, 2**14


def upscale(
    predict: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    scale: int,
    tile: int | tuple[int, int] = 192,
    overlap: int = 32,
    *,
    fixed: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Returns an image upscaled by a network in overlapping windows.

    The inner part of each window is kept. If the overlap covers the receptive field, there are no
    seams: the result is the same as for the whole image at once. At the border of the image, the
    network pads as it does for a whole image.

    Args:
        predict: Maps `(1, height, width, channels)` to `(1, scale * height, scale * width,
            channels)`.
        image: `(height, width, channels)` floating point.
        scale: Positive integer, the upscaling factor of `predict`.
        tile: Positive integer or `(height, width)` of a window, including its overlap.
        overlap: Non-negative integer, less than half a tile: the border of a window that is
            discarded where another window overlaps.
        fixed: Whether `predict` takes only windows of the size `tile`. A smaller image is then
            padded to that size by mirroring. Otherwise windows are cropped to the image.
        progress: Called with the number of finished windows and the total.

    Returns:
        `(scale * height, scale * width, channels)`, with the values of `predict`.

    Raises:
        ValueError: If an argument is out of range, or `predict` has another scale.
    """
    scale = _checks.integer("scale", scale, maximum=_LARGEST_SCALE)
    overlap = _checks.integer("overlap", overlap, 0)
    size = _checks.integers("tile", (tile, tile) if isinstance(tile, int) else tile)
    if len(size) != 2 or max(size) > _LARGEST_TILE:
        raise ValueError(
            f"`tile` must be an integer or (height, width), of at most {_LARGEST_TILE}. "
            f"Received: tile={tile!r}"
        )
    if min(size) <= 2 * overlap:
        raise ValueError(
            f"`overlap` must be less than half a tile. Received: overlap={overlap}, tile={tile}"
        )
    height, width, channels = image.shape
    # An interpolation inside a network needs two pixels.
    least = size if fixed else (2, 2)
    missing = [max(0, side - n) for side, n in zip(least, (height, width), strict=True)]
    image = np.pad(image, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    rows, columns = (_windows(n, side, overlap) for n, side in zip(image.shape, size, strict=False))
    outputs = np.empty((scale * image.shape[0], scale * image.shape[1], channels), np.float32)
    count = len(rows) * len(columns)
    for number, (row, column) in enumerate(itertools.product(rows, columns), start=1):
        window = image[row.start : row.stop, column.start : column.stop]
        enlarged = np.asarray(predict(window[None]))
        _check_scale(enlarged.shape, window.shape, scale)
        outputs[row.kept(scale), column.kept(scale)] = enlarged[
            0, row.inner(scale), column.inner(scale)
        ]
        if progress:
            progress(number, count)
    return outputs[: scale * height, : scale * width]


class _Window:
    """An interval of one axis that a network takes, and the part of it that is kept."""

    def __init__(self, start, stop, first, last):
        self.start, self.stop, self._first, self._last = start, stop, first, last

    def kept(self, scale):
        return slice(scale * self._first, scale * self._last)

    def inner(self, scale):
        return slice(scale * (self._first - self.start), scale * (self._last - self.start))


def _windows(length: int, size: int, overlap: int) -> list[_Window]:
    if length <= size:
        return [_Window(0, length, 0, length)]
    starts = [*range(0, length - size, size - 2 * overlap), length - size]
    firsts = [0, *[start + overlap for start in starts[1:]]]
    lasts = [*firsts[1:], length]
    return [
        _Window(start, start + size, first, last)
        for start, first, last in zip(starts, firsts, lasts, strict=True)
    ]


def _check_scale(received, window, scale):
    expected = (1, scale * window[0], scale * window[1], window[2])
    if tuple(received) != expected:
        raise ValueError(
            f"`predict` must enlarge a window of {window} to {expected[1:]}. "
            f"Received: an output of shape {tuple(received)}"
        )
