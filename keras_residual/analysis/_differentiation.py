"""Gradients on every backend, reduced on the device: only a few numbers reach the host."""

from typing import Any

import keras
import numpy as np


def reduced_gradients(loss_of, reduce):
    """Returns a compiled function from values to `reduce` of the gradient with respect to each.

    Args:
        loss_of: Maps a list of tensors to a scalar.
        reduce: Maps the index of a value and its gradient to a small tensor.
    """
    backend = keras.backend.backend()
    compute = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend](loss_of, reduce)
    return _on_arrays(compute)


def gradient_of(score_of):
    """Returns a compiled function from a tensor and constants to the gradient of the score.

    Args:
        score_of: Maps the tensor and the constants to a scalar.
    """
    backend = keras.backend.backend()
    form = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]

    def compute(values):
        value, *constants = values
        return form(lambda differentiated: score_of(*differentiated, *constants), _whole)([value])

    if backend == "tensorflow":
        import tensorflow as tf

        compute = tf.function(compute, autograph=False, reduce_retracing=True)
    elif backend == "jax":
        import jax

        compute = jax.jit(compute)
    return lambda *values: _on_arrays(compute)(list(values))[0]


def compiled(function):
    """Returns a compiled function from a batch to an array, without gradients."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        compute = tf.function(function, autograph=False, reduce_retracing=True)
    elif backend == "jax":
        import jax

        compute = jax.jit(function)
    else:
        import torch

        compute = torch.no_grad()(function)
    return lambda x: _on_arrays(lambda values: [compute(*values)])([x])[0]


def _whole(index, gradient):
    return gradient


def _on_arrays(compute):
    def numbers(values: list[Any]) -> list[np.ndarray]:
        values = [keras.ops.convert_to_tensor(value) for value in values]
        return [np.asarray(keras.ops.convert_to_numpy(number)) for number in compute(values)]

    return numbers


def _tensorflow(loss_of, reduce):
    import tensorflow as tf

    @tf.function(autograph=False)
    def compute(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = loss_of(values)
        gradients = tape.gradient(loss, values, unconnected_gradients="zero")
        return [reduce(index, gradient) for index, gradient in enumerate(gradients)]

    return compute


def _jax(loss_of, reduce):
    import jax

    def compute(values):
        gradients = jax.grad(loss_of)(values)
        return [reduce(index, gradient) for index, gradient in enumerate(gradients)]

    return jax.jit(compute)


def _torch(loss_of, reduce):
    import torch

    def compute(values):
        values = [value.detach().clone().requires_grad_() for value in values]
        gradients = torch.autograd.grad(loss_of(values), values, materialize_grads=True)
        return [reduce(index, gradient) for index, gradient in enumerate(gradients)]

    return compute
