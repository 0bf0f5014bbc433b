"""Augmentation against a reference written image by image."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_residual.data import augment

FUNCTIONS = {name: getattr(augment, name) for name in ("shift", "cifar", "cifar_cutout")}


def images_of(shape=(5, 8, 6, 2), dtype="uint8"):
    # No pixel is 0, so that what comes from outside the image is told apart.
    return np.random.RandomState(0).randint(1, 255, shape).astype(dtype)


def reference_crop_flip(images, top, left, flip):
    """Pads generously, slices, mirrors: one image after the other."""
    result = []
    for image, row, column, mirrored in zip(images, top, left, flip, strict=True):
        pad = 1 + max(abs(row), abs(column))
        height, width = image.shape[:2]
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
        window = padded[pad + row : pad + row + height, pad + column : pad + column + width]
        result.append(window[:, ::-1] if mirrored else window)
    return np.stack(result)


def reference_cutout(images, row, column, size):
    result = images.copy()
    for image, y, x in zip(result, row, column, strict=True):
        top, left = y - size // 2, x - size // 2
        image[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)] = 0
    return result


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*(st.integers(1, high) for high in (4, 7, 7, 3))),
    st.sampled_from(["uint8", "float32", "uint16"]),
    st.randoms(use_true_random=False),
)
def test_crop_flip_and_cutout_equal_the_reference(shape, dtype, random):
    images = images_of(shape, dtype)
    batch, height, width, _ = shape
    top, left = (np.array([random.randint(-9, 9) for _ in range(batch)]) for _ in "ab")
    flip = np.array([random.random() < 0.5 for _ in range(batch)])
    row = np.array([random.randrange(height) for _ in range(batch)])
    column = np.array([random.randrange(width) for _ in range(batch)])
    size = random.randint(1, 8)

    cropped = augment.crop_flip(images, top, left, flip)
    cut = augment.cutout(images, row, column, size)

    assert cropped.dtype == cut.dtype == images.dtype
    np.testing.assert_array_equal(cropped, reference_crop_flip(images, top, left, flip))
    np.testing.assert_array_equal(cut, reference_cutout(images, row, column, size))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_backend_and_compiled_results_equal_numpy(name, dtype):
    import tensorflow as tf

    images, index = images_of((7, 32, 24, 3), dtype), np.arange(100, 107)
    expected = FUNCTIONS[name](images, seed=3, epoch=5, index=index)
    call = tf.function(lambda x, e, i: FUNCTIONS[name](x, 3, e, i), jit_compile=True)

    eager = FUNCTIONS[name](tf.constant(images), 3, 5, tf.constant(index))
    compiled = call(tf.constant(images), tf.constant(5), tf.constant(index))

    np.testing.assert_array_equal(keras.ops.convert_to_numpy(eager), expected)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(compiled), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_result_of_an_image_depends_on_seed_epoch_and_index_alone(name):
    images = np.repeat(images_of((1, 32, 32, 3)), 64, axis=0)
    index = np.arange(64)
    whole = FUNCTIONS[name](images, 1, 2, index)

    order = np.random.RandomState(0).permutation(64)
    np.testing.assert_array_equal(FUNCTIONS[name](images, 1, 2, index[order]), whole[order])
    np.testing.assert_array_equal(FUNCTIONS[name](images[:3], 1, 2, index[:3]), whole[:3])
    assert (FUNCTIONS[name](images, 1, 3, index) != whole).any()
    assert (FUNCTIONS[name](images, 2, 2, index) != whole).any()


def test_shift_moves_by_an_eighth_at_most_and_never_mirrors():
    images = np.repeat(images_of((1, 32, 16, 1)), 400, axis=0)
    shifted = augment.shift(images, 0, 0, np.arange(400))
    windows = {
        (top, left): reference_crop_flip(images[:1], [top], [left], [False]).tobytes()
        for top in range(-4, 5)
        for left in range(-2, 3)
    }
    seen = {image[None].tobytes() for image in shifted}
    assert seen == set(windows.values())


def test_cifar_mirrors_half_and_shifts_evenly():
    count = 20_000
    image = np.zeros((count, 32, 32, 1), np.uint8)
    image[:, 16, 16] = 1  # mirrored, the pixel stands at column 15
    row, column = np.argwhere(augment.cifar(image, 7, 0, np.arange(count))[..., 0])[:, 1:].T
    assert set(row) == set(range(12, 21))
    # Nine offsets each, the mirrored ones one column to the left.
    histogram = np.bincount(column, minlength=32)[11:21] / count
    np.testing.assert_allclose(histogram, [1 / 18, *[1 / 9] * 8, 1 / 18], atol=0.012)
    np.testing.assert_allclose(np.bincount(row)[12:] / count, 1 / 9, atol=0.012)


def test_cutout_follows_the_crop():
    images = images_of((50, 32, 32, 1))
    cropped = augment.cifar(images, 0, 0, np.arange(50))
    cut = augment.cifar_cutout(images, 0, 0, np.arange(50))
    hidden = (cut == 0) & (cropped != 0)
    assert ((cut == cropped) | (cut == 0)).all()
    assert 0.3 * 256 < hidden.sum() / 50 < 256


def test_random_integers_are_uniform_and_independent():
    index = np.arange(40_000)
    drawn = [
        augment.random_integers(16, seed, epoch, index, draw)
        for seed, epoch, draw in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2**32 - 1, 0, 0)]
    ]
    for numbers in drawn:
        expected = len(index) / 16
        # 99.99 % quantile of chi-squared with 15 degrees of freedom.
        assert (((np.bincount(numbers, minlength=16) - expected) ** 2) / expected).sum() < 44.3
    correlation = np.corrcoef(np.stack(drawn))
    assert np.abs(correlation - np.eye(len(drawn))).max() < 0.025


def lowbias32(bits):
    """Wellons' hash as he wrote it, on unsigned integers."""
    bits = (bits ^ bits >> 16) * 0x7FEB352D % 2**32
    bits = (bits ^ bits >> 15) * 0x846CA68B % 2**32
    return bits ^ bits >> 16


@settings(max_examples=200)
@given(*[st.integers(0, 2**32 - 1)] * 2, st.integers(0, 2**31 - 1), st.integers(-2, 30))
def test_random_integers_are_the_hash_on_unsigned_integers(seed, epoch, index, draw):
    """They never change, so that a training begun with one version can be resumed with the next."""
    key = lowbias32(lowbias32(seed) ^ epoch)
    key = lowbias32((key + draw) % 2**32)
    bits = lowbias32(lowbias32((index + key) % 2**32) ^ key)
    drawn = augment.random_integers(1000, seed, epoch, np.array([index]), draw)
    assert drawn.dtype == np.int32
    assert drawn.tolist() == [bits % 2**31 % 1000]


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_shuffled_is_a_permutation_that_differs_between_epochs(count):
    orders = [augment.shuffled(np.arange(count), 0, epoch) for epoch in range(20)]
    for order in orders:
        assert sorted(order) == list(range(count))
    assert len({tuple(order) for order in orders}) == min(
        20, int(np.prod(range(1, min(count, 5) + 1)))
    )


def test_shuffled_places_evenly():
    first = np.array([augment.shuffled(np.arange(8), 0, epoch)[0] for epoch in range(4000)])
    np.testing.assert_allclose(np.bincount(first) / 4000, 1 / 8, atol=0.02)
