"""Depth to space, its initializer, and enlargement by a cubic."""

import keras
import numpy as np
import pytest
from keras import ops
from support import ramp, run, to_numpy

from keras_residual.layers import ICNR, PixelShuffle
from keras_residual.layers.bicubic_upsampling import BicubicUpsampling, phase_weights
from keras_residual.layers.pixel_shuffle import depth_to_space


def shuffled(x, scale):
    """Depth to space in plain loops."""
    batch, height, width, channels = x.shape
    channels //= scale**2
    y = np.zeros((batch, scale * height, scale * width, channels), x.dtype)
    for row in range(scale):
        for column in range(scale):
            start = (row * scale + column) * channels
            y[:, row::scale, column::scale] = x[..., start : start + channels]
    return y


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_positions_come_row_by_row(scale):
    x = ramp(2, 3, 4, 2 * scale**2)
    np.testing.assert_array_equal(run(PixelShuffle(scale), x), shuffled(x, scale))
    np.testing.assert_array_equal(to_numpy(depth_to_space(x, scale)), shuffled(x, scale))


def test_one_and_three_axes():
    x = ramp(1, 5, 6)
    np.testing.assert_array_equal(run(PixelShuffle(3), x), x.reshape(1, 15, 2))
    volume = ramp(1, 2, 3, 4, 8)
    y = run(PixelShuffle(2), volume)
    assert y.shape == (1, 4, 6, 8, 1)
    np.testing.assert_array_equal(y[0, 1::2, ::2, 1::2, 0], volume[0, ..., 0b101])


def test_torch_has_position_and_channel_the_other_way_round(torch):
    x = ramp(1, 3, 4, 8)
    swapped = x.reshape(1, 3, 4, 4, 2).swapaxes(3, 4).reshape(1, 3, 4, 8)
    theirs = torch.pixel_shuffle(torch.from_numpy(np.moveaxis(swapped, -1, 1).copy()), 2)
    np.testing.assert_array_equal(run(PixelShuffle(2), x), np.moveaxis(theirs.numpy(), 1, -1))


@pytest.mark.parametrize("scale", [2, 3])
def test_icnr_starts_as_nearest_neighbours(scale):
    conv = keras.layers.Conv2D(3 * scale**2, 3, kernel_initializer=ICNR(scale, "glorot_uniform"))
    y = run(PixelShuffle(scale), conv(ramp(1, 6, 7, 4)))
    for row in range(scale):
        for column in range(scale):
            np.testing.assert_array_equal(y[:, row::scale, column::scale], y[:, ::scale, ::scale])
    assert np.unique(y).size > 50


def test_icnr_is_serialized():
    initializer = ICNR(2, keras.initializers.GlorotUniform(seed=3))
    config = keras.initializers.serialize(initializer)
    again = keras.initializers.deserialize(config)
    np.testing.assert_array_equal(
        to_numpy(again((3, 3, 2, 8))), to_numpy(initializer((3, 3, 2, 8)))
    )


@pytest.mark.parametrize("scale", [0, "2", None])
def test_icnr_names_a_wrong_scale(scale):
    with pytest.raises(ValueError, match=f"`scale`.*scale={scale!r}"):
        ICNR(scale)


def test_icnr_needs_filters_for_every_position():
    with pytest.raises(ValueError, match=r"divides.*Received: shape=\(3, 3, 2, 6\)"):
        ICNR(2)((3, 3, 2, 6))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_weights_keep_constants_lines_and_parabolas(scale):
    centres = (np.arange(scale) + 0.5) / scale - 0.5
    weights = phase_weights(scale)
    for power in range(3):
        taps = np.arange(-2.0, 3.0) ** power
        np.testing.assert_allclose(weights @ taps, centres**power, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_that_of_pillow_away_from_the_border(scale):
    image = pytest.importorskip("PIL.Image")
    x = ramp(1, 9, 8, 1)
    large = image.fromarray(x[0, ..., 0]).resize((8 * scale, 9 * scale), image.Resampling.BICUBIC)
    inner = slice(2 * scale, -2 * scale)
    y = run(BicubicUpsampling(scale), x)[0, inner, inner, 0]
    np.testing.assert_allclose(y, np.asarray(large)[inner, inner], atol=2e-6)


def test_bicubic_runs_over_any_axes_and_formats():
    assert run(BicubicUpsampling(2), ramp(1, 5, 3)).shape == (1, 10, 3)
    assert run(BicubicUpsampling(2), ramp(1, 2, 3, 4, 1)).shape == (1, 4, 6, 8, 1)
    x = ramp(1, 4, 5, 2)
    first = BicubicUpsampling(3, data_format="channels_first")
    np.testing.assert_allclose(
        np.moveaxis(run(first, np.moveaxis(x, -1, 1)), 1, -1),
        run(BicubicUpsampling(3), x),
        atol=1e-6,
    )
    unknown = keras.Input((None, None, 2))
    assert BicubicUpsampling(3)(unknown).shape == (None, None, None, 2)
    with pytest.raises(ValueError, match="at least 2"):
        BicubicUpsampling()(ops.ones((1, 1, 5, 3)))
