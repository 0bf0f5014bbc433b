"""Mixup and CutMix of a batch with itself, as pure functions keyed by `(seed, epoch, index)`."""

import functools
from typing import Any

import numpy as np

from keras_residual.data import keyed

Tensor = Any

_QUANTILES = 4096


def mix(
    images: Tensor,
    labels: Tensor,
    seed: int | Tensor,
    epoch: int | Tensor,
    index: Tensor,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    apart: int = 1,
) -> tuple[Tensor, Tensor]:
    """Mixes each image with an earlier one of the batch, and their labels in proportion.

    Mixup computes λ·a + (1 - λ)·b; CutMix pastes a rectangle of b with 1 - λ of the area, clipped
    at the border, into a. λ is drawn from Beta(α, α). With both, one of them is chosen for each
    image at random.

    Args:
        images: `(batch, height, width, channels)` floating point.
        labels: `(batch, classes)` floating point, one-hot.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(batch,)` integers, the numbers of the images in their dataset.
        mixup: The α of mixup; `0` for none.
        cutmix: The α of CutMix; `0` for none.
        apart: Distance to that earlier image, so that repeated images are mixed with others.

    Returns:
        The mixed images and labels.

    Reference:
        - [Zhang et al., 2018](https://arxiv.org/abs/1710.09412), mixup
        - [Yun et al., 2019](https://arxiv.org/abs/1905.04899), CutMix
    """
    xp = keyed.namespace(images)
    if not mixup and not cutmix:
        return images, labels
    share = xp.ones_like(images[:, :1, :1, :1])
    if mixup:
        share = share * _column(_shares(mixup, seed, epoch, index))
    keep = share * xp.ones_like(images)
    if cutmix:
        kept = _kept_by_cutmix(images, cutmix, seed, epoch, index)
        chosen = keyed.random_integers(2, seed, epoch, index, keyed.DRAWS["mix_kind"][0]) == 0
        keep = xp.where(chosen[:, None, None, None], keep, kept) if mixup else kept
    weight = xp.mean(keep, axis=(1, 2, 3))[:, None]
    return (
        keep * images + (1 - keep) * xp.roll(images, apart, axis=0),
        weight * labels + (1 - weight) * xp.roll(labels, apart, axis=0),
    )


def _column(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _kept_by_cutmix(images, alpha, seed, epoch, index):
    """Returns 1 where a pixel of the image is kept, else 0, in the shape of `images`."""
    xp = keyed.namespace(images)
    height, width = (int(side) for side in images.shape[1:3])
    side = xp.sqrt(1 - _shares(alpha, seed, epoch, index))
    inside = []
    for size, draw in ((height, "cutmix_row"), (width, "cutmix_column")):
        centre = keyed.random_integers(size, seed, epoch, index, keyed.DRAWS[draw][0])
        centre = xp.array(centre, dtype="float32")[:, None]
        distance = xp.arange(size, dtype="float32")[None] + 0.5 - centre
        half = side[:, None] * (size / 2)
        inside.append((distance >= -half) & (distance < half))
    cut = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return xp.where(cut, xp.zeros_like(images), xp.ones_like(images))


def _shares(alpha, seed, epoch, index):
    """Draws λ from Beta(alpha, alpha) for each image, float32."""
    xp = keyed.namespace(index)
    drawn = keyed.random_integers(_QUANTILES, seed, epoch, index, keyed.DRAWS["mix_share"][0])
    return xp.take(xp.array(_quantiles(alpha), dtype="float32"), drawn, axis=0)


@functools.cache
def _quantiles(alpha: float) -> np.ndarray:
    """Returns evenly spaced quantiles of Beta(alpha, alpha), estimated from seeded samples."""
    sample = np.sort(np.random.RandomState(0).beta(alpha, alpha, 64 * _QUANTILES))
    sample = (sample + 1 - sample[::-1]) / 2
    return sample[32::64].astype(np.float32)
