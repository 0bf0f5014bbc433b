"""Highway layers: what they compute, how they start, and the published sizes of dense ones."""

import keras
import numpy as np
import pytest
from support import ramp, run, set_sequential_weights

from keras_residual import analysis, models
from keras_residual.layers import Highway, HighwayBlock


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_dense_highway_is_the_equation_of_the_paper():
    layer, x = Highway(activation="tanh", transform_bias=-2.0), ramp(3, 4)
    layer.build((None, 4))
    hidden, gate = layer.hidden.get_weights(), layer.gate.get_weights()
    np.testing.assert_array_equal(gate[1], [-2.0] * 4)
    t = sigmoid(x @ gate[0] + gate[1])
    expected = t * np.tanh(x @ hidden[0] + hidden[1]) + (1 - t) * x
    np.testing.assert_allclose(run(layer, x), expected, rtol=1e-5)
    assert not np.array_equal(hidden[0], gate[0])


def test_a_convolutional_highway_of_size_1_is_a_dense_one():
    block, dense, x = HighwayBlock(kernel_size=1), Highway(), ramp(2, 3, 3, 4)
    for layer in (block, dense):
        layer.build(x.shape)
    assert set(block.gate.get_weights()[1]) == {-2.0}
    set_sequential_weights(block)
    dense.set_weights([w.reshape(w.shape[-2:]) if w.ndim > 1 else w for w in block.get_weights()])
    np.testing.assert_allclose(run(block, x), run(dense, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrong", [(None,), (3,), (2, None)])
def test_a_dense_highway_needs_known_features(wrong):
    with pytest.raises(ValueError, match="known number of features"):
        Highway().build(wrong)


@pytest.mark.parametrize("depth", [10, 20, 50, 100])
def test_dense_networks_of_the_paper(depth):
    """A dense layer of 50 units, highway layers of some 5,000 weights each, a softmax."""
    layers = [keras.Input((784,)), keras.layers.Dense(50, "relu")]
    layers += [Highway(transform_bias=-1.0) for _ in range(depth - 1)]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    assert model.count_params() == 785 * 50 + (depth - 1) * 2 * 51 * 50 + 51 * 10


def test_a_closed_gate_lets_the_input_pass():
    model = models.HighwayNet((4, 6), (3, 2), input_shape=(8, 8, 3), classes=2)
    set_sequential_weights(model)
    blocks = analysis.blocks_of(model)
    assert [block.name for block in blocks] == [
        "highway1/unit1",
        "highway1/unit2",
        "highway2/unit1",
    ]
    assert {block.kind for block in blocks} == {"highway"}
    unit, x = model.get_layer("highway1").units[0], ramp(2, 4, 4, 4)
    assert np.abs(run(unit, x) - x).max() > 1e-2
    blocks[0].set_weights(blocks[0].deleted_weights())
    np.testing.assert_array_equal(run(unit, x), x)
    with pytest.raises(ValueError, match="must have residual blocks"):
        analysis.residual_strength(model, ramp(2, 8, 8, 3))
