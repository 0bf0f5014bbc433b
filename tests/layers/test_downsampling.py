"""BlurPool, Shortcut, Stem and DenseTransition against NumPy, on even and odd sizes."""

import math

import keras
import numpy as np
import pytest
from layers import reference
from support import ramp, run, set_sequential_weights, to_numpy

from keras_residual.layers import BlurPool, DenseTransition, Shortcut, Stem

SIZES = [(9,), (8, 7), (7, 6), (5, 4, 7)]


def blur(x, taps, strides):
    row = np.array([math.comb(taps - 1, tap) for tap in range(taps)]) / 2.0 ** (taps - 1)
    border = [taps // 2] * (x.ndim - 2)
    view = reference.windows(
        reference.pad(x, border, border, "reflect"), [taps] * len(border), strides
    )
    for _ in border:
        view = view @ row
    return view


def max_pool(x, strides):
    border = [1] * (x.ndim - 2)
    padded = reference.pad(x, border, border, constant_values=-np.inf)
    view = reference.windows(padded, [3] * len(border), strides)
    return view.max(tuple(range(x.ndim, view.ndim)))


def average_pool(x, strides):
    """The mean of each window without the border."""
    missing = [-size % strides for size in x.shape[1:-1]]
    padded = reference.pad(x, [0] * len(missing), missing, constant_values=np.nan)
    view = reference.windows(padded, [strides] * len(missing), strides)
    return np.nanmean(view, tuple(range(x.ndim, view.ndim)))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("kernel_size", "strides"), [(3, 2), (5, 2), (7, 1), (3, 3)])
def test_blur_pool_equals_numpy(sizes, kernel_size, strides):
    x = ramp(2, *sizes, 3)
    outputs = run(BlurPool(strides, kernel_size), x)
    np.testing.assert_allclose(outputs, blur(x, kernel_size, strides), atol=1e-6)


def test_blur_pool_keeps_a_constant():
    np.testing.assert_allclose(run(BlurPool(), np.ones((1, 7, 8, 2), "float32")), 1.0)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_pad_shortcut_puts_zeros_on_both_sides(sizes):
    x = ramp(2, *sizes, 3)
    outputs = run(Shortcut(8, strides=2, kind="pad"), x)
    every_second = x[(slice(None), *[slice(None, None, 2)] * len(sizes))]
    np.testing.assert_array_equal(outputs[..., 2:5], every_second)
    assert not outputs[..., :2].any() and not outputs[..., 5:].any()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("strides", [1, 2])
def test_pooled_shortcut_averages_before_it_projects(sizes, strides):
    x = ramp(2, *sizes, 3)
    layer = Shortcut(5, strides, "pooled", normalization="none")
    outputs = run(layer, x)
    (kernel,) = (to_numpy(weight) for weight in layer.weights)
    pooled = average_pool(x, strides) if strides > 1 else x
    np.testing.assert_allclose(outputs, pooled @ kernel.reshape(3, 5), atol=1e-5)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_projection_takes_every_second_position(sizes):
    x = ramp(2, *sizes, 3)
    layer = Shortcut(5, 2, normalization="none")
    outputs = run(layer, x)
    kernel = to_numpy(layer.weights[0]).reshape(3, 5)
    every_second = x[(slice(None), *[slice(None, None, 2)] * len(sizes))]
    np.testing.assert_allclose(outputs, every_second @ kernel, atol=1e-5)


def test_equal_shapes_have_no_weights():
    for kind in ("projection", "pad", "pooled"):
        layer = Shortcut(4, kind=kind)
        x = ramp(2, 5, 4)
        np.testing.assert_array_equal(run(layer, x), x)
        assert not layer.weights


def test_no_shortcut_is_zero():
    outputs = run(Shortcut(5, 2, "none"), ramp(2, 5, 4, 3))
    assert outputs.shape == (2, 3, 2, 5) and not outputs.any()


def test_normalized_identity():
    x = ramp(2, 5, 4)
    layer = Shortcut(4, normalize_identity=True)
    layer.build(x.shape)
    set_sequential_weights(layer)
    gamma, beta = (to_numpy(weight) for weight in layer.trainable_weights)
    expected = reference.batch_norm(x, gamma, beta, 1e-5)[0]
    np.testing.assert_allclose(run(layer, x, training=True), expected, atol=1e-5)


def stem(x, activation, preactivated=False, **arguments):
    """Runs a stem of one 7×7 convolution, and NumPy's convolution and activation."""
    layer = Stem(
        5, normalization="none", activation=activation, preactivated=preactivated, **arguments
    )
    layer.build(x.shape)
    set_sequential_weights(layer)
    kernel, bias = (to_numpy(weight) for weight in layer.weights)
    convolved = reference.convolve(x, kernel, strides=2) + bias
    return run(layer, x), convolved if preactivated else activation_of(activation)(convolved)


def activation_of(name):
    function = keras.activations.get(name)
    return lambda x: to_numpy(function(keras.ops.convert_to_tensor(x)))


@pytest.mark.parametrize("sizes", [(17,), (16, 15), (13, 18), (9, 8, 11)], ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
@pytest.mark.parametrize("preactivated", [False, True])
def test_stem_pools_without_its_border(sizes, activation, preactivated):
    outputs, activated = stem(ramp(2, *sizes, 3), activation, preactivated)
    np.testing.assert_allclose(outputs, max_pool(activated, 2), atol=1e-5)


def test_stem_with_zeros_in_the_border():
    outputs, convolved = stem(ramp(2, 14, 13, 3), "relu", True, pool_padding="zero")
    padded = reference.pad(convolved, [1, 1], [1, 1])
    expected = reference.windows(padded, [3, 3], 2).max((-1, -2))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert not np.allclose(outputs, max_pool(convolved, 2))


def test_blurred_stem():
    outputs, activated = stem(ramp(2, 17, 16, 3), "relu", blur_pool=True)
    np.testing.assert_allclose(outputs, blur(max_pool(activated, 1), 3, 2), atol=1e-5)


def test_stem_without_pool():
    outputs, activated = stem(ramp(2, 17, 16, 3), "relu", pool=False)
    np.testing.assert_allclose(outputs, activated, atol=1e-5)


@pytest.mark.parametrize("sizes", [(17,), (16, 15), (7, 18), (9, 8, 11)], ids=str)
def test_stem_over_blocks_is_the_same_function(sizes):
    x = ramp(2, *sizes, 3)
    expected, _ = stem(x, "relu")
    outputs, _ = stem(x, "relu", space_to_depth=True)
    np.testing.assert_allclose(outputs, expected, atol=2e-6)


@pytest.mark.parametrize("kind", ["deep", "conv3", "none"])
def test_other_stems_have_their_strides(kind):
    layer = Stem(6, kind, pool=False)
    channels = 3 if kind == "none" else 6
    sizes = (9, 8) if kind == "deep" else (17, 16)
    assert run(layer, ramp(2, 17, 16, 3)).shape == (2, *sizes, channels)
    assert layer.total_strides == (2 if kind == "deep" else 1)


@pytest.mark.parametrize("sizes", [(8, 6), (9, 7)], ids=str)
def test_transition_drops_the_last_odd_row(sizes):
    x = ramp(2, *sizes, 4)
    layer = DenseTransition(normalization="none", activation=None)
    outputs = run(layer, x)
    kernel, bias = (to_numpy(weight) for weight in layer.weights)
    height, width = (size // 2 * 2 for size in sizes)
    pooled = average_pool(x[:, :height, :width], 2)
    np.testing.assert_allclose(outputs, pooled @ kernel.reshape(4, 2) + bias, atol=1e-5)


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize(("size", "strides"), [(3, 2), (3, 1), (2, 2), (2, 3)])
def test_maxima_of_jax_have_the_gradients_of_its_own(shape, size, strides):
    jax = pytest.importorskip("jax", reason="JAX, whose pooling is tested, is not installed")
    from jax.test_util import check_grads

    from keras_residual.layers._convolution.jax import max_pool_jax

    window, steps = [(1, *[number] * len(shape), 1) for number in (size, strides)]

    def own(x):
        return jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, steps, "valid")

    # Many values are equal: the first of them has the gradient.
    x = np.round(3 * ramp(2, *shape, 3)).astype("float32")
    expected, own_gradient = jax.vjp(own, x)
    outputs, gradient = jax.vjp(lambda x: max_pool_jax(x, size, strides), x)
    np.testing.assert_array_equal(outputs, expected)
    weights = ramp(*outputs.shape)
    np.testing.assert_allclose(gradient(weights)[0], own_gradient(weights)[0], atol=1e-6)
    apart = np.random.default_rng(0).permutation(x.size).reshape(x.shape) / np.float32(x.size)
    check_grads(lambda x: max_pool_jax(x, size, strides) ** 2, [apart], order=2, eps=1e-4, atol=0.1)
