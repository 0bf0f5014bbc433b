"""Equal blocks are traced once in a compiled training step, and compute what they did."""

import keras
import numpy as np
import pytest
from support import ramp, set_sequential_weights, to_numpy

from keras_residual.layers import BottleneckBlock, ResidualBlock, ResidualStage, equal_blocks

X = ramp(4, 3, 3, 4)
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow's traces are shared"
)


class OwnBlock(ResidualBlock):
    """A class of a user, which may do more in `call` than compute."""


def trained(block, monkeypatch, shared, prepare=lambda stage: None, steps=2, **options):
    """Returns how often a trace was shared, losses and weights after compiled training steps."""
    calls = []

    def call(layers, x):
        calls.append(len(layers))
        return call_traced_once(layers, x)

    call_traced_once, shares_trace = equal_blocks.call_traced_once, equal_blocks.shares_trace
    with monkeypatch.context() as patch:
        patch.setattr(equal_blocks, "call_traced_once", call)
        patch.setattr(equal_blocks, "shares_trace", lambda *given: shared and shares_trace(*given))
        stage = ResidualStage(block, 7, execution="unrolled", **options)
        model = keras.Sequential([keras.Input(X.shape[1:]), stage, keras.layers.Flatten()])
        set_sequential_weights(stage)
        prepare(stage)
        model.compile(keras.optimizers.SGD(1e-3), "mean_squared_error")
        y = ramp(4, *model.output_shape[1:])
        losses = [to_numpy(model.train_on_batch(X, y)) for _ in range(steps)]
    return calls, losses, {weight.path: to_numpy(weight) for weight in stage.weights}


@pytest.mark.parametrize(
    "block",
    [
        lambda: ResidualBlock(4, se_ratio=0.5, kernel_regularizer="l2"),
        lambda: BottleneckBlock(8, cardinality=2, activation_order="pre", dtype="mixed_bfloat16"),
    ],
    ids=["regularized", "bfloat16"],
)
def test_training_steps_are_those_of_blocks_traced_one_by_one(block, monkeypatch):
    calls, losses, weights = trained(block(), monkeypatch, shared=True)
    assert calls == [6]
    none, expected_losses, expected = trained(block(), monkeypatch, shared=False)
    assert none == []
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-6)
    for value, other in zip(weights.values(), expected.values(), strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-6)


def frozen_part(stage):
    stage.equal.blocks[2].trainable = False


def frozen_normalization(stage):
    stage.equal.blocks[2].conv1.norm.trainable = False


def other_momentum(stage):
    stage.equal.blocks[2].conv1.norm.momentum = 0.5


def other_precision(stage):
    stage.equal.blocks[2].conv1.dtype_policy = "bfloat16"


@pytest.mark.parametrize(
    ("block", "prepare", "options"),
    [
        (ResidualBlock(4), frozen_part, {}),
        (ResidualBlock(4), frozen_normalization, {}),
        (ResidualBlock(4), other_momentum, {}),
        (ResidualBlock(4), other_precision, {}),
        (ResidualBlock(4, dropout_rate=0.5), lambda stage: None, {}),
        (ResidualBlock(4), lambda stage: None, {"drop_path_rates": [0, 0, 0, 0.1, 0, 0, 0]}),
        (ResidualBlock(4), lambda stage: None, {"rematerialize": True}),
        (OwnBlock(4), lambda stage: None, {}),
    ],
    ids=[
        "block",
        "normalization",
        "momentum",
        "precision",
        "dropout",
        "drop path",
        "rematerialized",
        "own class",
    ],
)
def test_blocks_that_differ_are_traced_one_by_one(block, prepare, options, monkeypatch):
    calls, _, _ = trained(block, monkeypatch, True, prepare, steps=1, **options)
    assert calls == []


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_frozen_blocks_keep_their_weights(dtype, monkeypatch):
    before = {}

    def freeze(stage):
        stage.equal.trainable = False
        for weight in stage.equal.weights:
            # No number of 16 bits.
            weight.assign(weight + 1e-4)
        before.update({weight.path: to_numpy(weight) for weight in stage.equal.weights})

    calls, _, weights = trained(ResidualBlock(4, dtype=dtype), monkeypatch, True, freeze)
    assert calls == [6]
    for path, value in before.items():
        np.testing.assert_array_equal(weights[path], value)


@pytest.mark.parametrize("operation", ["Conv2D", "ReadVariableOp", "AssignVariableOp"])
def test_a_trace_holds_the_operations_of_one_block(operation):
    import tensorflow as tf

    def count(depth):
        stage = ResidualStage(ResidualBlock(4), depth, execution="unrolled")
        stage.build(X.shape)
        step = tf.function(lambda x: tf.gradients(stage(x, training=True), x), autograph=False)
        graph = step.get_concrete_function(tf.TensorSpec(X.shape)).graph.as_graph_def()
        nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
        return sum(node.op.startswith(operation) for node in nodes)

    assert count(12) == count(7) > 0


def test_gradients_of_gradients():
    import tensorflow as tf

    stage = ResidualStage(ResidualBlock(4), 7, execution="unrolled")
    stage.build(X.shape)
    set_sequential_weights(stage)

    def second(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(tf.tanh(stage(x, training=True)))
            first = tf.reduce_sum(tf.square(inner.gradient(y, x)))
        return outer.gradient(first, x)

    x = tf.constant(X)
    found, expected = tf.function(second, autograph=False)(x), second(x)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())
