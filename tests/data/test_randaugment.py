"""RandAugment against timm's operations by Pillow, and how often each of them comes."""

import math

import keras
import numpy as np
import pytest
from data.pillow import by_pillow, images_of
from PIL import Image, ImageEnhance, ImageOps

from keras_residual import data
from keras_residual.data.batches import randaugment
from keras_residual.data.batches.pixels import ONE

NAMES = (
    "AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "SolarizeAdd",
    "Color", "Contrast", "Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY",
)  # fmt: skip
FILL = 77


def transformed(matrix, steps=ONE):
    """Pillow's transform by coefficients that integers in units of 1/1024 can hold."""
    rounded = [round(value * steps) / steps for value in matrix]
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, rounded, Image.Resampling.BILINEAR,
        fillcolor=FILL if image.mode == "L" else (FILL,) * 3,
    )  # fmt: skip


def rotated(degrees, height, width):
    cos, sin = (round(f(math.radians(degrees)) * ONE) / ONE for f in (math.cos, math.sin))
    x, y = width / 2, height / 2
    matrix = (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)
    return transformed(matrix, 2**20)


def enhanced(kind, factor):
    return lambda image: kind(image).enhance(round(factor * ONE) / ONE)


def operation(name, magnitude, sign, height, width):
    """timm's operation of the increasing set, written down from its tables."""
    level = magnitude / 10
    factor = max(0.1, 1 + sign * 0.9 * level)
    shear, far = sign * 0.3 * level, sign * 0.45 * level
    add, threshold, mask = int(level * 110), 256 - int(level * 256), 256 - 2 ** (4 + int(level * 4))
    kinds = {"Color", "Contrast", "Brightness", "Sharpness"}
    if name in kinds:
        return enhanced(getattr(ImageEnhance, name), factor)
    return {
        "AutoContrast": ImageOps.autocontrast,
        "Equalize": ImageOps.equalize,
        "Invert": ImageOps.invert,
        "Rotate": rotated(sign * 30 * level, height, width),
        "Posterize": lambda image: Image.eval(image, lambda i: i & mask),
        "Solarize": lambda image: ImageOps.solarize(image, threshold),
        "SolarizeAdd": lambda image: Image.eval(
            image, lambda i: min(255, i + add) if i < 128 else i
        ),
        "ShearX": transformed((1, shear, 0, 0, 1, 0)),
        "ShearY": transformed((1, 0, 0, shear, 1, 0)),
        "TranslateX": transformed((1, 0, far * width, 0, 1, 0), 2 * ONE),
        "TranslateY": transformed((1, 0, 0, 0, 1, far * height), 2 * ONE),
    }[name]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_operations(name, channels):
    height, width = 18, 13
    images = images_of((height, width, channels))
    for magnitude in (0, 2.71, 6, 7.3, 9.99):
        for sign in (-1, 1):
            made = randaugment._operations(magnitude, sign, height, width)
            drawn = {**randaugment._UNCHANGED, **made[NAMES.index(name)]}
            drawn = np.array([list(drawn.values())] * len(images), np.int32)
            found = randaugment._changed(images, drawn, np.array(FILL))
            expected = by_pillow(operation(name, magnitude, sign, height, width), images)
            if name == "AutoContrast":  # see test_pixels
                assert set(np.unique(found - expected)) <= {0, 1}
            else:
                np.testing.assert_array_equal(found, expected, err_msg=f"{magnitude} {sign}")


def test_rounded_rotation_is_a_rotation():
    """Pillow's own, whose cosine is not rounded to 1/1024, on a smooth image."""
    y, x = np.mgrid[:96, :64]
    image = (127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 11)).astype(np.int32)[None, ..., None]
    for magnitude, sign in ((7, 1), (4.4, -1)):
        rotation = randaugment._operations(magnitude, sign, 96, 64)[NAMES.index("Rotate")]
        drawn = np.array([list({**randaugment._UNCHANGED, **rotation}.values())], np.int32)
        found = randaugment._changed(image, drawn, np.array(FILL))
        degrees = sign * 30 * magnitude / 10
        expected = by_pillow(
            lambda image, by=degrees: image.rotate(by, Image.Resampling.BILINEAR, fillcolor=FILL),
            image,
        )
        assert np.quantile(np.abs(found - expected), 0.99) <= 1


def test_each_operation_is_drawn_once_in_thirty_and_magnitudes_are_normal():
    rows = randaugment._drawn_from(7.0, 8, 8)
    names = [*randaugment._UNCHANGED]
    assert len(rows) == 15 * 2 * randaugment._QUANTILES + 1
    assert (rows[-1] == list(randaugment._UNCHANGED.values())).all()
    shears = rows[rows[:, names.index("b")] * (rows[:, names.index("d")] == 0) != 0]
    magnitudes = np.abs(shears[:, names.index("b")]) / ONE / 0.03
    assert np.mean(magnitudes) == pytest.approx(7, abs=0.01)
    assert np.std(magnitudes) == pytest.approx(0.5, abs=0.01)
    assert (shears[:, names.index("b")] > 0).mean() == 0.5

    # One dark level is changed by Invert, Posterize, SolarizeAdd and Brightness alone.
    image = np.full((1, 4, 4, 1), 10, np.int32)
    count = 30_000
    found = data.rand_augment(np.repeat(image, count, 0), 3, 4, np.arange(count), 7.0, 10)
    same = (found == 10).all((1, 2, 3)).mean()
    # Inverted twice, it is unchanged.
    assert same == pytest.approx((1 - 4 / 30) ** 2 + 1 / 30**2, abs=0.01)


def compiled():
    """`rand_augment` as a training step of the backend would compile it."""
    function = lambda images, epoch, index: data.rand_augment(images, 5, epoch, index)  # noqa: E731
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    return function


@pytest.mark.parametrize("shape", [(16, 12, 3), (5, 9, 1)])
def test_tensors_and_compiled_steps_give_what_numpy_gives(shape):
    import tensorflow as tf

    images, index = images_of(shape, 64), np.arange(200, 264, dtype=np.int32)
    expected = data.rand_augment(images, 5, 6, index)
    assert expected.dtype == np.int32 and expected.min() >= 0 and expected.max() <= 255
    unknown = tf.TensorSpec((None, *shape), tf.int32), tf.TensorSpec((None,), tf.int32)
    in_pipeline = tf.function(
        lambda images, index: data.rand_augment(images, 5, 6, index), input_signature=unknown
    )
    arguments = [keras.ops.convert_to_tensor(array) for array in (images, np.int32(6), index)]
    for found in (in_pipeline(images, index), compiled()(*arguments)):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), expected)


def test_an_image_is_changed_alike_in_any_batch_and_differently_in_each_epoch():
    images, index = np.repeat(images_of((8, 8, 3), 1), 64, 0), np.arange(64)
    whole = data.rand_augment(images, 1, 2, index)
    order = np.random.RandomState(0).permutation(64)
    np.testing.assert_array_equal(data.rand_augment(images, 1, 2, index[order]), whole[order])
    np.testing.assert_array_equal(data.rand_augment(images[:3], 1, 2, index[:3]), whole[:3])
    for seed, epoch in ((1, 3), (2, 2)):
        assert (data.rand_augment(images, seed, epoch, index) != whole).any((1, 2, 3)).mean() > 0.5


def test_images_that_it_does_not_take_are_named():
    with pytest.raises(ValueError, match="1 or 3 channels and at most 8,388,608 pixels"):
        data.rand_augment(np.zeros((1, 4, 4, 2)), 0, 0, np.arange(1))
    with pytest.raises(ValueError, match="Received: images of 4000 x 4000 x 1"):
        data.rand_augment(np.broadcast_to(np.zeros(1), (1, 4000, 4000, 1)), 0, 0, np.arange(1))


X = images_of((16, 12, 3), 40).astype("uint8")
Y = np.arange(40) % 5


def images_in(batches):
    return np.concatenate([images.numpy() for images, _ in batches])


def test_a_pipeline_changes_levels_before_all_else():
    """And fills with what becomes 0, or with grey."""
    options = {"training": True, "augmentation": "none", "seed": 3, "epoch": 2, "batch_size": 16}
    index = np.concatenate([y.numpy() for _, y in data.pipeline(X, np.arange(40), **options)])
    found = images_in(data.pipeline(X, Y, rand_augment=7.0, mean=0.2, std=0.5, **options))
    levels = data.rand_augment(X, 3, 2, np.arange(40), 7.0, 51)[index]
    np.testing.assert_allclose(found, (levels / 255 - 0.2) / 0.5, rtol=1e-5, atol=1e-6)
    found = images_in(data.pipeline(X, Y, rand_augment=7.0, **options))
    levels = data.rand_augment(X, 3, 2, np.arange(40), 7.0, 128)[index]
    np.testing.assert_allclose(found, levels / 255, rtol=1e-6)
    # Levels of other kinds of number.
    for x in (X / np.float32(255), X.astype("uint16") * 257):
        again = images_in(data.pipeline(x, Y, rand_augment=7.0, **options))
        np.testing.assert_array_equal(again, found)
    tested = images_in(data.pipeline(X, Y, rand_augment=7.0))
    np.testing.assert_array_equal(tested, X / np.float32(255))


def test_images_of_other_sizes_are_resized_first():
    options = {"training": True, "seed": 3, "batch_size": 40, "image_size": 20}
    for name in ("none", "imagenet"):
        resized = images_in(data.pipeline(X, np.arange(40), augmentation=name, **options))
        index = next(iter(data.pipeline(X, np.arange(40), augmentation=name, **options)))[1].numpy()
        found = images_in(data.pipeline(X, Y, augmentation=name, rand_augment=6.0, **options))
        expected = data.rand_augment(resized * 255, 3, 0, index, 6.0)
        # Rounding before the division by 255 is not that after it.
        assert (np.abs(found * 255 - expected) < 0.01).mean() > 0.97


@pytest.mark.parametrize(
    ("x", "magnitude", "message"),
    [
        (X, 10.5, r"`rand_augment` must be a number in \[0, 10\]"),
        (X[..., :2], 7, "`rand_augment` takes images of 1 or 3 channels. Received: 2"),
        (X - 128.0, 7, r"`rand_augment` takes pixels in \[0, 1\].*Received: pixels in \[-128, 127"),
    ],
)
def test_wrong_images_and_magnitudes_are_named(x, magnitude, message):
    with pytest.raises(ValueError, match=message):
        data.pipeline(x, Y, training=True, rand_augment=magnitude)
