"""Quality of upscaled pictures, measured as in papers on super-resolution."""

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual._docstrings import documented_like
from keras_residual._types import Tensor
from keras_residual.layers.registration import PACKAGE


def psnr(expected: np.ndarray, found: np.ndarray, shave: int = 0, luminance: bool = True) -> float:
    """Returns the peak signal-to-noise ratio in dB, scikit-image's.

    Args:
        expected: The true picture, `(height, width, 1 or 3)`, uint8 or floating point in [0, 1].
        found: The picture to evaluate, of the same shape; both are clipped to [0, 1].
        shave: Non-negative integer, width of the border to ignore; papers ignore `scale` pixels.
        luminance: Whether colours are compared by their luminance Y of BT.601, as in papers.

    Returns:
        Decibels; infinity for equal pictures.

    Raises:
        ValueError: If the shapes differ or the border leaves nothing.
        ImportError: If scikit-image is not installed.
    """
    metrics = _scikit_image().metrics
    expected, found = _prepared(expected, found, shave, luminance)
    if np.array_equal(expected, found):
        return float("inf")
    return float(metrics.peak_signal_noise_ratio(expected, found, data_range=255))


@documented_like(psnr)
def ssim(expected: np.ndarray, found: np.ndarray, shave: int = 0, luminance: bool = True) -> float:
    """Returns the structural similarity, scikit-image's with the window of Wang et al. 2004.

    With a Gaussian window of 11 pixels and a standard deviation of 1.5, at positions inside the
    picture.

    Returns:
        At most 1, the value for equal pictures.

    Raises:
        ValueError: If the shapes differ or less than 11 pixels are left.
        ImportError: If scikit-image is not installed.
    """
    metrics = _scikit_image().metrics
    expected, found = _prepared(expected, found, shave, luminance)
    if min(expected.shape[:2]) < 11:
        raise ValueError(
            "`shave` must leave 11 pixels at least for the window of the structural similarity. "
            f"Received: shave={shave}, which leaves {expected.shape[:2]}"
        )
    return float(
        metrics.structural_similarity(
            expected,
            found,
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


@keras.saving.register_keras_serializable(package=PACKAGE, name="psnr")
def batch_psnr(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Returns the peak signal-to-noise ratio of each picture of a batch: a metric for training.

    Over all channels and with the border, so slightly lower than in papers.

    Args:
        y_true: `(batch, height, width, channels)` in [0, 1].
        y_pred: The same shape; it is clipped to [0, 1].

    Returns:
        `(batch,)` decibels, at most 100.
    """
    difference = ops.cast(y_true, "float32") - ops.clip(ops.cast(y_pred, "float32"), 0, 1)
    error = ops.mean(ops.square(difference), axis=tuple(range(1, len(y_pred.shape))))
    return -10 * ops.log10(ops.maximum(error, 1e-10))


def _scikit_image():
    try:
        import skimage
        import skimage.metrics
    except ImportError as error:
        raise ImportError('Image quality needs: pip install "keras-residual[images]"') from error
    return skimage


def _prepared(expected, found, shave, luminance):
    """Returns both pictures as float64 in 0…255, without the border, optionally as luminance."""
    _checks.integer("shave", shave, 0)
    _checks.boolean("luminance", luminance)
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.shape != found.shape or expected.ndim != 3 or expected.shape[-1] not in (1, 3):
        raise ValueError(
            "`expected` and `found` must be pictures (height, width, 1 or 3) of one shape. "
            f"Received: shapes {expected.shape} and {found.shape}"
        )
    inner = slice(shave, -shave or None)
    pair = [_in_levels(picture)[inner, inner] for picture in (expected, found)]
    if not pair[0].size:
        raise ValueError(f"`shave` leaves nothing of {expected.shape[:2]}. Received: shave={shave}")
    if luminance and expected.shape[-1] == 3:
        color = _scikit_image().color
        pair = [color.rgb2ycbcr(picture / 255)[..., :1] for picture in pair]
    return pair


def _in_levels(picture):
    if picture.dtype == np.uint8:
        return picture.astype(np.float64)
    return np.clip(picture.astype(np.float64), 0, 1) * 255
