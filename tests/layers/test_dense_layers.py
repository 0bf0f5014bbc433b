"""Dense units, blocks and transitions against NumPy, and the memory-efficient form."""

import keras
import numpy as np
import pytest
from layers import reference
from support import assert_same_step, ramp, run, set_sequential_weights, to_numpy

from keras_residual.layers import DenseBlock, DenseUnit

X = ramp(2, 6, 5, 4)


def make(layer, x=X):
    layer.build(x.shape)
    set_sequential_weights(layer)
    return layer


def activated(x, norm):
    gamma, beta = (to_numpy(weight) for weight in norm.trainable_weights)
    return reference.relu(reference.batch_norm(x, gamma, beta, 1e-5)[0])


def unit_formula(x, unit):
    x = activated(x, unit.norm1)
    if unit.conv1 is not None:
        x = reference.convolve(x, to_numpy(unit.conv1.conv.kernel))
        x = activated(x, unit.conv1.norm)
    return reference.convolve(x, to_numpy(unit.conv2.conv.kernel))


@pytest.mark.parametrize("bottleneck", [0, 2])
def test_unit_equals_numpy(bottleneck):
    unit = make(DenseUnit(3, bottleneck))
    np.testing.assert_allclose(run(unit, X, training=True), unit_formula(X, unit), atol=1e-4)


def test_every_unit_sees_all_earlier_features():
    block = make(DenseBlock(3, 2, bottleneck=2))
    features = X
    for unit in block.units:
        features = np.concatenate([features, unit_formula(features, unit)], axis=-1)
    np.testing.assert_allclose(run(block, X, training=True), features, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"normalization": "group"}, {"bottleneck": 0}], ids=str)
def test_rematerialized_block_gives_the_same_numbers(options):
    plain = make(DenseBlock(3, 2, **options))
    other = make(DenseBlock(3, 2, rematerialize=True, **options))
    assert_same_step(other, plain, X, atol=1e-4)


@pytest.mark.parametrize("rematerialize", [False, True])
def test_dropout_leaves_the_input_alone(rematerialize):
    block = make(DenseBlock(2, 3, dropout_rate=0.9, rematerialize=rematerialize))
    outputs = run(block, X, training=True)
    np.testing.assert_array_equal(outputs[..., :4], X)
    assert (outputs[..., 4:] == 0).mean() > 0.7
    assert not np.array_equal(outputs, run(block, X, training=True))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="reads TensorFlow's graph")
def test_rematerialized_block_keeps_no_concatenation_for_the_gradient():
    """What a rematerialized unit keeps is its inputs: the concatenations come again behind them."""
    import tensorflow as tf

    def concatenations(rematerialize):
        block = make(DenseBlock(4, 2, rematerialize=rematerialize))
        step = tf.function(lambda x: tf.gradients(block(x, training=True), x), autograph=False)
        graph = step.get_concrete_function(tf.TensorSpec(X.shape)).graph.as_graph_def()
        return sum(node.op == "ConcatV2" for node in graph.node)

    assert concatenations(True) > concatenations(False)
