"""Photographs made smaller and larger by bicubic resampling, and their luminance."""

import numpy as np

from keras_residual import _checks
from keras_residual.data.pictures.files import pillow

# ITU-R BT.601 as in MATLAB's rgb2ycbcr, in which papers measure; black is 16, white 235.
_LUMINANCE = np.array((65.481, 128.553, 24.966)) / 255


def reduced(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Returns a picture whose sides are divided by `scale`: Pillow's antialiased `BICUBIC`.

    MATLAB's `imresize`, which papers use, differs from it by at most one grey level away from the
    border.

    Args:
        pixels: `(height, width, 1 or 3)` uint8, both sizes multiples of `scale`.
        scale: Positive integer.

    Raises:
        ValueError: If a size is no multiple of `scale`.
    """
    height, width = pixels.shape[:2]
    if height % _checks.integer("scale", scale) or width % scale:
        raise ValueError(
            f"`scale` must divide the picture's {width}×{height} pixels. Received: scale={scale}"
        )
    return resized(pixels, width // scale, height // scale)


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Returns a uint8 picture of that size, by Pillow's antialiased `BICUBIC`."""
    image_module, _ = pillow()
    image = image_module.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    result = np.asarray(image.resize((width, height), image_module.Resampling.BICUBIC))
    return result.reshape(height, width, pixels.shape[-1])


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Returns the luminance Y of an RGB picture, 16 to 235, of the picture's own type.

    Args:
        pixels: `(..., 1 or 3)`, uint8, or floating point in [0, 1]. Grey counts as equal colours.
    """
    unit = pixels / 255 if pixels.dtype == np.uint8 else pixels
    y = (np.broadcast_to(unit, (*unit.shape[:-1], 3)) @ _LUMINANCE * 255 + 16)[..., None]
    return np.round(y).astype(np.uint8) if pixels.dtype == np.uint8 else y / 255
