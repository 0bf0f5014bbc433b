"""StochasticDepth, SqueezeExcite and NormActivation against their formulas; initialization."""

import keras
import numpy as np
import pytest
from layers import reference
from support import gradients, ramp, run, set_sequential_weights, to_numpy

from keras_residual import layers, models
from keras_residual.layers import (
    NormActivation,
    ResidualBlock,
    ShakeDrop,
    ShakeShake,
    SqueezeExcite,
    StochasticDepth,
)
from keras_residual.layers.stochastic_depth import MeanOfPaths


def test_stochastic_depth_drops_whole_samples_and_keeps_the_expectation():
    x = 1 + np.abs(ramp(4000, 3, 2))
    outputs = run(StochasticDepth(0.3, seed=1), x, training=True)
    kept = outputs[:, 0, 0] != 0
    np.testing.assert_allclose(outputs[kept], x[kept] / 0.7, rtol=1e-6)
    assert not outputs[~kept].any()
    assert abs(kept.mean() - 0.7) < 0.03  # four standard deviations
    np.testing.assert_allclose(outputs.mean(), x.mean(), rtol=0.05)


def test_stochastic_depth_passes_the_input_at_inference():
    x = ramp(4, 3)
    np.testing.assert_array_equal(run(StochasticDepth(0.9), x), x)
    np.testing.assert_array_equal(run(StochasticDepth(0.0), x, training=True), x)


def test_stochastic_depth_repeats_its_seed():
    x = np.ones((50, 2), "float32")
    first, again, other = (run(StochasticDepth(0.5, seed), x, training=True) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shake_shake_mixes_forward_otherwise_than_backward():
    """Gastaldi 2017: α x + (1 - α) y forward, β and 1 - β backward, one draw a sample."""
    x = 1 + np.abs(ramp(4000, 2, 2))
    layer = ShakeShake(seed=1)
    mixed = keras.ops.convert_to_numpy(layer(x, second=np.zeros_like(x), training=True))
    alpha = (mixed / x).reshape(4000, -1)
    np.testing.assert_allclose(alpha.min(1), alpha.max(1), atol=1e-5)
    assert -0.001 < alpha.min() < 0.05 and 0.95 < alpha.max() < 1.001
    assert abs(alpha.mean() - 0.5) < 0.02

    class Halves(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.mix = ShakeShake(seed=1)
            self.built = True

        def call(self, inputs, training=None):
            return self.mix(inputs, second=0.0 * inputs, training=training)

    _, found = gradients(Halves(), x)
    beta = (found["inputs"] / ramp(*x.shape, offset=0.3)).reshape(4000, -1)[:, 0]
    assert -0.001 < beta.min() < 0.05 and 0.95 < beta.max() < 1.001
    assert abs(np.corrcoef(alpha[:, 0], beta)[0, 1]) < 0.1
    halves = keras.ops.convert_to_numpy(layer(x, second=3 * x))
    np.testing.assert_allclose(halves, 2 * x, rtol=1e-6)


def test_mean_of_paths_leaves_paths_out_but_never_all():
    x = np.ones((4000, 2), "float32")
    layer = MeanOfPaths(0.5, seed=1)
    mean = to_numpy(layer([x, 2 * x], training=True))[:, 0]
    # Both are kept, or one of them; if both are dropped, one is kept nevertheless.
    assert set(np.unique(mean)) == {1.0, 1.5, 2.0}
    shares = [(mean == value).mean() for value in (1.0, 1.5, 2.0)]
    np.testing.assert_allclose(shares, [0.375, 0.25, 0.375], atol=0.03)
    np.testing.assert_array_equal(to_numpy(layer([x, 2 * x])), 1.5 * x)


def test_fractal_block_is_the_expansion_of_the_paper():
    """f₁ = conv, f_{n+1}(x) = mean(conv(x), f_n(f_n(x))), means of means being one mean."""
    block = layers.FractalBlock(4, columns=3, strides=1)
    block.build((2, 4, 4, 3))
    set_sequential_weights(block)
    rows = [iter(block.column(column)) for column in range(3)]

    def ends(column, x):
        short = run(next(rows[column]), x)
        if column == 2:
            return [short]
        return [short, *ends(column + 1, np.mean(ends(column + 1, x), axis=0))]

    x = ramp(2, 4, 4, 3)
    np.testing.assert_allclose(run(block, x), np.mean(ends(0, x), axis=0), rtol=1e-5, atol=1e-6)


def test_shake_drop_scales_forward_otherwise_than_backward():
    """Yamada et al. 2019: b + α - b·α forward, b + β - b·β backward, one draw a sample."""
    x = 1 + np.abs(ramp(4000, 2, 2))
    outputs, found = gradients(ShakeDrop(0.5, seed=1), x)
    factors = (outputs / x).reshape(4000, -1)
    np.testing.assert_allclose(factors.min(1), factors.max(1), atol=1e-5)
    forward = factors[:, 0]
    backward = (found["inputs"] / ramp(*x.shape, offset=0.3)).reshape(4000, -1)[:, 0]
    kept = np.isclose(forward, 1, atol=1e-5)
    assert abs(kept.mean() - 0.5) < 0.03  # four standard deviations
    np.testing.assert_allclose(backward[kept], 1, atol=1e-4)
    alpha, beta = forward[~kept], backward[~kept]
    assert -1.001 < alpha.min() < -0.9 and 0.9 < alpha.max() < 1.001
    assert -0.001 < beta.min() < 0.1 and 0.9 < beta.max() < 1.001
    assert abs(np.corrcoef(alpha, beta)[0, 1]) < 0.1
    np.testing.assert_allclose(run(ShakeDrop(0.5), x), 0.5 * x, rtol=1e-6)
    np.testing.assert_array_equal(run(ShakeDrop(0.0), x, training=True), x)


@pytest.mark.parametrize("sizes", [(6,), (6, 5), (3, 4, 5)], ids=str)
def test_squeeze_excite_equals_numpy(sizes):
    x = ramp(2, *sizes, 8)
    layer = SqueezeExcite(0.25)
    layer.build(x.shape)
    set_sequential_weights(layer)
    w1, b1, w2, b2 = (to_numpy(weight) for weight in layer.weights)
    assert w1.shape == (8, 2)
    inner = reference.relu(x.mean(tuple(range(1, x.ndim - 1))) @ w1 + b1)
    gate = reference.sigmoid(inner @ w2 + b2).reshape(2, *[1] * len(sizes), 8)
    np.testing.assert_allclose(run(layer, x), x * gate, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "ratio", "divisor", "width"),
    [
        (64, 1 / 16, 1, 4),
        (64, 1 / 16, 8, 8),
        (96, 1 / 16, 8, 8),
        (8, 1 / 16, 1, 1),
        (72, 0.25, 8, 16),
    ],
)
def test_squeeze_excite_width(channels, ratio, divisor, width):
    layer = SqueezeExcite(ratio, divisor)
    layer.build((1, 4, 4, channels))
    assert layer.reduce.units == width


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (6, 2), (5, 1)])
def test_group_normalization_takes_the_most_groups_that_fit(channels, groups):
    x = ramp(2, 4, 3, channels)
    outputs = run(NormActivation("group", None), x)
    parts = x.reshape(2, 4 * 3, groups, channels // groups)
    mean, variance = parts.mean((1, 3), keepdims=True), parts.var((1, 3), keepdims=True)
    expected = (parts - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(outputs, expected.reshape(x.shape), atol=1e-4)


def test_layer_normalization_is_over_the_channels_of_each_position():
    x = ramp(2, 4, 3, 8)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(run(NormActivation("layer", None), x), expected, atol=1e-4)


def test_no_normalization_is_the_activation_alone():
    x = ramp(2, 4, 3)
    layer = NormActivation("none", "relu")
    np.testing.assert_array_equal(run(layer, x), reference.relu(x))
    assert not layer.weights


LAYERS_WITH_KERNELS = {
    "ResidualBlock": lambda **kwargs: ResidualBlock(4, (3, 3, 3), **kwargs),
    "squeezed": lambda **kwargs: ResidualBlock(4, se_ratio=1.0, **kwargs),
    "BottleneckBlock": lambda **kwargs: layers.BottleneckBlock(4, base_width=256, **kwargs),
    "DenseBlock": lambda **kwargs: layers.DenseBlock(3, 4, bottleneck=1, **kwargs),
    "ResidualStage": lambda **kwargs: layers.ResidualStage(ResidualBlock(4, **kwargs), 3),
    "Stem": lambda **kwargs: layers.Stem(8, "deep", **kwargs),
}


def test_global_drop_path_leaves_one_column_of_all_blocks():
    options = {"columns": 3, "global_drop_path": 1.0, "normalization": "none"}
    blocks = [layers.FractalBlock(4, column_seed=5, **options) for _ in range(2)]
    x = ramp(24, 4, 4, 4)

    def only(column):
        y = x
        for block in blocks:
            for convolution in block.column(column):
                y = convolution(y)
            y = keras.ops.max_pool(y, 2, 2)
        return to_numpy(y)

    for block in blocks:
        block.build(x.shape)
    for _ in range(2):
        y = to_numpy(blocks[1](blocks[0](x, training=True), training=True))
        found = np.stack([np.isclose(y, only(c), rtol=1e-4).all((1, 2, 3)) for c in range(3)])
        assert found.any(axis=0).all() and found.any(axis=1).all()
    share = layers.FractalBlock(4, columns=2, global_drop_path=0.5, column_seed=1)
    assert 0.3 < float(keras.ops.mean(share._chosen_columns(ramp(400, 4, 4, 4)))) * 2 < 0.7
    with pytest.raises(ValueError, match="`global_drop_path` needs fractal blocks"):
        models.FractalNet((4, 4), 2, global_drop_path=0.5, input_shape=(8, 8, 3), flat=True)


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("name", LAYERS_WITH_KERNELS)
def test_no_two_kernels_start_equal(name, seed):
    layer = LAYERS_WITH_KERNELS[name](kernel_initializer=keras.initializers.HeNormal(seed))
    layer.build((1, 4, 4, 4))
    kernels = [to_numpy(w) for w in layer.weights if w.name == "kernel"]
    for kernel in kernels:
        others = [k for k in kernels if k is not kernel and k.size == kernel.size]
        assert not any(np.array_equal(np.sort(kernel.ravel()), np.sort(k.ravel())) for k in others)


@pytest.mark.parametrize("name", LAYERS_WITH_KERNELS)
def test_a_global_seed_repeats_the_weights(name):
    def weights():
        keras.utils.set_random_seed(9)
        layer = LAYERS_WITH_KERNELS[name]()
        layer.build((1, 4, 4, 4))
        return layer.get_weights()

    for first, again in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(first, again)


def test_default_initialization_is_he_normal_by_fan_out():
    layer = layers.Convolution(256, 3)
    layer.build((1, 8, 8, 64))
    expected = np.sqrt(2 / (9 * 256))
    assert abs(to_numpy(layer.kernel).std() / expected - 1) < 0.01
    assert abs(to_numpy(layer.kernel)).max() > 3 * expected  # not truncated


def test_regularizer_reaches_every_kernel():
    layer = ResidualBlock(4, se_ratio=0.5, strides=2, kernel_regularizer=keras.regularizers.L2(0.1))
    layer.build((1, 4, 4, 3))
    kernels = [w for w in layer.weights if w.name == "kernel"]
    assert len(kernels) == 5
    expected = 0.1 * sum((to_numpy(kernel) ** 2).sum() for kernel in kernels)
    np.testing.assert_allclose(sum(map(to_numpy, layer.losses)), expected, rtol=1e-5)


@pytest.mark.parametrize("seed", [2**31 - 1, 2**31, 2**32 - 1])
def test_all_seeds_of_numpy_are_taken(seed):
    """PyTorch's backend of Keras takes 31 bits."""
    x = ramp(2, 3, 4)
    for make in (
        lambda: layers.StochasticDepth(0.5, seed=seed),
        lambda: layers.ResidualLSTM(4, 2, dropout=0.3, seed=seed),
    ):
        assert np.all(np.isfinite(to_numpy(make()(x, training=True))))
        assert make().get_config()["seed"] == seed
