"""Changes of pixels against Pillow's, level by level."""

import numpy as np
import pytest
from data.pillow import by_pillow, images_of
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from keras_residual.data.batches import pixels
from keras_residual.data.batches.pixels import ONE, PIXEL

SHAPES = [(9, 14, 3), (9, 14, 1), (1, 1, 3), (2, 7, 1), (3, 3, 3), (24, 16, 3)]


def matrices():
    unit = st.integers(-2 * ONE, 2 * ONE)
    far = st.integers(-20 * PIXEL, 20 * PIXEL)
    return st.tuples(unit, unit, far, unit, unit, far)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SHAPES), matrices(), st.integers(0, 255))
def test_affine(shape, matrix, level):
    images, scale = images_of(shape), np.array([ONE, ONE, PIXEL] * 2)
    fill = (level,) * shape[-1] if shape[-1] > 1 else level
    expected = by_pillow(
        lambda image: image.transform(
            image.size, Image.Transform.AFFINE, tuple(np.array(matrix) / scale),
            Image.Resampling.BILINEAR, fillcolor=fill,
        ),
        images,
    )  # fmt: skip
    found = pixels.affine(images, np.array([matrix] * len(images), np.int32), np.array(level))
    np.testing.assert_array_equal(found, expected)


def test_affine_by_nothing_changes_nothing():
    images = images_of((9, 14, 3))
    matrix = np.array([[ONE, 0, 0, 0, ONE, 0]] * 4, np.int32)
    np.testing.assert_array_equal(pixels.affine(images, matrix, np.array([1, 2, 3])), images)


ENHANCED = {
    ImageEnhance.Color: pixels.grey,
    ImageEnhance.Sharpness: pixels.smooth,
    ImageEnhance.Contrast: lambda images: pixels.mean_brightness(images)[:, None, None, None],
    ImageEnhance.Brightness: np.zeros_like,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ENHANCED)
def test_blends(kind, shape):
    images = images_of(shape)
    for factor in (0, 103, 500, 777, ONE, ONE + 1, 1500, 1946):
        found = pixels.blend(ENHANCED[kind](images), images, np.int32(factor))
        expected = by_pillow(lambda image, by=factor: kind(image).enhance(by / ONE), images)
        np.testing.assert_array_equal(found, expected, err_msg=str(factor))


@pytest.mark.parametrize("shape", SHAPES)
def test_grey_and_smooth(shape):
    images = images_of(shape)
    grey = by_pillow(lambda image: image.convert("L"), images)
    np.testing.assert_array_equal(pixels.grey(images), grey)
    smooth = by_pillow(lambda image: image.filter(ImageFilter.SMOOTH), images)
    np.testing.assert_array_equal(pixels.smooth(images), smooth)


@pytest.mark.parametrize("shape", [*SHAPES, (70, 60, 3)])
def test_equalize(shape):
    images = images_of(shape)
    found = pixels.lookup(images, pixels.equalizing(pixels.histogram(images)))
    np.testing.assert_array_equal(found, by_pillow(ImageOps.equalize, images))


def test_autocontrast():
    """All pairs of a darkest and a lightest level; Pillow computes in floating point."""
    low, high = (bound.ravel() for bound in np.mgrid[:256, :256])
    low, high = low[low <= high], high[low <= high]
    ramps = np.clip(np.arange(256)[None], low[:, None], high[:, None])[:, None, :, None]
    found = pixels.stretching(pixels.histogram(ramps))[:, 0]
    levels = np.arange(256)[None]
    for table, first, last in zip(found, low, high, strict=True):
        inside = levels[0, first : last + 1]
        expected = (inside - first) * 255 / max(last - first, 1) if last > first else inside
        np.testing.assert_array_equal(table[first : last + 1], np.floor(expected))
    images = images_of((24, 16, 3))
    ours = pixels.lookup(images, pixels.stretching(pixels.histogram(images)))
    theirs = by_pillow(ImageOps.autocontrast, images)
    assert set(np.unique(ours - theirs)) <= {0, 1} and (ours == theirs).mean() > 0.95
