"""RandAugment: random operations on each image, out of fifteen."""

import functools
import math
import operator
import statistics
from typing import Any

import keras
import numpy as np

from keras_residual.data import keyed
from keras_residual.data.batches import pixels
from keras_residual.data.batches.pixels import ONE, PIXEL, WHITE

Tensor = Any

STRONGEST = 10
_DEVIATION = 0.5
# Resolution of the magnitude.
_QUANTILES = 128
_GREY = 128

_MATRIX = {"a": ONE, "b": 0, "c": 0, "d": 0, "e": ONE, "f": 0}
_TONES = {
    # Levels are inverted from here on, the dark ones raised, all cut to multiples of the step.
    "threshold": WHITE + 1,
    "add": 0,
    "step": 1,
    # Blended with black, or with the mean brightness.
    "tone": ONE,
    "contrast": 0,
    "autocontrast": 0,
    "equalize": 0,
}
# Blended with the grey image, and with the smoothed.
_UNCHANGED = {**_MATRIX, **_TONES, "color": ONE, "sharpness": ONE}


def _operations(magnitude: float, sign: int, height: int, width: int) -> list[dict[str, int]]:
    """Returns the parameters of the fifteen operations at a magnitude of 0 to 10 and a sign."""
    strength = magnitude / STRONGEST
    factor = round(ONE * max(0.1, 1 + sign * 0.9 * strength))
    shear = round(ONE * sign * 0.3 * strength)
    far = PIXEL * sign * 0.45 * strength
    return [
        {"autocontrast": 1},
        {"equalize": 1},
        {"threshold": 0},
        _rotation(math.radians(sign * 30 * strength), height, width),
        {"step": 2 ** (4 + int(4 * strength))},
        {"threshold": WHITE + 1 - int((WHITE + 1) * strength)},
        {"add": int(110 * strength)},
        {"color": factor},
        {"tone": factor, "contrast": 1},
        {"tone": factor},
        {"sharpness": factor},
        {"b": shear},
        {"d": shear},
        {"c": round(far * width)},
        {"f": round(far * height)},
    ]


def _rotation(angle: float, height: int, width: int) -> dict[str, int]:
    """Returns a counterclockwise rotation around the centre."""
    cos, sin = round(ONE * math.cos(angle)), round(ONE * math.sin(angle))
    x = (ONE - cos) * width + sin * height
    y = (ONE - cos) * height - sin * width
    return {"a": cos, "b": -sin, "c": x, "d": sin, "e": cos, "f": y}


@functools.cache
def _drawn_from(magnitude: float, height: int, width: int) -> np.ndarray:
    """Returns all operations, equally likely; the last row, the identity, has probability 1/2."""
    normal = statistics.NormalDist(magnitude, _DEVIATION)
    rows = [
        list({**_UNCHANGED, **changes}.values())
        for number in range(_QUANTILES)
        for sign in (-1, 1)
        for changes in _operations(
            min(max(normal.inv_cdf((number + 0.5) / _QUANTILES), 0), STRONGEST),
            sign,
            height,
            width,
        )
    ]
    return np.array([*rows, list(_UNCHANGED.values())], np.int32)


def rand_augment(
    images: Tensor,
    seed: int | Tensor,
    epoch: int | Tensor,
    index: Tensor,
    magnitude: float = 7.0,
    fill: np.ndarray | int = _GREY,
) -> Tensor:
    """Applies two random operations to each image, each with probability 1/2.

    An operation is one of fifteen: AutoContrast, Equalize, Invert, Rotate, Posterize, Solarize,
    SolarizeAdd, Color, Contrast, Brightness, Sharpness, ShearX, ShearY, TranslateX, TranslateY.
    Its strength is drawn from a normal distribution around `magnitude` with standard deviation 0.5.
    All but the first three grow with it: at 10, rotations reach 30 degrees, shears 0.3,
    translations 0.45 of the side, and factors of colour, contrast, brightness and sharpness 0.1 or
    1.9.

    Args:
        images: `(batch, height, width, 1 or 3)` in 0..255; fractions are rounded.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(batch,)` integers, the numbers of the images in their dataset.
        magnitude: Number in [0, 10].
        fill: Level outside the image, one number or one per channel.

    Returns:
        As `images`, int32 in 0..255.

    Reference:
        - [Cubuk et al., 2019](https://arxiv.org/abs/1909.13719), in the form of
          [Wightman et al., 2021](https://arxiv.org/abs/2110.00476): timm's `rand-m7-mstd0.5-inc1`.
          timm interpolates bilinearly or bicubically at random, this function always bilinearly.
    """
    xp = keyed.namespace(images)
    height, width, channels = _checked_shape(images.shape[1:])
    images = xp.floor(xp.array(images, dtype="float32") + 0.5)
    images = xp.array(xp.clip(images, 0, WHITE), dtype="int32")
    # TensorFlow loses static sizes of 1 if the batch size is unknown.
    images = xp.reshape(images, (-1, height, width, channels))
    rows = _drawn_from(float(magnitude), height, width)
    nothing = len(rows) - 1
    for draw in keyed.DRAWS["rand_augment"]:
        row = keyed.random_integers(2 * nothing, seed, epoch, index, draw)
        drawn = xp.take(xp.array(rows, dtype="int32"), xp.clip(row, 0, nothing), axis=0)
        images = _changed(images, drawn, fill)
    return images


def _checked_shape(shape: tuple[Any, ...]) -> tuple[int, int, int]:
    """Returns the shape of an image as integers, or raises if RandAugment does not support it."""
    height, width, channels = (int(size) for size in shape)
    if channels not in (1, 3) or height * width > pixels.LARGEST:
        raise ValueError(
            f"RandAugment takes images of 1 or 3 channels and at most {pixels.LARGEST:,} pixels. "
            f"Received: images of {height} x {width} x {channels}"
        )
    return height, width, channels


def _changed(images, drawn, fill):
    """Applies to each image the operation of its row of `_drawn_from`."""
    matrix = drawn[:, : len(_MATRIX)]
    drawn = {name: drawn[:, place, None] for place, name in enumerate(_UNCHANGED)}

    def blended(base, name):
        return lambda images: pixels.blend(base(images), images, drawn[name][..., None, None])

    for names, change in (
        (_MATRIX, lambda images: pixels.affine(images, matrix, fill)),
        (_TONES, lambda images: pixels.lookup(images, _table(images, drawn))),
        (["color"], blended(pixels.grey, "color")),
        (["sharpness"], blended(pixels.smooth, "sharpness")),
    ):
        differs = [drawn[name] != _UNCHANGED[name] for name in names]
        images = _if_any(functools.reduce(operator.or_, differs), change, images)
    return images


def _if_any(chosen, change, images):
    """Returns `change(images)` if any image is chosen, which saves work for small batches.

    For XLA a condition is also a barrier: it does not recompute the result for each use.
    """
    xp = keyed.namespace(images)
    shape = (-1, *(int(size) for size in images.shape[1:]))
    changed, same = lambda: xp.reshape(change(images), shape), lambda: images
    if isinstance(images, np.ndarray):
        return changed() if chosen.any() else images
    if xp is keras.ops:
        return keras.ops.cond(keras.ops.any(chosen), changed, same)
    import tensorflow as tf

    return tf.cond(tf.reduce_any(chosen), changed, same)


def _table(images, drawn):
    """Returns the lookup table of the tonal operations, `(batch, channels, 256)`."""
    xp = keyed.namespace(images)
    levels = xp.arange(WHITE + 1, dtype="int32")[None]
    table = xp.where(levels < drawn["threshold"], levels, WHITE - levels)
    table = xp.where(levels < 128, xp.clip(table + drawn["add"], 0, WHITE), table)
    table = table // drawn["step"] * drawn["step"]
    base = drawn["contrast"] * pixels.mean_brightness(images)[:, None]
    table = pixels.blend(base, table, drawn["tone"])[:, None]
    counts = pixels.histogram(images)
    for made, name in ((pixels.stretching, "autocontrast"), (pixels.equalizing, "equalize")):
        table = xp.where(drawn[name][..., None] > 0, made(counts), table)
    return table
