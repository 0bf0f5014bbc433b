"""Gradients on every backend, reduced where they are computed: only numbers reach the host."""

import keras
import numpy as np


def reduced_gradients(loss_of, reduce):
    """Returns a compiled function from values to `reduce` of the loss's gradient by each.

    Args:
        loss_of: From a list of tensors to a scalar.
        reduce: From the position of a value and its gradient to a small tensor.
    """
    backend = keras.backend.backend()
    compute = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend](loss_of, reduce)

    def numbers(values: list) -> list[np.ndarray]:
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
