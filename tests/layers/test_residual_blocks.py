"""The residual blocks against their formulas in NumPy."""

import numpy as np
import pytest
from layers import reference
from support import ramp, run, set_sequential_weights, to_numpy

from keras_residual.layers import BottleneckBlock, ResidualBlock

X = ramp(2, 6, 5, 8)


class Formula:
    """Evaluates the sublayers of a block in training mode, by their names."""

    def __init__(self, block):
        self.weights = {w.path.split("/", 1)[1]: to_numpy(w) for w in block.weights}

    def conv(self, x, path, strides=1, groups=1):
        return reference.convolve(x, self.weights[f"{path}/kernel"], strides, groups=groups)

    def norm(self, x, path):
        gamma, beta = self.weights[f"{path}/gamma"], self.weights[f"{path}/beta"]
        return reference.batch_norm(x, gamma, beta, 1e-5)[0]

    def conv_norm(self, x, name, strides=1, groups=1):
        return self.norm(self.conv(x, f"{name}/conv", strides, groups), f"{name}/norm")

    def dense(self, x, name):
        return x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]


def make(block_class, *arguments, x=X, **options):
    block = block_class(*arguments, **options)
    block.build(x.shape)
    set_sequential_weights(block)
    return block, Formula(block)


def assert_equals(block, expected, x=X):
    np.testing.assert_allclose(run(block, x, training=True), expected, rtol=1e-4, atol=1e-4)


def test_identity():
    block, f = make(ResidualBlock, 8)
    y = f.conv_norm(reference.relu(f.conv_norm(X, "conv1")), "conv2")
    assert_equals(block, reference.relu(y + X))


def test_projection():
    block, f = make(ResidualBlock, 6, strides=2)
    y = f.conv_norm(reference.relu(f.conv_norm(X, "conv1", 2)), "conv2")
    assert_equals(block, reference.relu(y + f.conv_norm(X, "shortcut/conv", 2)))


def test_plain_network_has_no_shortcut():
    block, f = make(ResidualBlock, 8, shortcut="none")
    y = f.conv_norm(reference.relu(f.conv_norm(X, "conv1")), "conv2")
    assert_equals(block, reference.relu(y))


@pytest.mark.parametrize(("strided_conv", "strides"), [("conv1", (2, 1)), ("conv2", (1, 2))])
def test_bottleneck_with_groups(strided_conv, strides):
    block, f = make(BottleneckBlock, 16, 2, strides=2, strided_conv=strided_conv)
    y = reference.relu(f.conv_norm(X, "conv1", strides[0]))
    y = reference.relu(f.conv_norm(y, "conv2", strides[1], groups=2))
    y = f.conv_norm(y, "conv3")
    assert_equals(block, reference.relu(y + f.conv_norm(X, "shortcut/conv", 2)))


@pytest.mark.parametrize("share", [False, True])
def test_preactivated_identity(share):
    """Only the first unit of a network shares the normalized input with an identity."""
    block, f = make(ResidualBlock, 8, activation_order="pre", share_preactivation=share)
    activated = reference.relu(f.norm(X, "norm1/norm"))
    y = f.conv(reference.relu(f.conv_norm(activated, "conv1")), "conv2/conv")
    assert_equals(block, y + (activated if share else X))


def test_preactivated_projection_takes_the_normalized_input():
    block, f = make(ResidualBlock, 6, strides=2, activation_order="pre")
    activated = reference.relu(f.norm(X, "norm1/norm"))
    y = f.conv(reference.relu(f.conv_norm(activated, "conv1", 2)), "conv2/conv")
    assert_equals(block, y + f.conv(activated, "shortcut/conv/conv", 2))


def test_preactivated_padding_takes_the_raw_input():
    block, f = make(ResidualBlock, 12, strides=2, activation_order="pre", shortcut="pad")
    activated = reference.relu(f.norm(X, "norm1/norm"))
    y = f.conv(reference.relu(f.conv_norm(activated, "conv1", 2)), "conv2/conv")
    padded = np.pad(X[:, ::2, ::2], [(0, 0)] * 3 + [(2, 2)])
    assert_equals(block, y + padded)


def test_squeeze_and_excitation_scales_before_the_sum():
    block, f = make(ResidualBlock, 8, se_ratio=0.5)
    y = f.conv_norm(reference.relu(f.conv_norm(X, "conv1")), "conv2")
    inner = reference.relu(f.dense(y.mean((1, 2)), "squeeze_excite/reduce"))
    gate = reference.sigmoid(f.dense(inner, "squeeze_excite/expand"))
    assert_equals(block, reference.relu(y * gate[:, None, None] + X))


def test_three_kernels_of_a_time_series_block():
    x = ramp(2, 11, 3)
    block, f = make(ResidualBlock, 4, (8, 5, 3), normalize_identity=True, x=x)
    y = reference.relu(f.conv_norm(x, "conv1"))
    y = f.conv_norm(reference.relu(f.conv_norm(y, "conv2")), "conv3")
    assert_equals(block, reference.relu(y + f.conv_norm(x, "shortcut/conv")), x)


@pytest.mark.parametrize("normalization", ["batch", "group", "layer", "none"])
@pytest.mark.parametrize("order", ["post", "pre"])
@pytest.mark.parametrize("block_class", [ResidualBlock, BottleneckBlock])
def test_zero_init_residual_starts_as_the_shortcut(block_class, order, normalization):
    block = block_class(
        8, zero_init_residual=True, activation_order=order, normalization=normalization
    )
    expected = reference.relu(X) if order == "post" else X
    np.testing.assert_array_equal(run(block, X, training=True), expected)


@pytest.mark.parametrize("strides", [1, 2])
def test_dilation_keeps_the_grid(strides):
    block = ResidualBlock(8, strides=strides, dilation_rate=2)
    assert block.conv1.conv.dilation_rate == (2 if strides == 1 else 1)
    assert block.conv2.conv.dilation_rate == 2
    assert run(block, X).shape == (2, 6 // strides, -(-5 // strides), 8)


def test_conv_bias_adds_one_to_each_convolution_without_normalization():
    for bias in (False, True):
        block, _ = make(ResidualBlock, 6, strides=2, activation_order="pre", conv_bias=bias)
        names = {w.path.split("/", 1)[1] for w in block.weights if w.name == "bias"}
        assert names == ({"conv2/conv/bias", "shortcut/conv/conv/bias"} if bias else set())


def test_drop_path_rate_of_the_call_replaces_that_of_the_block():
    block = ResidualBlock(8, drop_path_rate=0.5, normalization="none")
    expected = run(block, X)
    np.testing.assert_allclose(
        to_numpy(block(X, training=True, drop_path_rate=0.0)), expected, atol=1e-6
    )
    np.testing.assert_array_equal(
        to_numpy(block(X, training=True, drop_path_rate=0.9999999)), reference.relu(X)
    )


@pytest.mark.parametrize("shortcut", ["projection", "pad", "pooled"])
def test_strides_and_kernels_for_each_axis(shortcut):
    """A block without a kernel over time does to each frame what a 2-D block does."""
    x = ramp(2, 3, 6, 5, 4)
    flat = ResidualBlock(6, strides=2, shortcut=shortcut)
    expected = run(flat, x.reshape(6, 6, 5, 4)).reshape(2, 3, 3, 3, 6)
    block = ResidualBlock(6, ((1, 3, 3), (1, 3, 3)), strides=(1, 2, 2), shortcut=shortcut)
    block.build(x.shape)
    block.set_weights(
        [w.reshape(v.shape) for w, v in zip(flat.get_weights(), block.weights, strict=True)]
    )
    np.testing.assert_allclose(run(block, x), expected, atol=1e-5)
    assert block.compute_output_shape(x.shape) == expected.shape
