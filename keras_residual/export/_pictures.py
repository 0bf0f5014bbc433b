"""Fits pictures of any size to a file's input in the same way as its client does."""

import os

import numpy as np

from keras_residual.export._pixels import WHITE


def decoded(picture) -> np.ndarray:
    """Returns a picture as `(height, width, 3)` uint8, rotated by its EXIF orientation.

    Args:
        picture: Path of a picture, or `(height, width, 1 or 3)` uint8.
    """
    if isinstance(picture, (str, os.PathLike)):
        try:
            from PIL import Image, ImageOps
        except ImportError as error:
            raise ImportError('Pictures need: pip install "keras-residual[data]"') from error
        with Image.open(picture) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    array = np.asarray(picture)
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or array.dtype != np.uint8:
        raise ValueError(
            "`data` must hold paths of pictures, or pictures of shape (height, width, 3) and type "
            f"uint8. Received: shape {array.shape} of {array.dtype}"
        )
    return np.repeat(array, 3, -1) if array.shape[-1] == 1 else array


def stretched(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a picture resized as by MediaPipe's tasks on a CPU.

    The aspect ratio is not kept. Pixel `i` is sampled at position `i * old / new`, rounded to 1/32
    of a pixel, by bilinear interpolation without antialiasing; values are rounded to integers,
    halves upwards.
    """
    (y0, y1, fy), (x0, x1, fx) = (
        _places(old, new) for old, new in zip(picture.shape[:2], size, strict=True)
    )
    pixels, fy = picture.astype(np.float64), fy[:, None, None]
    rows = pixels[y0] * (1 - fy) + pixels[y1] * fy
    columns = rows[:, x0] * (1 - fx[:, None]) + rows[:, x1] * fx[:, None]
    return np.clip(np.floor(columns + 0.5), 0, WHITE).astype(np.uint8)


# OpenCV interpolates between pixels in steps of 1/32.
_STEPS = 32


def _places(old, new):
    place = np.floor(np.arange(new) * old / new * _STEPS + 0.5) / _STEPS
    low = np.floor(place).astype(int)
    return low, np.minimum(low + 1, old - 1), place - low


def cropped(picture: np.ndarray, size: tuple[int, int], share: float = 1.0) -> np.ndarray:
    """Returns the resized centre crop, `share` of the largest crop with this aspect ratio."""
    height, width = picture.shape[:2]
    scale = share * min(height / size[0], width / size[1])
    tall, wide = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - tall) // 2, (width - wide) // 2
    return stretched(picture[top : top + tall, left : left + wide], size)
