"""Augmentation of small images as pure functions on batches.

Every random number is a hash of `(seed, epoch, index)`, so that an image is treated alike whatever
the batch size, the order, the backend or the process, and a resumed training sees what the
uninterrupted one saw. The functions take NumPy arrays, TensorFlow tensors (also inside the `map` of
a `tf.data` pipeline, under any backend) and the tensors of the active Keras backend (also inside a
compiled step), and answer in kind.
"""

import numbers
import sys
from types import ModuleType
from typing import Any

import keras
import numpy as np

Tensor = Any

_MIX_FACTORS = (0x7FEB352D, 0x846CA68B - 2**32)
_DRAWS = {"top": 0, "left": 1, "flip": 2, "row": 3, "column": 4}


def namespace(array: Tensor) -> ModuleType:
    """The NumPy-like module that understands `array`, so that each function is written once."""
    if isinstance(array, np.ndarray):
        return np
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and tensorflow.is_tensor(array):
        return tensorflow.experimental.numpy
    return keras.ops


def _mix(bits: Tensor) -> Tensor:
    """The bijection `lowbias32` of the 32-bit integers (Wellons, 2018), on int32.

    NumPy, TensorFlow, JAX and PyTorch share no logical shift of int32: floor division by a power of
    two is the arithmetic shift, and the mask clears the copies of the sign.
    """
    for factor, shift in zip(_MIX_FACTORS, (16, 15), strict=True):
        bits = (bits ^ (bits // 2**shift & 2 ** (32 - shift) - 1)) * factor
    return bits ^ (bits // 2**16 & 2**16 - 1)


def _signed(value: int | Tensor) -> int | Tensor:
    """Python integers folded into int32; scalar tensors as they are."""
    if isinstance(value, numbers.Integral):
        return (int(value) + 2**31) % 2**32 - 2**31
    return value


def _random_bits(
    seed: int | Tensor, epoch: int | Tensor, index: Tensor, draw: int | Tensor
) -> Tensor:
    """One int32 for each `index`; for fixed other arguments different indices differ."""
    xp = namespace(index)
    index = xp.array(index, dtype="int32")
    key = _mix(xp.zeros_like(index) + _signed(seed))
    key = _mix(_mix(key ^ _signed(epoch)) + draw)
    return _mix(_mix(index + key) ^ key)


def random_integers(
    high: int, seed: int | Tensor, epoch: int | Tensor, index: Tensor, draw: int | Tensor = 0
) -> Tensor:
    """Integers in `[0, high)`, one for each element of `index`, uniform to within `high / 2**31`.

    A pure function of its arguments, with the same result on every backend.

    Args:
        high: Positive integer, the exclusive upper end.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(n,)` integers, the numbers of the examples in their dataset.
        draw: Integer or int32 tensor that broadcasts with `index`, which of several independent
            numbers of the example.

    Returns:
        `(n,)` int32.

    Example:

    >>> random_integers(10, seed=0, epoch=0, index=np.arange(3)).shape
    (3,)
    """
    return (_random_bits(seed, epoch, index, draw) & 2**31 - 1) % high


def shuffled(index: Tensor, seed: int | Tensor, epoch: int | Tensor) -> Tensor:
    """`index`, whose elements must differ, in the order of `epoch`.

    Args:
        index: `(n,)` integers, e.g. `arange(n)`.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.

    Returns:
        `(n,)`, a permutation of `index`.
    """
    xp = namespace(index)
    return xp.take(index, xp.argsort(_random_bits(seed, epoch, index, draw=-1)), axis=0)


def repeated(order: Tensor, repeats: int) -> Tensor:
    """The first of `order`, a permutation of `range(n)`, each `repeats` times in a row: n in all.

    Args:
        order: `(n,)` integers.
        repeats: Positive integer.

    Returns:
        `(n,)`. Repetition `k` of `i` is `i + k n`, so that each draws random numbers of its own.
    """
    xp, count = namespace(order), int(order.shape[0])
    place = xp.arange(count, dtype="int32")
    return xp.take(order, place // repeats, axis=0) + place % repeats * count


def _gather(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`images[b, rows[b, i], columns[b, j]]`, and 0 where that is outside the image."""
    xp = namespace(images)
    height, width, channels = (int(size) for size in images.shape[1:])
    inside_rows, inside_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    # The position in the batch; a tf.data batch does not know its size when it is traced.
    batch = xp.cumsum(xp.ones_like(rows[:, :1]), axis=0, dtype="int32") - 1
    rows = batch * height + xp.clip(rows, 0, height - 1)
    columns = xp.clip(columns, 0, width - 1)
    pixels = xp.take(
        xp.reshape(images, (-1, channels)), rows[:, :, None] * width + columns[:, None], axis=0
    )
    inside = inside_rows[:, :, None] & inside_columns[:, None]
    return xp.where(inside[..., None], pixels, xp.zeros_like(pixels))


def crop_flip(images: Tensor, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
    """Crops a window of the image's own size at an offset, and mirrors it left to right.

    Padding an image with `p` zeros and cropping at `(a, b)` is `top = a - p`, `left = b - p`.

    Args:
        images: `(batch, height, width, channels)`.
        top: `(batch,)` integers, first row of the window; rows outside the image are 0.
        left: `(batch,)` integers, first column of the window.
        flip: `(batch,)` booleans, whether to mirror the window.

    Returns:
        As `images`.

    Example:

    >>> image = np.arange(4).reshape(1, 2, 2, 1)
    >>> crop_flip(image, np.array([1]), np.array([0]), np.array([True]))[0, :, :, 0]
    array([[3, 2],
           [0, 0]])
    """
    xp = namespace(images)
    height, width = (int(size) for size in images.shape[1:3])
    columns = xp.arange(width, dtype="int32")[None]
    columns = xp.where(flip[:, None], width - 1 - columns, columns)
    columns = columns + xp.array(left, dtype="int32")[:, None]
    rows = xp.arange(height, dtype="int32")[None] + xp.array(top, dtype="int32")[:, None]
    return _gather(images, rows, columns)


def cutout(images: Tensor, row: Tensor, column: Tensor, size: int) -> Tensor:
    """Sets a square of `size` pixels around `(row, column)` to 0; it may reach over the border.

    Args:
        images: `(batch, height, width, channels)`.
        row: `(batch,)` integers, the row of the square's centre.
        column: `(batch,)` integers, the column of the square's centre.
        size: Positive integer, side of the square.

    Returns:
        As `images`.

    Reference:
        - [DeVries and Taylor, 2017](https://arxiv.org/abs/1708.04552).
    """
    xp = namespace(images)
    height, width = (int(side) for side in images.shape[1:3])
    top, left = (xp.array(centre, dtype="int32") - size // 2 for centre in (row, column))
    rows = xp.arange(height, dtype="int32")[None] - top[:, None]
    columns = xp.arange(width, dtype="int32")[None] - left[:, None]
    hit_rows, hit_columns = (rows >= 0) & (rows < size), (columns >= 0) & (columns < size)
    hit = hit_rows[:, :, None] & hit_columns[:, None]
    return xp.where(hit[..., None], xp.zeros_like(images), images)


def _shift(images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> tuple:
    height, width = (int(side) for side in images.shape[1:3])
    reach = [max(1, side // 8) for side in (height, width)]
    return tuple(
        random_integers(2 * pixels + 1, seed, epoch, index, _DRAWS[name]) - pixels
        for pixels, name in zip(reach, ("top", "left"), strict=True)
    )


def shift(images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> Tensor:
    """Pads by an eighth of the side (4 pixels at 32) and crops at random; never mirrors.

    For digits and letters, whose mirror image is something else.

    Args:
        images: `(batch, height, width, channels)`; padding is 0.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor; a step number does as well.
        index: `(batch,)` integers, the numbers of the images in their dataset.

    Returns:
        As `images`.
    """
    top, left = _shift(images, seed, epoch, index)
    return crop_flip(images, top, left, top != top)


def cifar(images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> Tensor:
    """Pads by an eighth of the side (4 pixels at 32), crops at random and mirrors every second.

    Args:
        images: `(batch, height, width, channels)`; padding is 0.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor; a step number does as well.
        index: `(batch,)` integers, the numbers of the images in their dataset.

    Returns:
        As `images`.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385), section 4.2.
    """
    top, left = _shift(images, seed, epoch, index)
    return crop_flip(images, top, left, random_integers(2, seed, epoch, index, _DRAWS["flip"]) == 1)


def cifar_cutout(images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> Tensor:
    """`cifar`, then a square of half the side (16 pixels at 32) set to 0 around a random pixel.

    Args:
        images: `(batch, height, width, channels)`; padding is 0.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor; a step number does as well.
        index: `(batch,)` integers, the numbers of the images in their dataset.

    Returns:
        As `images`.
    """
    height, width = (int(side) for side in images.shape[1:3])
    row = random_integers(height, seed, epoch, index, _DRAWS["row"])
    column = random_integers(width, seed, epoch, index, _DRAWS["column"])
    images = cifar(images, seed, epoch, index)
    return cutout(images, row, column, max(1, min(height, width) // 2))
