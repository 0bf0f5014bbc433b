"""Mean and standard deviation of a split's pixels."""

from collections.abc import Iterator

import numpy as np

from keras_residual.data.splits import ArraySplit, Split

_BLOCK = 1024


def _blocks(split: Split) -> Iterator[np.ndarray]:
    if isinstance(split, ArraySplit):
        for start in range(0, len(split), _BLOCK):
            yield split.x[start : start + _BLOCK]
    else:
        for image, _, _ in split.examples(seed=0, epoch=0, shuffle=False).as_numpy_iterator():
            yield image


def channel_statistics(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each channel, as expected by `pipeline`.

    Reads every image once, in blocks.

    Args:
        split: A split of a dataset, e.g. `dataset.train`.

    Returns:
        `mean` and `std`, each `(channels,)` float64 in units of [0, 1].

    Example:

    >>> mean, std = channel_statistics(load("digits").train)
    >>> mean.round(2), std.round(2)
    (array([0.31]), array([0.38]))
    """
    count, total, squares = 0, 0.0, 0.0
    for block in _blocks(split):
        pixels = block.reshape(-1, block.shape[-1]).astype(np.float64) / split.scale
        count += len(pixels)
        total += pixels.sum(axis=0)
        squares += np.square(pixels).sum(axis=0)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0.0))
