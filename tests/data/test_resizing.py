"""Resizing for evaluation, and the random crops of ImageNet training."""

import numpy as np
import pytest

from keras_residual import data


def test_evaluation_resizes_and_crops_the_centre():
    # A ramp survives resizing, which tells where the crop was taken.
    ramp = np.broadcast_to(np.arange(320, dtype="float32")[:, None, None] / 320, (1, 320, 400, 3))
    split = data.pipeline(ramp, np.zeros(1, int), augmentation="imagenet", image_size=224)
    images = next(iter(split))[0].numpy()
    assert images.shape == (1, 224, 224, 3)
    # The shorter side becomes 256, and rows 16..239 of those stay: 320 / 256 rows of old each.
    expected = ((np.arange(16, 240) + 0.5) * 320 / 256 - 0.5) / 320
    np.testing.assert_allclose(images[0, :, 100, 0], expected, atol=2e-4)


def test_evaluation_may_crop_less():
    ramp = np.broadcast_to(np.arange(320, dtype="float32")[:, None, None] / 320, (1, 320, 400, 3))
    options = {"augmentation": "imagenet", "image_size": 224, "test_crop": 0.95}
    images = next(iter(data.pipeline(ramp, np.zeros(1, int), **options)))[0].numpy()
    # 224 / 0.95 is 236, of which rows 6..229 stay.
    expected = ((np.arange(6, 230) + 0.5) * 320 / 236 - 0.5) / 320
    np.testing.assert_allclose(images[0, :, 100, 0], expected, atol=2e-4)
    with pytest.raises(ValueError, match=r"`test_crop` must be a number in \[0.01, 1\]"):
        data.pipeline(ramp, np.zeros(1, int), test_crop=0)


def test_resizing_keeps_the_aspect_ratio():
    x = np.zeros((1, 20, 40, 1), "uint8")
    x[:, :, 10:30] = 255
    images = next(iter(data.pipeline(x, np.zeros(1, int), augmentation="none", image_size=10)))[0]
    # The outermost columns take in some of the black beyond them.
    np.testing.assert_allclose(images[:, :, 1:-1], np.ones((1, 10, 8, 1)), rtol=1e-6)
    np.testing.assert_allclose(images[:, :, 0], np.full((1, 10, 1), 0.875), rtol=1e-6)
    enlarged = next(
        iter(data.pipeline(x, np.zeros(1, int), augmentation="cifar", image_size=(40, 80)))
    )[0]
    assert enlarged.shape == (1, 40, 80, 1)


def windows_of(height, width, count):
    """Top, left, height, width and mirroring of crops, read off images of their coordinates."""
    grid = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    image = (np.stack(grid, -1) + 0.5).astype("float32")
    x = np.broadcast_to(image, (count, *image.shape))
    arguments = {"augmentation": "imagenet", "image_size": (height, width), "seed": 4}
    images = next(iter(data.pipeline(x, np.arange(count), count, True, **arguments)))[0].numpy()
    # Two pixels well inside tell scale and offset of each axis.
    rows, columns = images[:, :, width // 2, 0], images[:, height // 2, :, 1]
    result = []
    for ends, size in ((rows, height), (columns, width)):
        scale = (ends[:, 3 * size // 4] - ends[:, size // 4]) / (3 * size // 4 - size // 4)
        start = ends[:, size // 4] - scale * (size // 4 + 0.5)
        result += [
            np.where(scale < 0, start + scale * size, start),
            np.abs(scale) * size,
            scale < 0,
        ]
    top, tall, _, left, wide, mirrored = result
    return np.rint(np.stack([top, left, tall, wide])).astype(int), mirrored


def test_imagenet_crops_follow_the_recipe():
    (top, left, tall, wide), mirrored = windows_of(96, 96, 1500)
    area, ratio = tall * wide / 96**2, wide / tall
    assert 0.07 < area.min() < 0.1 and 0.97 < area.max() <= 1
    assert 0.73 < ratio.min() < 0.77 and 1.29 < ratio.max() < 1.37
    # The mean of 40,000 windows of torchvision 0.28's `RandomResizedCrop.get_params`; below 0.54,
    # as large windows of uneven ratio do not fit and are drawn again.
    np.testing.assert_allclose(area.mean(), 0.483, atol=0.02)
    assert (top >= 0).all() and (top + tall <= 96).all()
    assert (left >= 0).all() and (left + wide <= 96).all()
    room = left[96 - wide > 8] / (96 - wide)[96 - wide > 8]
    np.testing.assert_allclose(np.quantile(room, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.05)
    np.testing.assert_allclose(mirrored.mean(), 0.5, atol=0.04)


def test_imagenet_crop_of_a_strip_falls_back_to_the_centre():
    (top, left, tall, wide), _ = windows_of(16, 300, 40)
    # As torchvision 0.28 does: no window of 8 % of the area fits.
    for values, expected in ((top, 0), (left, 139), (tall, 16), (wide, 21)):
        np.testing.assert_array_equal(values, expected)
