"""Derivatives in forward mode and of second order, where a layer has gradients of its own."""

import keras
import numpy as np
import pytest
from support import ramp, set_sequential_weights, to_numpy

from keras_residual.layers import (
    Convolution,
    DenseBlock,
    ResidualBlock,
    ResidualLSTM,
    ResidualStage,
)

BACKEND = keras.backend.backend()
LAYERS = {
    "convolution": (lambda: Convolution(3, 3, strides=2), (2, 5, 4, 2)),
    "dilated": (lambda: Convolution(3, (3, 1), dilation_rate=2), (2, 5, 4, 2)),
    "pointwise": (lambda: Convolution(3, 1, strides=2), (2, 5, 2)),
    "grouped": (lambda: Convolution(4, 3, groups=2), (2, 4, 3, 4)),
    "lstm": (lambda: ResidualLSTM(3, 3, implementation="layerwise"), (2, 4, 3)),
    "wavefront": (lambda: ResidualLSTM(3, 3, implementation="wavefront"), (2, 4, 3)),
    "recomputed": (
        lambda: ResidualLSTM(3, 2, rematerialize=True, return_sequences=True),
        (2, 4, 3),
    ),
}


def _built(make, shape):
    layer = make()
    layer.build(shape)
    set_sequential_weights(layer)
    layer.set_weights([0.3 * value for value in layer.get_weights()])
    return layer


@pytest.mark.skipif(BACKEND != "jax", reason="forward mode is JAX's")
@pytest.mark.parametrize("name", LAYERS)
def test_both_modes_agree_with_finite_differences(name):
    from jax.test_util import check_grads

    make, shape = LAYERS[name]
    layer = _built(make, shape)
    masks = {"mask": np.arange(4) < np.array([[4], [2]])} if len(shape) == 3 else {}
    masks = masks if isinstance(layer, ResidualLSTM) else {}
    others = [variable.value for variable in layer.non_trainable_variables]

    def loss(weights, x):
        return keras.ops.sum(keras.ops.tanh(layer.stateless_call(weights, others, x, **masks)[0]))

    arguments = ([weight.value for weight in layer.trainable_variables], ramp(*shape))
    check_grads(loss, arguments, order=2, modes=("fwd", "rev"), atol=0.02, rtol=0.02)


@pytest.mark.skipif(BACKEND != "jax", reason="the transform is JAX's")
def test_gradients_of_single_examples():
    import jax

    layer = _built(*LAYERS["convolution"])
    weights = [weight.value for weight in layer.trainable_variables]

    def loss(weights, x):
        return keras.ops.sum(layer.stateless_call(weights, [], x)[0] ** 2)

    x = ramp(3, 5, 4, 2)
    together = jax.vmap(lambda x: jax.grad(loss)(weights, x[None])[0])(x)
    single = [jax.grad(loss)(weights, x[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(together, np.stack(single), rtol=1e-5, atol=1e-5)
    # A derivative inside the mapped function is that of the linear map itself.
    along = jax.vmap(lambda x: jax.jvp(lambda x: loss(weights, x[None]), (x,), (x,))[1])(x)
    expected = [
        float(jax.jvp(lambda y: loss(weights, y), (x[i : i + 1],) * 1, (x[i : i + 1],))[1])
        for i in range(3)
    ]
    np.testing.assert_allclose(along, expected, rtol=1e-5)


def _stage(**options):
    return ResidualStage(ResidualBlock(3, normalization="none"), 4, **options)


TWICE = {
    "lstm": (lambda **o: ResidualLSTM(3, 3, **o), {}, (2, 4, 3)),
    "wavefront": (lambda **o: ResidualLSTM(3, 3, **o), {"implementation": "wavefront"}, (2, 4, 3)),
    "recomputed lstm": (lambda **o: ResidualLSTM(3, 3, **o), {"rematerialize": True}, (2, 4, 3)),
    "scanned": (_stage, {"execution": "scanned"}, (2, 4, 4, 3)),
    "recomputed": (_stage, {"rematerialize": True}, (2, 4, 4, 3)),
    "recomputed scan": (_stage, {"execution": "scanned", "rematerialize": True}, (2, 4, 4, 3)),
    "recomputed dense block": (
        lambda **o: DenseBlock(2, 3, normalization="none", **o),
        {"rematerialize": True},
        (2, 4, 4, 3),
    ),
}


def _penalty_gradients(layer, x, compiled):
    """Returns the gradients of a gradient penalty, as WGAN-GP has it."""
    import tensorflow as tf

    @tf.function(jit_compile=compiled)
    def compute(x):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.tanh(layer(x, training=True)))
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(
            penalty, [v.value for v in layer.trainable_variables], unconnected_gradients="zero"
        )

    return [to_numpy(g) for g in compute(tf.constant(x, "float32"))]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's tapes")
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("name", TWICE)
def test_second_order_on_tensorflow(name, compiled):
    make, options, shape = TWICE[name]
    layer = _built(lambda: make(**options), shape)
    plain = _built(
        lambda: make(unroll=True) if "lstm" in name or name == "wavefront" else make(), shape
    )
    plain.set_weights(_weights_for(plain, layer))
    found = _penalty_gradients(layer, ramp(*shape), compiled)
    expected = _penalty_gradients(plain, ramp(*shape), False)
    if len(found) != len(expected):  # a scanned stage has one stacked array a weight
        first = len(plain.first.trainable_variables)
        inner = expected[first:]
        count = len(inner) // (plain.depth - 1)
        stacked = [np.stack(inner[i::count]) for i in range(count)]
        expected = [*expected[:first], *stacked]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max())


def _weights_for(plain, layer):
    if not isinstance(layer, ResidualStage):
        return layer.get_weights()
    for index in range(layer.depth):
        plain.set_block_weights(index, layer.get_block_weights(index))
    return plain.get_weights()
