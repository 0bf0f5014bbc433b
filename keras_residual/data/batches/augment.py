"""Augmentation of small images and of sound as pure functions on batches.

Every random number is a hash of `(seed, epoch, index)`, see `keyed`. The functions take NumPy
arrays, TensorFlow tensors (also inside the `map` of a `tf.data` pipeline, under any backend) and
the tensors of the active Keras backend (also inside a compiled step), and return the same kind.
"""

from typing import Any

from keras_residual._docstrings import documented_like
from keras_residual.data.batches.sound import add_noise, audio, spec_augment, time_shift
from keras_residual.data.keyed import DRAWS, namespace, random_integers, repeated, shuffled

Tensor = Any

# Largest relative change of brightness and contrast.
_LIGHT = 0.2

__all__ = [
    "add_noise",
    "audio",
    "cifar",
    "cifar_cutout",
    "crop_flip",
    "cutout",
    "namespace",
    "random_integers",
    "repeated",
    "shift",
    "shuffled",
    "spec_augment",
    "time_shift",
]


def _gather(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Returns `images[b, rows[b, i], columns[b, j]]`, and 0 outside the image."""
    xp = namespace(images)
    height, width, channels = (int(size) for size in images.shape[1:])
    inside_rows, inside_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    # Index in the batch; the batch size of tf.data is unknown when it is traced.
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
    >>> augment.crop_flip(image, np.array([1]), np.array([0]), np.array([True]))[0, :, :, 0]
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
    """Sets a square of `size` pixels around `(row, column)` to 0; it is clipped at the border.

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


def _shift(
    images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor
) -> tuple[Any, ...]:
    height, width = (int(side) for side in images.shape[1:3])
    reach = [max(1, side // 8) for side in (height, width)]
    return tuple(
        random_integers(2 * pixels + 1, seed, epoch, index, DRAWS[name][0]) - pixels
        for pixels, name in zip(reach, ("shift_top", "shift_left"), strict=True)
    )


def shift(images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> Tensor:
    """Pads by an eighth of the side (4 pixels at 32) and crops at random, without mirroring.

    For digits and letters, which lose their meaning when mirrored.

    Args:
        images: `(batch, height, width, channels)`; padding is 0.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor; a step number works too.
        index: `(batch,)` integers, the numbers of the images in their dataset.

    Returns:
        As `images`.
    """
    top, left = _shift(images, seed, epoch, index)
    return crop_flip(images, top, left, top != top)


@documented_like(shift)
def cifar(images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> Tensor:
    """Pads by an eighth of the side (4 pixels at 32), crops and mirrors at random.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385), section 4.2.
    """
    top, left = _shift(images, seed, epoch, index)
    flip = random_integers(2, seed, epoch, index, DRAWS["flip"][0]) == 1
    return crop_flip(images, top, left, flip)


@documented_like(shift)
def cifar_cutout(images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> Tensor:
    """`cifar`, then a square of half the side (16 pixels at 32) set to 0 around a random pixel."""
    height, width = (int(side) for side in images.shape[1:3])
    row = random_integers(height, seed, epoch, index, DRAWS["cutout_row"][0])
    column = random_integers(width, seed, epoch, index, DRAWS["cutout_column"][0])
    images = cifar(images, seed, epoch, index)
    return cutout(images, row, column, max(1, min(height, width) // 2))


def light(images: Tensor, seed: int | Tensor, epoch: int | Tensor, index: Tensor) -> Tensor:
    """Changes the brightness and the contrast of each image by up to a fifth.

    Args:
        images: `(batch, height, width, channels)`.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor; a step number does as well.
        index: `(batch,)` integers, the numbers of the images in their dataset.

    Returns:
        As `images`; values may leave their original range.
    """
    xp = namespace(images)
    brightness, contrast = (
        xp.reshape(1 + _LIGHT * (xp.array(drawn, dtype="float32") / 2**23 - 1), (-1, 1, 1, 1))
        for drawn in (random_integers(2**24, seed, epoch, index, draw) for draw in DRAWS["light"])
    )
    mean = xp.mean(images, axis=(1, 2, 3), keepdims=True)
    return (images - mean) * contrast + mean * brightness
