"""The layers of keyword networks against a few lines of NumPy, and the depthwise form of JAX."""

import keras
import numpy as np
import pytest
from support import ramp, run, set_sequential_weights, to_numpy

from keras_residual import layers
from keras_residual.export import fold
from keras_residual.layers._convolution import forms

X = np.random.default_rng(0).normal(2.0, 3.0, (6, 7, 8, 3)).astype("float32")


def test_each_sub_band_is_normalized_by_itself():
    layer = layers.SubSpectralNormalization(4, momentum=0.5)
    found = to_numpy(layer(X, training=True))
    for band in range(4):
        part = X[:, :, 2 * band : 2 * band + 2]
        mean, variance = part.mean((0, 1, 2)), part.var((0, 1, 2))
        expected = (part - mean) / np.sqrt(variance + 1e-5)
        np.testing.assert_allclose(found[:, :, 2 * band : 2 * band + 2], expected, atol=1e-5)
        moving = to_numpy(layer.moving_mean).reshape(4, 3)[band]
        np.testing.assert_allclose(moving, 0.5 * mean, rtol=1e-5)


def test_at_inference_each_sub_band_has_its_statistics():
    layer = layers.SubSpectralNormalization(2)
    layer.build(X.shape)
    set_sequential_weights(layer)
    gamma, beta, mean, variance = (to_numpy(w).reshape(2, 3).repeat(4, 0) for w in layer.weights)
    expected = gamma * (X - mean) / np.sqrt(variance + 1e-5) + beta
    np.testing.assert_allclose(run(layer, X), expected, rtol=1e-4, atol=1e-5)
    layer.trainable = False
    np.testing.assert_allclose(to_numpy(layer(X, training=True)), run(layer, X), atol=1e-6)


def test_sub_bands_must_divide_the_frequencies():
    with pytest.raises(ValueError, match=r"`sub_bands` must divide the 8 frequencies.*sub_bands=5"):
        layers.SubSpectralNormalization(5)(X)
    with pytest.raises(ValueError, match="sub_bands=3"):
        layers.BroadcastedResidualBlock(4, 2, sub_bands=3)(X)


def test_broadcasted_block_is_the_papers_sum():
    """Along time it computes on the mean over the frequencies, and adds that everywhere."""
    block = layers.BroadcastedResidualBlock(3, dilation_rate=2, sub_bands=2, dropout_rate=0.0)
    block.build(X.shape)
    set_sequential_weights(block)
    two = run(block.sub_spectral, run(block.frequency_conv, X))
    mean = two.mean(axis=2, keepdims=True)
    kernel = to_numpy(block.time_conv.conv.kernel)
    padded = np.pad(mean, [(0, 0), (2, 2), (0, 0), (0, 0)])
    along = sum(padded[:, 2 * tap : 2 * tap + 7] * kernel[tap, 0, 0] for tap in range(3))
    along = run(block.time_conv.norm, along)
    one = (along / (1 + np.exp(-along))) @ to_numpy(block.pointwise.conv.kernel)[0, 0]
    np.testing.assert_allclose(run(block, X), np.maximum(X + two + one, 0), rtol=1e-4, atol=1e-4)


def test_keyword_block_normalizes_behind_the_sum():
    block = layers.KeywordBlock(3)
    block.build(X.shape)
    set_sequential_weights(block)
    assert [w.name for w in block.norm1.weights] == ["moving_mean", "moving_variance"]
    inside = run(block.conv1, run(block.norm1, X))
    second = run(block.conv2, run(block.norm2, inside))
    assert inside.min() == second.min() == 0
    np.testing.assert_allclose(run(block, X), X + second, rtol=1e-5)


@pytest.mark.parametrize(("size", "strides", "dilation"), [((1, 3), (1, 2), 1), ((3, 1), 1, 2)])
def test_depthwise_form_equals_the_split_one(size, strides, dilation):
    kernel = keras.ops.convert_to_tensor(ramp(*size, 1, 3))
    mode = "same" if strides == 1 else "valid"
    options = (kernel, strides, mode, dilation)
    expected = forms.grouped_split(keras.ops.convert_to_tensor(X), *options, 3)
    found = forms.depthwise_shifted(keras.ops.convert_to_tensor(X), *options)
    np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-5, atol=1e-5)


def test_folding_scales_what_goes_into_sub_bands_alike():
    """Integers have one scale for all channels of a convolution's output."""
    block = layers.BroadcastedResidualBlock(3, sub_bands=2, dropout_rate=0.1)
    inputs = keras.Input(X.shape[1:])
    model = keras.Model(inputs, block(inputs))
    block.sub_spectral.gamma.assign([1e-3, 1.0, 50.0, 2e-3, 2.0, 100.0])
    folded = fold(model)
    np.testing.assert_allclose(run(folded, X), run(model, X), rtol=1e-4, atol=1e-4)
    scales = to_numpy(folded.layers[1].sub_spectral.gamma)
    assert scales.max() / scales.min() < 4
