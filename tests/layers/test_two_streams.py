"""Blocks of two streams against the equations of Targ et al. 2016, and what they refuse."""

import keras
import numpy as np
import pytest
from support import ramp, run, set_sequential_weights

from keras_residual import layers
from keras_residual.models.registry import find_variant

OPTIONS = {"kernel_sizes": (3,), "activation_order": "outer", "shortcut": "half"}


@pytest.mark.parametrize(("filters", "strides"), [(4, 1), (6, 2)])
def test_a_block_is_four_convolutions_between_two_streams(filters, strides):
    block, x = layers.ResidualBlock(filters, strides=strides, **OPTIONS), ramp(2, 6, 6, 4)
    block.build(x.shape)
    set_sequential_weights(block)
    half, inner = filters // 2, x.shape[-1] // 2
    kernel = block.conv1.conv.kernel
    streams = {"residual": x[..., :inner], "transient": x[..., inner:]}
    sides = {"residual": (slice(inner), slice(half))}
    sides["transient"] = (slice(inner, None), slice(half, None))

    def convolved(source, target):
        part = kernel[:, :, sides[source][0], sides[target][1]]
        padded = np.pad(streams[source], ((0, 0), (1, 1), (1, 1), (0, 0)))
        return keras.ops.conv(padded, part, strides=strides)

    passed = keras.ops.convert_to_tensor(streams["residual"])
    if strides > 1:
        passed = keras.ops.conv(passed, block.shortcut.conv.conv.kernel, strides=strides)
    residual = convolved("residual", "residual") + convolved("transient", "residual") + passed
    transient = convolved("transient", "transient") + convolved("residual", "transient")
    sums = keras.ops.concatenate([residual, transient], axis=-1)
    expected = keras.ops.relu(block.sum_norm.norm(sums))
    expected = keras.ops.convert_to_numpy(expected)
    np.testing.assert_allclose(run(block, x), expected, rtol=1e-5, atol=1e-5)
    assert expected.max() > 0


def test_the_published_network_is_a_row_of_resnet():
    architecture = find_variant("WideRiR18").architecture
    assert (architecture.depths, architecture.widths) == ((4, 6, 6), (96, 192, 384))
    assert 1 + sum(architecture.depths) + 1 == 18


@pytest.mark.parametrize(("channels", "filters"), [(3, 4), (4, 5)])
def test_streams_are_halves(channels, filters):
    with pytest.raises(ValueError, match=r'"half".* even numbers of channels.*filters='):
        layers.ResidualBlock(filters, **OPTIONS).build((None, 6, 6, channels))


def test_a_normalized_identity_has_no_effect_on_streams():
    with pytest.raises(ValueError, match="`normalize_identity` has no effect"):
        layers.ResidualBlock(4, normalize_identity=True, **OPTIONS)
