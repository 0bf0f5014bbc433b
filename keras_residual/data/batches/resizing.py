"""Resizing images of any size to one size, one by one inside `tf.data`."""

from typing import TYPE_CHECKING

from keras_residual import _needs
from keras_residual.data import keyed
from keras_residual.data.keyed import ATTEMPTS

if TYPE_CHECKING:
    import tensorflow as tf


def resize_and_crop(
    image: "tf.Tensor", size: tuple[int, int], fraction: float = 1.0
) -> "tf.Tensor":
    """Crops the central `fraction` of the largest window with the aspect ratio of `size`.

    The crop is resized to `size`; a fraction of 224 / 256 is the same as resizing the shorter side
    to 256 and cropping the central 224.
    """
    _needs.tensorflow("Bringing pictures to one size")
    import tensorflow as tf

    height, width = size
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    factor = tf.reduce_max(tf.constant(size, tf.float32) / shape) / fraction
    resized = tf.maximum(tf.cast(tf.round(shape * factor), tf.int32), size)
    image = tf.image.resize(image, resized, antialias=True)
    top, left = (resized[0] - height) // 2, (resized[1] - width) // 2
    image = image[top : top + height, left : left + width]
    return tf.ensure_shape(image, (height, width, image.shape[2]))


def random_resized_crop(
    image: "tf.Tensor",
    size: tuple[int, int],
    seed: int,
    epoch: "tf.Tensor",
    index: "tf.Tensor",
    smallest: float = 0.08,
    mirror: bool = True,
) -> "tf.Tensor":
    """Returns a random window of at least `smallest` of the area, resized and maybe mirrored."""
    import tensorflow as tf

    drawn = keyed.random_integers(
        2**24, seed, epoch, index[None], tf.constant(list(keyed.DRAWS["resized_crop"]))
    )
    whole = tf.cast(tf.shape(image)[:2], tf.float32)
    window = _window(whole, tf.cast(drawn[:-1], tf.float32) / 2**24, smallest)
    top, left, height, width = tf.unstack(tf.cast(window, tf.int32))
    cropped = image[top : top + height, left : left + width]
    resized = tf.image.resize(cropped, size, antialias=True)
    if mirror:
        resized = tf.cond(drawn[-1] % 2 == 1, lambda: resized[:, ::-1], lambda: resized)
    return tf.ensure_shape(resized, (*size, image.shape[2]))


def _window(size: "tf.Tensor", uniform: "tf.Tensor", smallest: float) -> "tf.Tensor":
    """Returns the window of torchvision's `RandomResizedCrop`: top, left, height and width.

    The area is uniform between `smallest` (8 % in torchvision) and 1, the logarithm of the aspect
    ratio between those of 3/4 and 4/3. The first of ten windows that fits is used, else the largest
    central one with such a ratio. (TensorFlow's `sample_distorted_bounding_box` draws smaller areas
    on average.)
    """
    import tensorflow as tf

    area = tf.reduce_prod(size) * (smallest + (1 - smallest) * uniform[:ATTEMPTS])
    ratio = (4 / 3) ** (2 * uniform[ATTEMPTS : 2 * ATTEMPTS] - 1)
    windows = tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], axis=1)))
    fits = tf.reduce_all((windows >= 1) & (windows <= size), axis=1)
    largest = tf.minimum(size, tf.round(size[::-1] * (4 / 3)))
    found = tf.reduce_any(fits)
    window = tf.where(found, windows[tf.argmax(tf.cast(fits, tf.int32))], largest)
    corner = tf.where(found, uniform[2 * ATTEMPTS :], 0.5) * (
        size - window + tf.cast(found, tf.float32)
    )
    return tf.concat([tf.floor(corner), window], axis=0)
