"""Images for tests, and Pillow's operations on a batch of them."""

import math

import numpy as np
from PIL import Image


def images_of(shape, count=4, seed=0):
    """Noise, with noise of few levels, one level alone and a dark ramp among it."""
    images = np.random.RandomState(seed).randint(0, 256, (count, *shape))
    images[1::4] = images[1::4] // 50 * 37
    images[2::4] = images[2::4, :1, :1]
    images[3::4] = (np.arange(math.prod(shape)) % 90).reshape(shape)
    return images.astype(np.int32)


def to_pillow(image):
    """A `(height, width, 1 or 3)` array as an image of mode L or RGB."""
    image = image.astype("uint8")
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def by_pillow(change, images):
    """Each image through a function of Pillow's images."""
    changed = np.stack([np.asarray(change(to_pillow(image))) for image in images])
    return changed.reshape(*images.shape[:3], -1).astype(np.int32)
