"""Bicubic resampling of photographs, and their luminance."""

import math

import numpy as np

from keras_residual import _checks
from keras_residual.data.pictures.files import pillow

_LARGEST_SIDE = 2**16
# ITU-R BT.601 as in MATLAB's rgb2ycbcr, which papers use; black is 16, white 235.
_LUMINANCE = np.array((65.481, 128.553, 24.966)) / 255


def reduced(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Returns a picture downscaled by the factor `scale`, as by MATLAB's `imresize`.

    This is how papers on super-resolution create their inputs.

    Args:
        pixels: `(height, width, 1 or 3)` uint8, both sizes multiples of `scale`.
        scale: Positive integer.

    Raises:
        ValueError: If a size is not a multiple of `scale`.
    """
    height, width = pixels.shape[:2]
    if height % _checks.integer("scale", scale) or width % scale:
        raise ValueError(
            f"`scale` must divide the picture's {width}×{height} pixels. Received: scale={scale}"
        )
    return resized(pixels, width // scale, height // scale)


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Returns a picture of that size, by antialiased bicubic resampling as MATLAB's `imresize`.

    The result equals MATLAB's at every pixel: the side that shrinks more is resampled first,
    columns before rows if both shrink equally, with 8 bits in between, and the border is mirrored.
    (Pillow, which does the computation, would resample rows first and ignore the outside.)

    Args:
        pixels: `(height, width, 1 or 3)` uint8.
        width: Positive integer.
        height: Positive integer.
    """
    for name, side in (("width", width), ("height", height)):
        _checks.integer(name, side, maximum=_LARGEST_SIDE)
    if height / pixels.shape[0] <= width / pixels.shape[1]:
        return _rows_first(pixels.swapaxes(0, 1), (width, height)).swapaxes(0, 1)
    return _rows_first(pixels, (height, width))


def _rows_first(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image_module, _ = pillow()
    # The kernel reaches two pixels of the smaller picture to each side.
    margins = [
        math.ceil(2 * max(1, old / new)) + 1
        for old, new in zip(pixels.shape[:2], size, strict=True)
    ]
    around = np.pad(pixels, [*((margin, margin) for margin in margins), (0, 0)], "symmetric")
    image = image_module.fromarray(around.squeeze(-1) if around.shape[-1] == 1 else around)
    top, left = margins
    box = (left, top, left + pixels.shape[1], top + pixels.shape[0])
    result = np.asarray(image.resize(size[::-1], image_module.Resampling.BICUBIC, box))
    return result.reshape(*size, pixels.shape[-1])


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Returns the luminance Y of an RGB picture, 16 to 235, of the picture's own type.

    Args:
        pixels: `(..., 1 or 3)`, uint8, or floating point in [0, 1]. Grey counts as equal colours.
    """
    unit = pixels / 255 if pixels.dtype == np.uint8 else pixels
    y = (np.broadcast_to(unit, (*unit.shape[:-1], 3)) @ _LUMINANCE * 255 + 16)[..., None]
    return np.round(y).astype(np.uint8) if pixels.dtype == np.uint8 else y / 255
