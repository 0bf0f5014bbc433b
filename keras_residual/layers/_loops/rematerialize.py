"""Rematerialization: activations are recomputed in the backward pass instead of stored."""

from typing import Any

import keras
from keras import ops


def rematerialize(function):
    """Returns a function of positional tensors that is recomputed for its gradient.

    Integers, such as the state of a random generator, are captured by closure: TensorFlow's
    gradient of a loop cannot handle arguments without a gradient.
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
    """`keras.remat` is `tf.recompute_grad` here, which does not support second derivatives."""
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
    """Returns values that depend on a gradient, so that they are recomputed after it.

    Otherwise a compiler would reuse the values of the forward pass, and a graph would compute them
    early.
    """
    import tensorflow as tf

    some = tf.reshape(gradient, [-1])[:1]
    zero = tf.reduce_sum(tf.where(tf.math.is_nan(tf.cast(some, tf.float32)), float("nan"), 0.0))
    return [value + tf.cast(zero, value.dtype) for value in values]


def call_rematerialized(layer, inputs: list[Any], combine=lambda *tensors: tensors[0], **arguments):
    """Returns `layer(combine(*inputs), **arguments)`, storing only `inputs` for the gradient.

    `keras.remat` around a layer would update its moving statistics twice, or leak tracers. Here
    variables are passed in and returned as values, and assigned outside.
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
    # Copied, because the originals are overwritten before the backward pass reads them.
    values += [ops.copy(variable.value) for variable in other]
    outputs, updated = rematerialize(body)(*inputs, *values)
    for variable, value in zip(other, updated, strict=True):
        variable.assign(value)
    return outputs


def call_in_order(layers: list[Any], x, training: bool | None, recomputed: bool):
    """Applies layers one after the other.

    If they are `recomputed`, a training step stores only the input of each for the gradient.
    """
    for layer in layers:
        if recomputed and training:
            x = call_rematerialized(layer, [x], training=True)
        else:
            x = layer(x, training=training)
    return x
