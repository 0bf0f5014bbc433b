"""BatchNorm equals keras.layers.BatchNormalization, whichever kernel computes it."""

import keras
import numpy as np
import pytest
from support import gradients, ramp, set_sequential_weights, to_numpy

from keras_residual.layers import BatchNorm, ConvNorm, NormActivation


def numbers(layer_class, x, dtype="float32", training=True, **arguments):
    layer = layer_class(momentum=0.9, epsilon=1e-3, dtype=dtype, **arguments)
    layer.build(x.shape)
    set_sequential_weights(layer)
    outputs, found = gradients(layer, x, training=training)
    statistics = [to_numpy(weight) for weight in layer.non_trainable_weights]
    return [outputs, *found.values(), *statistics]


def assert_equal_numbers(x, tolerance=2e-5, **options):
    ours = numbers(BatchNorm, x, **options)
    theirs = numbers(keras.layers.BatchNormalization, x, **options)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5, 6, 3), (2, 3, 4, 5, 3), (8, 3)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_equals_keras_in_every_rank(shape, training):
    assert_equal_numbers(2 + ramp(*shape), training=training)


TOLERANCES = {"mixed_bfloat16": 0.04, "mixed_float16": 0.004}
if keras.backend.backend() != "jax":  # where float64 is switched off
    TOLERANCES["float64"] = 2e-5


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES.items())
@pytest.mark.parametrize("training", [True, False])
def test_equals_keras_in_every_precision(dtype, tolerance, training):
    assert_equal_numbers(ramp(4, 5, 6, 3), tolerance, dtype=dtype, training=training)


@pytest.mark.parametrize(
    "arguments",
    [{"scale": False}, {"center": False}, {"axis": 1}, {"axis": 3}, {"renorm": True}],
    ids=str,
)
@pytest.mark.parametrize("training", [True, False])
def test_equals_keras_with_every_argument(arguments, training):
    assert_equal_numbers(ramp(4, 5, 6, 3), training=training, **arguments)


def test_one_position_has_no_variance():
    assert_equal_numbers(ramp(1, 1, 1, 3))


@pytest.mark.parametrize("training", [True, False])
def test_small_epsilons_are_taken_as_they_are(training):
    def outputs(layer_class):
        layer = layer_class(epsilon=1e-8)
        layer.build((4, 5, 6, 3))
        layer.moving_variance.assign(np.full(3, 1e-5))
        return to_numpy(layer(1e-3 * ramp(4, 5, 6, 3), training=training))

    expected = outputs(keras.layers.BatchNormalization)
    np.testing.assert_allclose(outputs(BatchNorm), expected, rtol=1e-3)


def test_large_means_do_not_cancel():
    assert_equal_numbers(1000 + ramp(4, 5, 6, 3), tolerance=2e-3)


def test_frozen_layer_keeps_its_statistics():
    x = ramp(4, 5, 6, 3)
    layer = BatchNorm()
    layer.build(x.shape)
    set_sequential_weights(layer)
    before = layer.get_weights()
    layer.trainable = False
    outputs = to_numpy(layer(x, training=True))
    np.testing.assert_array_equal(before, layer.get_weights())
    np.testing.assert_array_equal(outputs, to_numpy(layer(x, training=False)))


def test_masked_steps_do_not_count():
    x = ramp(2, 5, 3)
    mask = np.array([[True, True, True, False, False], [True, True, True, True, False]])
    ours, theirs = BatchNorm(), keras.layers.BatchNormalization(momentum=0.99)
    for layer in (ours, theirs):
        layer(x, training=True, mask=mask)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "mish", "elu", "leaky_relu"])
@pytest.mark.parametrize("outside", [False, True])
def test_any_activation_may_follow(dtype, activation, outside):
    """TensorFlow joins some with a convolution and a normalization, and lacks the kernels."""
    within = None if outside else activation
    inputs = keras.Input((5, 6, 3))
    x = ConvNorm(4, 1, activation=within, dtype=dtype)(inputs)
    x = keras.layers.Activation(activation, dtype=dtype)(x) if outside else x
    model = keras.Model(inputs, x)
    images = ramp(2, 5, 6, 3)
    found = model.predict(images, verbose=0).astype("float32")
    np.testing.assert_allclose(found, to_numpy(model(images)), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("inside", [True, False])
def test_an_activation_may_be_replaced(inside):
    """TensorFlow has no kernel for a convolution, a normalization and a tanh in one."""
    layer = ConvNorm(4, 1) if inside else NormActivation()
    inputs = keras.Input((5, 6, 3))
    x = inputs if inside else keras.layers.Conv2D(4, 1)(inputs)
    images = ramp(2, 5, 6, 3) - 1
    assert keras.Model(inputs, layer(x)).predict(images, verbose=0).min() == 0
    layer.activation = keras.activations.tanh
    model = keras.Model(inputs, layer(x))
    found = model.predict(images, verbose=0)
    np.testing.assert_allclose(found, to_numpy(model(images)), rtol=1e-4, atol=1e-5)
    assert found.min() < 0


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a kernel of TensorFlow")
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_inference_makes_one_pass_without_casts(dtype):
    import tensorflow as tf

    layer = BatchNorm(dtype=dtype)
    layer.precedes_relu = True
    layer.build((None, 5, 6, 3))
    signature = tf.TensorSpec((None, 5, 6, 3), layer.compute_dtype)
    graph = tf.function(layer).get_concrete_function(signature).graph
    wide = [
        operation.type
        for operation in graph.get_operations()
        if any(len(tensor.shape) == 4 for tensor in operation.outputs)
    ]
    assert wide == ["Placeholder", "FusedBatchNormV3", "Identity"]
