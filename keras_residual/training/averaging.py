"""Averaged weights in evaluation, with matching normalization statistics."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_residual.training.replicas import batch_normalizations, replicas_of
from keras_residual.training.steps import compile_steps, makes_batches_in_step

# A forward pass takes a third of a step: a quarter of the batches is a twelfth of an epoch.
_SHARE = 4
_FEWEST_EXAMPLES, _MOST_BATCHES = 256, 20
# In a shorter epoch two passes would take more than a tenth, so half of the examples have to do.
_SHORT_EPOCH = 8
# Used if normalizations differ in momentum: with 0.9, older statistics have decayed to 0.5 %.
_BATCHES_WITHOUT_CORRECTION = 50
_STATISTICS = ("moving_mean", "moving_variance")
# Batches up to this total size are cached, so that they are read and prepared once.
_KEPT_BYTES = 2**28


class AveragedWeights(keras.callbacks.Callback):
    """Swaps in the optimizer's moving average of the weights during evaluation.

    The moving statistics of batch normalization belong to the weights of the last steps, not to
    their average. So some training batches are run through the averaged model first, as in
    stochastic weight averaging: the statistics start at 0 and are bias-corrected, as in Adam.
    Afterwards everything is restored bit for bit.

    Args:
        train: The training batches of `fit`.
        steps: Number of batches in an epoch.

    Reference:
        - [Izmailov et al., 2018](https://arxiv.org/abs/1803.05407), section 3.1
    """

    def __init__(self, train: object, steps: int):
        super().__init__()
        self.train, self.steps = train, steps
        self._forward = None

    def put_in_place(self) -> None:
        """Sets the averaged weights and their statistics in the model."""
        variables = [*self.model.trainable_variables, *self.model.non_trainable_variables]
        # Copied, because a JAX array may be a view of memory that will be reused.
        self._before = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self._forward is None:
            self._forward = _forward(self.model, self.train, self.steps)
        _estimate_statistics(self.model, self._forward)

    def on_test_begin(self, logs=None):
        self.put_in_place()

    def on_test_end(self, logs=None):
        for variable, value in self._before:
            variable.assign(value)


def _estimate_statistics(model, forward: Callable[[int | None], int]) -> None:
    """Runs batches through the model and sets their statistics in it."""
    momenta = {norm.momentum for norm in batch_normalizations(model)}
    if not momenta:
        return
    if len(momenta) > 1:
        forward(_BATCHES_WITHOUT_CORRECTION)
        return
    moving = [v for v in model.non_trainable_variables if v.path.endswith(_STATISTICS)]
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in moving]
    for variable in moving:
        variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
    count = forward(None)
    weight = 1 - momenta.pop() ** count
    for variable, value in zip(moving, before, strict=True):
        moved = np.array(keras.ops.convert_to_numpy(variable))
        # Frozen statistics have not changed, and none have without a batch.
        variable.assign(moved / weight if count and moved.any() else value)


def _number_of_batches(size: int, steps: int) -> int:
    """Returns the number of batches that are sufficient, for an epoch of `steps` steps."""
    fewest = _FEWEST_EXAMPLES // 2 if steps < _SHORT_EPOCH else _FEWEST_EXAMPLES
    enough = max(math.ceil(fewest / size), steps // _SHARE)
    return min(enough, _MOST_BATCHES, steps)


def _forward(model, train, steps) -> Callable[[int | None], int]:
    """Returns a function that runs training batches through the model, as in training.

    It takes their number, `None` for a sufficient one, and returns how many there were.
    """
    if makes_batches_in_step(train):
        run, order = compile_steps(model, train, "forward"), train.order(0)[0]

        def in_step(count):
            count = count or _number_of_batches(order.shape[1], steps)
            run(order[np.arange(count) % len(order)], 0)
            return count

        return in_step
    call, kept = _compiled(model), []

    def streamed(count):
        done = 0
        for inputs in itertools.chain(list(kept), _inputs(train, len(kept))):
            count = count or _number_of_batches(_batch_size(inputs), steps)
            call(inputs)
            done += 1
            if done == len(kept) + 1 and _bytes([*kept, inputs]) <= _KEPT_BYTES:
                kept.append(inputs)
            if done == count:
                break
        return done

    return streamed


def _inputs(train, first):
    """Yields the inputs of batches from number `first` on; none of iterators, read only once."""
    batches = train(0) if callable(train) else train
    if iter(batches) is batches and not callable(train):
        return
    for inputs, *_ in itertools.islice(batches, first, None):
        yield inputs


def _batch_size(inputs) -> int:
    return int(keras.tree.flatten(inputs)[0].shape[0])


def _bytes(inputs) -> int:
    return 4 * sum(math.prod(part.shape) for part in keras.tree.flatten(inputs))


def _compiled(model) -> Callable[..., Any]:
    """Returns a function of inputs that updates the statistics, compiled if possible."""
    backend = keras.backend.backend()
    if backend == "tensorflow" and replicas_of(model) == 1:
        import tensorflow as tf

        return tf.function(
            lambda inputs: model(inputs, training=True), autograph=False, reduce_retracing=True
        )
    if backend == "jax":
        import jax

        @jax.jit
        def statistics(weights, others, inputs):
            return model.stateless_call(weights, others, inputs, training=True)[1]

        def call(inputs):
            others = model.non_trainable_variables
            values = [[v.value for v in part] for part in (model.trainable_variables, others)]
            for variable, value in zip(others, statistics(*values, inputs), strict=True):
                variable.assign(value)

        return call

    def eager(inputs):
        if backend != "torch":
            return model(inputs, training=True)
        import torch

        with torch.no_grad():
            return model(inputs, training=True)

    return eager
