"""Windows over an image: no seam, every size, one shape."""

import numpy as np
import pytest
from support import ramp, run, set_sequential_weights

import keras_residual
from keras_residual.data import upscale


def network(scale=2):
    """A network of which an output pixel depends on no more than 8 pixels to each side."""
    model = keras_residual.EDSR(scale=scale, filters=4, depth=2, residual_scale=0.5)
    set_sequential_weights(model)
    return model


@pytest.mark.parametrize("size", [(40, 50), (21, 33), (24, 24), (5, 60)])
def test_windows_give_what_the_whole_image_gives(size):
    model = network()
    image = 0.5 + 0.5 * ramp(*size, 3)
    whole = run(model, image[None])[0]
    shapes = []

    def predict(batch):
        shapes.append(batch.shape)
        return model.predict_on_batch(batch)

    tiled = upscale(predict, image, 2, tile=24, overlap=8)
    np.testing.assert_allclose(tiled, whole, atol=2e-6)
    assert set(shapes) == {(1, min(24, size[0]), min(24, size[1]), 3)}


@pytest.mark.parametrize("size", [(16, 16), (16, 40), (40, 16), (1, 16), (17, 15), (24, 8)])
def test_sides_around_twice_the_overlap(size):
    """As the butterfly of Set5 at scale 4, whose 64 pixels are twice the usual overlap."""
    image = 0.5 + 0.5 * ramp(*size, 3)
    tiled = upscale(lambda x: x.repeat(2, axis=1).repeat(2, axis=2), image, 2, tile=24, overlap=8)
    np.testing.assert_array_equal(tiled, image.repeat(2, axis=0).repeat(2, axis=1))
    fixed = upscale(lambda x: x, image, 1, tile=24, overlap=8, fixed=True)
    np.testing.assert_array_equal(fixed, image)


def test_too_small_an_overlap_leaves_a_seam():
    model = network()
    image = 0.5 + 0.5 * ramp(40, 50, 3)
    whole = run(model, image[None])[0]
    tiled = upscale(model.predict_on_batch, image, 2, tile=24, overlap=1)
    assert np.abs(tiled - whole).max() > 1e-4


@pytest.mark.parametrize("size", [(40, 50), (9, 50), (3, 2)])
def test_fixed_windows_have_their_size(size):
    model = network()
    image = 0.5 + 0.5 * ramp(*size, 3)

    def predict(batch):
        assert batch.shape == (1, 24, 28, 3)
        return model.predict_on_batch(batch)

    tiled = upscale(predict, image, 2, tile=(24, 28), overlap=8, fixed=True)
    assert tiled.shape == (2 * size[0], 2 * size[1], 3)
    if min(size) > 28:
        np.testing.assert_allclose(tiled, run(model, image[None])[0], atol=2e-6)


def test_a_line_of_single_pixels():
    model = keras_residual.VDSR(scale=2, filters=4, depth=4, kernel_initializer="zeros")
    tiled = upscale(model.predict_on_batch, np.full((1, 5, 1), 0.25, np.float32), 2)
    np.testing.assert_allclose(tiled, np.full((2, 10, 1), 0.25), atol=1e-6)


def test_progress_counts_all_windows():
    seen = []
    enlarge = lambda batch: batch.repeat(2, 1).repeat(2, 2)  # noqa: E731
    image = ramp(30, 20, 1)
    result = upscale(enlarge, image, 2, 10, 2, progress=lambda *counts: seen.append(counts))
    np.testing.assert_array_equal(result, enlarge(image[None])[0])
    assert seen == [(n, 15) for n in range(1, 16)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile": 8, "overlap": 4}, "`overlap` must be less than half"),
        ({"scale": 3}, "`predict` must enlarge a window"),
        ({"tile": 0}, "`tile` must hold integers"),
        ({"overlap": -1}, "`overlap` must be a non-negative"),
    ],
)
def test_wrong_argument_is_named(arguments, message):
    options = {"scale": 2, "tile": 10, "overlap": 2, **arguments}
    with pytest.raises(ValueError, match=message):
        upscale(lambda batch: batch.repeat(2, 1).repeat(2, 2), ramp(12, 12, 1), **options)


@pytest.mark.parametrize(
    "options", [{"scale": 2**31}, {"tile": 2**31}, {"tile": (24, 24, 24)}, {"overlap": -1}]
)
def test_sizes_that_no_memory_holds_are_named(options):
    arguments = {"scale": 1, "tile": 24, "overlap": 8, **options}
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must "):
        upscale(lambda x: x, ramp(4, 4, 3), **arguments)
