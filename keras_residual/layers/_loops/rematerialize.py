"""Calling a layer so that its inner values are computed again in the backward pass, not kept."""

from typing import Any

import keras
from keras import ops


def rematerialize(function):
    """Returns a function of positional tensors that recomputes its inner values in the gradient.

    Integers, such as the state of a random generator, are closed over: TensorFlow's gradient of a
    loop cannot pass the missing gradient of an argument that has none.
    """

    def call(*values):
        floating = [keras.backend.is_float_dtype(value.dtype) for value in values]
        constants = [
            value for value, is_float in zip(values, floating, strict=True) if not is_float
        ]

        def body(*differentiable):
            differentiable, rest = iter(differentiable), iter(constants)
            return function(*[next(differentiable if is_float else rest) for is_float in floating])

        on_tensorflow = keras.backend.backend() == "tensorflow"
        recomputed = _rematerialized_tensorflow if on_tensorflow else keras.remat
        return recomputed(body)(
            *[value for value, is_float in zip(values, floating, strict=True) if is_float]
        )

    return call


def _rematerialized_tensorflow(function):
    """`tf.recompute_grad`, which `keras.remat` is there, refuses gradients of gradients."""
    import tensorflow as tf

    @tf.custom_gradient
    def call(*values):
        outputs = function(*values)

        def gradient(*gradients):
            given = [tf.identity(value) for value in values]
            if not tf.executing_eagerly():
                given = tied_tensorflow(given, gradients[0])
            with tf.GradientTape() as tape:
                tape.watch(given)
                again = function(*given)
            return tape.gradient(again, given, gradients, unconnected_gradients="zero")

        return outputs, gradient

    return call


def tied_tensorflow(values: list[Any], gradient) -> list[Any]:
    """Returns values that cannot be computed before a gradient is.

    A compiler would reuse what the forward pass computed, and a graph would run ahead.
    """
    import tensorflow as tf

    some = tf.reshape(gradient, [-1])[:1]
    zero = tf.reduce_sum(tf.where(tf.math.is_nan(tf.cast(some, tf.float32)), float("nan"), 0.0))
    return [value + tf.cast(zero, value.dtype) for value in values]


def call_rematerialized(layer, inputs: list[Any], combine=lambda *tensors: tensors[0], **arguments):
    """Returns `layer(combine(*inputs), **arguments)`, keeping only `inputs` for the gradient.

    `keras.remat` around a layer would update its moving statistics twice, or leak tracers. Here the
    variables go in as values and come out as values, and are assigned outside.
    """
    count = len(inputs)
    trainable, other = layer.trainable_variables, layer.non_trainable_variables

    def body(*values):
        weights = values[count:]
        return layer.stateless_call(
            weights[: len(trainable)],
            weights[len(trainable) :],
            combine(*values[:count]),
            **arguments,
        )

    values = [variable.value for variable in trainable]
    # Copies, since the originals are overwritten before the backward pass reads them.
    values += [ops.copy(variable.value) for variable in other]
    outputs, updated = rematerialize(body)(*inputs, *values)
    for variable, value in zip(other, updated, strict=True):
        variable.assign(value)
    return outputs


def call_in_order(layers: list[Any], x, training: bool | None, recomputed: bool):
    """Returns what layers make of a tensor one after the other.

    Where they are `recomputed`, a training step keeps only the input of each for its gradient.
    """
    for layer in layers:
        if recomputed and training:
            x = call_rematerialized(layer, [x], training=True)
        else:
            x = layer(x, training=training)
    return x
