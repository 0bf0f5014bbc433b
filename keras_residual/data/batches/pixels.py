"""Geometric, tonal and colour operations on batches, with parameters for each image.

They match Pillow's operations on 8-bit images exactly. Images are `(batch, height, width,
channels)` int32 in 0..255; factors and coefficients are integers in units of `1 / ONE`, because
integer arithmetic gives the same results on every backend and compiler, unlike floating point.
"""

from typing import Any

import keras
import numpy as np

from keras_residual.data.keyed import namespace

Tensor = Any

ONE = 1024
# Twice as fine, so that the centres of pixels are integers too.
PIXEL = 2 * ONE
WHITE = 255
# With more pixels, sums of levels overflow int32.
LARGEST = 2**23


def affine(images: Tensor, matrix: Tensor, fill: np.ndarray) -> Tensor:
    """Samples each `(x, y)` of the result at `(a x + b y + c, d x + e y + f)` of an image.

    Equals Pillow's `transform` with `AFFINE` and `BILINEAR`.

    Args:
        images: The images.
        matrix: `(batch, 6)` int32, `a` to `f`; `c` and `f` in units of `1 / PIXEL`.
        fill: Level outside the image, one number or one per channel.
    """
    xp = namespace(images)
    height, width = (int(side) for side in images.shape[1:3])
    # Twice the centres, which are integers.
    y, x = (xp.array(2 * grid[None] + 1, dtype="int32") for grid in np.mgrid[:height, :width])
    a, b, c, d, e, f = (matrix[:, place, None, None] for place in range(6))
    x, y = a * x + b * y + c, d * x + e * y + f
    inside = (x >= 0) & (x < PIXEL * width) & (y >= 0) & (y < PIXEL * height)
    found = _between_pixels(images, x - ONE, y - ONE)
    fill = xp.array(fill, dtype="int32") + xp.zeros_like(found)
    return xp.where(inside[..., None], found, fill)


def _between_pixels(images, x, y):
    xp = namespace(images)
    height, width, channels = (int(size) for size in images.shape[1:])
    # Index in the batch; the batch size of tf.data is unknown when it is traced.
    batch = xp.cumsum(xp.ones_like(x[:, :1, :1]), axis=0, dtype="int32") - 1
    flat = xp.reshape(images, (-1, channels))
    left, top = x // PIXEL, y // PIXEL
    right, down = (x - left * PIXEL)[..., None], (y - top * PIXEL)[..., None]

    def row(y):
        start = (batch * height + xp.clip(y, 0, height - 1)) * width
        near, far = (
            xp.take(flat, start + xp.clip(column, 0, width - 1), axis=0)
            for column in (left, left + 1)
        )
        return near * PIXEL + (far - near) * right

    upper, lower = row(top), row(top + 1)
    return (upper * PIXEL + (lower - upper) * down) // PIXEL**2


def blend(base: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Returns `base + factor (images - base)`, truncated as in Pillow's `Image.blend`."""
    return namespace(images).clip((base * ONE + factor * (images - base)) // ONE, 0, WHITE)


def grey(images: Tensor) -> Tensor:
    """Returns `(batch, height, width, 1)`, brightness as in Pillow's `convert("L")`."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = (images[..., channel : channel + 1] for channel in range(3))
    return (19595 * red + 38470 * green + 7471 * blue + 2**15) // 2**16


def smooth(images: Tensor) -> Tensor:
    """Pillow's `SMOOTH`: the mean of 3 x 3 pixels, the centre with weight 5; borders unchanged."""
    xp = namespace(images)
    total = images
    for axis in (1, 2):
        total = total + xp.roll(total, 1, axis=axis) + xp.roll(total, -1, axis=axis)
    border = np.ones((1, *images.shape[1:3], 1), bool)
    border[:, 1:-1, 1:-1] = False
    return xp.where(xp.array(border), images, (2 * (total + 4 * images) + 13) // 26)


def mean_brightness(images: Tensor) -> Tensor:
    """Returns `(batch,)`, the mean of `grey` as an integer level."""
    xp = namespace(images)
    count = int(images.shape[1]) * int(images.shape[2])
    total = xp.array(xp.sum(grey(images), axis=(1, 2, 3)), dtype="int32")
    return (total + count // 2) // count


def lookup(images: Tensor, table: Tensor) -> Tensor:
    """Maps each level by the `(batch, channels, 256)` lookup table of its image."""
    return namespace(images).take(namespace(images).reshape(table, (-1,)), _places(images), axis=0)


def _places(images):
    """Returns the indices of the images' levels in a flattened `(batch, channels, 256)`."""
    xp = namespace(images)
    channels = xp.arange(int(images.shape[3]), dtype="int32")
    batch = xp.cumsum(xp.ones_like(images[:, :1, :1]), axis=0, dtype="int32") - 1
    return (batch * int(images.shape[3]) + channels) * (WHITE + 1) + images


def histogram(images: Tensor) -> Tensor:
    """Returns `(batch, channels, 256)`, how often each level occurs in a channel."""
    places = namespace(images).reshape(_places(images), (-1,))
    channels = int(images.shape[3])
    size = channels * (WHITE + 1)
    if isinstance(images, np.ndarray):
        counts = np.bincount(places, minlength=len(images) * size).astype(np.int32)
    elif namespace(images) is keras.ops:
        ones = keras.ops.ones_like(places)
        counts = keras.ops.segment_sum(ones, places, num_segments=images.shape[0] * size)
    else:
        import tensorflow as tf

        size *= tf.shape(images)[0]
        counts = tf.math.unsorted_segment_sum(tf.ones_like(places), places, size)
    return namespace(images).reshape(counts, (-1, channels, WHITE + 1))


def stretching(counts: Tensor) -> Tensor:
    """Returns the table of Pillow's `autocontrast`, which stretches each channel to 0..255.

    A few levels are one less in Pillow because of floating-point rounding.

    Args:
        counts: The `histogram` of the images.
    """
    xp = namespace(counts)
    levels = xp.arange(WHITE + 1, dtype="int32") + xp.zeros_like(counts)
    until = xp.cumsum(counts, axis=-1, dtype="int32")
    low, high = (
        xp.array(xp.sum(xp.array(less, dtype="int32"), axis=-1), dtype="int32")[..., None]
        for less in (until == 0, until < until[..., -1:])
    )
    stretched = xp.clip((levels - low) * WHITE // xp.clip(high - low, 1, WHITE), 0, WHITE)
    return xp.where(high > low, stretched, levels)


def equalizing(counts: Tensor) -> Tensor:
    """Returns the table of Pillow's `equalize`, which equalizes the histogram of each channel.

    Args:
        counts: The `histogram` of the images.
    """
    xp = namespace(counts)
    levels = xp.arange(WHITE + 1, dtype="int32") + xp.zeros_like(counts)
    until = xp.cumsum(counts, axis=-1, dtype="int32")
    # Pillow leaves the highest level out of the sum.
    of_others = xp.where(until < until[..., -1:], until, xp.zeros_like(until))
    step = xp.max(of_others, axis=-1)[..., None] // WHITE
    equalized = xp.clip((step // 2 + until - counts) // xp.clip(step, 1, LARGEST), 0, WHITE)
    return xp.where(step > 0, equalized, levels)
