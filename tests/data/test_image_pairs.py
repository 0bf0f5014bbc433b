"""Pairs of patches: reduced as whole pictures are, drawn by number, from files or arrays."""

import numpy as np
import pytest

from keras_residual import data
from keras_residual.data import DatasetError, ImagePairs

image_module = pytest.importorskip("PIL.Image")


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def cubic(x):
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def along_columns(pixels, size):
    """One pass of MATLAB's imresize: a cubic that widens as the picture shrinks, mirrored ends."""
    old = len(pixels)
    scale = size / old
    narrow = min(scale, 1)
    centres = (np.arange(size) + 0.5) / scale - 0.5
    taps = np.floor(centres - 2 / narrow)[:, None] + np.arange(int(np.ceil(4 / narrow)) + 2)
    weights = cubic(narrow * (centres[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    taps = np.mod(taps.astype(int), 2 * old)
    mirrored = np.where(taps < old, taps, 2 * old - 1 - taps)
    sums = np.einsum("np,np...->n...", weights, pixels[mirrored].astype(float))
    return np.clip(np.floor(sums + 0.5), 0, 255).astype(np.uint8)


def imresize(pixels, height, width):
    """MATLAB's: the side with the smaller scale first, of equal ones the columns."""
    scales = height / pixels.shape[0], width / pixels.shape[1]
    for axis in np.argsort(scales, kind="stable"):
        lying = pixels.swapaxes(0, axis)
        pixels = along_columns(lying, (height, width)[axis]).swapaxes(0, axis)
    return pixels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reduction_is_matlabs_to_the_level(scale, channels):
    pixels = noise(12 * scale, 15 * scale, channels)
    np.testing.assert_array_equal(data.reduced(pixels, scale), imresize(pixels, 12, 15))
    flat = pixels // 64 * 64
    np.testing.assert_array_equal(data.reduced(flat, scale), imresize(flat, 12, 15))


@pytest.mark.parametrize("size", [(40, 60), (7, 5), (20, 60), (37, 11), (3, 90), (1, 1), (20, 30)])
def test_any_size_is_matlabs_to_the_level(size):
    pixels = noise(20, 30)
    np.testing.assert_array_equal(data.resized(pixels, *size[::-1]), imresize(pixels, *size))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_patch_is_reduced_as_in_the_whole_picture(scale):
    pairs = ImagePairs([noise(10 * scale, 13 * scale)], scale)
    large = pairs.large(0)
    small = data.reduced(large, scale)
    for top, left in ((0, 0), (3, 5), (6, 9)):
        low, high = pairs._cut(large, top, left, 4)
        np.testing.assert_array_equal(low, small[top : top + 4, left : left + 4])
        window = large[scale * top : scale * (top + 4), scale * left : scale * (left + 4)]
        np.testing.assert_array_equal(high, window)


def test_patches_match_and_come_in_eight_positions():
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4, :4], pixels[:4, 4:], pixels[4:, :4] = 60, 120, 180
    batches = ImagePairs([pixels], 2).patches(batch_size=64, patch_size=4)
    small, large = (part.numpy() for part in next(iter(batches)))
    assert small.shape == (64, 4, 4, 3) and large.shape == (64, 8, 8, 3)
    assert small.dtype == large.dtype == np.float32 and large.max() == np.float32(180 / 255)
    np.testing.assert_allclose(small[:, 0, 0], large[:, 0, 0], atol=0.1)
    assert len({item.tobytes() for item in large}) == 8


def test_patches_depend_on_the_number_of_the_step_alone():
    pairs = ImagePairs([noise(20, 24), noise(30, 16, seed=1)], 2)
    options = {"batch_size": 3, "patch_size": 5, "steps_per_epoch": 4, "seed": 7}
    batches = [part.numpy() for part, _ in pairs.patches(**options).take(9)]
    later = [part.numpy() for part, _ in pairs.patches(epoch=2, **options).take(1)]
    np.testing.assert_array_equal(later[0], batches[8])
    other = next(iter(pairs.patches(**{**options, "seed": 8})))[0].numpy()
    assert not np.array_equal(other, batches[0])
    assert len({batch.tobytes() for batch in batches}) == 9


def test_pictures_of_a_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    image_module.fromarray(noise(13, 10)).save(tmp_path / "b.png")
    image_module.fromarray(noise(9, 9)[..., 0]).save(tmp_path / "inner" / "a.webp", lossless=True)
    (tmp_path / "note.txt").write_text("no picture")
    pairs = ImagePairs(tmp_path, 4)
    assert len(pairs) == 2 and [pairs.name(index) for index in (0, 1)] == ["b.png", "a.webp"]
    assert pairs.large(0).shape == (12, 8, 3)
    grey = pairs.large(1)
    assert grey.shape == (8, 8, 3) and (grey[..., 0] == grey[..., 2]).all()
    small, large = pairs.pair(0)
    assert small.shape == (3, 2, 3) and large.max() <= 1
    train, held_out = ImagePairs(tmp_path, 4).hold_out(0.5)
    assert {train.name(0), held_out.name(0)} == {"b.png", "a.webp"}


def test_luminance_is_that_of_papers():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [255, 255, 255], [0, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(data.luminance(colours)[0, :, 0], [81, 145, 235, 16])
    pairs = ImagePairs([noise(12, 12)], 3, luminance=True)
    small, large = next(iter(pairs.patches(2, 4)))
    assert small.shape == (2, 4, 4, 1) and large.shape == (2, 12, 12, 1)
    skimage = pytest.importorskip("skimage")
    pixels = noise(5, 6)
    expected = skimage.color.rgb2ycbcr(pixels)[..., :1]
    np.testing.assert_allclose(data.luminance(pixels / 255) * 255, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: ImagePairs(folder / "nowhere", 2), "nowhere is not a folder"),
        (lambda folder: ImagePairs(folder, 2), "holds no PNG"),
        (lambda folder: ImagePairs([], 2), "`source` must be a folder"),
        (lambda folder: ImagePairs([np.zeros((4, 4, 3))], 2), "`source` must be a folder"),
        (lambda folder: ImagePairs([noise(4, 4)], 1), "`scale` must be an integer of at least 2"),
        (lambda folder: ImagePairs([noise(4, 4)], 2).patches(1, 3), "too small for patches"),
        (lambda folder: ImagePairs([noise(4, 4)], 2).hold_out(), "at least 2 pictures"),
        (lambda folder: data.reduced(noise(5, 4), 2), "`scale` must divide"),
    ],
)
def test_wrong_argument_is_named(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make(tmp_path)


def test_damaged_file_is_named(tmp_path):
    image_module.fromarray(noise(40, 40)).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "whole.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetError, match=r"whole\.png is damaged"):
        ImagePairs(tmp_path, 2).large(0)
