"""Many training steps in one call, the batches made inside the compiled step."""

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

Tensor = Any


class InStep(Protocol):
    """Batches that are made inside the step, as `data.in_step` returns them.

    Attributes:
        arrays: What is put into the device's memory once.
    """

    arrays: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        """Number of batches in an epoch."""

    def order(self, epoch: int) -> list[np.ndarray]:
        """The examples of each batch: integers `(batches, size)`, maybe more of other sizes."""

    def make(self, arrays: tuple[Tensor, ...], index: Tensor, epoch: Tensor) -> tuple:
        """Returns `(inputs, targets)` of one row of `order(epoch)`."""


def makes_batches_in_step(data: object) -> bool:
    """Whether `data` follows the protocol `InStep`."""
    return all(hasattr(data, name) for name in ("arrays", "order", "make"))


def compile_steps(model: keras.Model, batches: InStep, training: bool) -> Callable:
    """Returns a function of `(order, epoch)` that runs a step for each row of `order`.

    The steps are `model.train_step` or `model.test_step`; they change the model's variables and
    metrics.
    """
    compile_for = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return compile_for[keras.backend.backend()](model, batches, training)


def _tensorflow(model, batches, training):
    import tensorflow as tf

    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync
    arrays = tuple(tf.constant(array) for array in batches.arrays)
    step = model.train_step if training else model.test_step

    @tf.function(jit_compile=bool(model.jit_compile), autograph=False)
    def compiled(index, epoch):
        step(batches.make(arrays, index, epoch))

    def of_replica(index, epoch):
        if replicas > 1:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            index = tf.reshape(index, (replicas, -1))[number]
        compiled(index, epoch)

    @tf.function(autograph=False, reduce_retracing=True)
    def run(order, epoch):
        def body(number):
            strategy.run(of_replica, (order[number], epoch))
            return (number + 1,)

        tf.while_loop(lambda number: number < tf.shape(order)[0], body, (0,), parallel_iterations=1)

    return lambda order, epoch: run(tf.constant(order), tf.constant(epoch, tf.int32))


def _jax(model, batches, training):
    import jax

    on_devices, state_sharding, index_sharding = _jax_placement(batches.arrays)
    arrays = tuple(on_devices(array) for array in batches.arrays)
    groups = _groups(model, training)
    step = model.train_step if training else model.test_step

    def one(state, arrays, index, epoch):
        if index_sharding is not None:
            index = jax.lax.with_sharding_constraint(index, index_sharding)
        _, new = step(state, batches.make(arrays, index, epoch))
        return jax.tree.map(lambda a, b: a.astype(b.dtype), tuple(new), state)

    def many(state, arrays, order, epoch):
        def body(state, index):
            return one(state, arrays, index, epoch), None

        return jax.lax.scan(body, state, order)[0]

    # In a loop of XLA's, convolutions run fifty times slower on a CPU.
    scans = jax.default_backend() != "cpu"
    compiled = jax.jit(many if scans else one, donate_argnums=0, out_shardings=state_sharding)

    def call(order, epoch):
        state = tuple([variable.value for variable in group] for group in groups)
        for part in [order] if scans else order:
            state = compiled(state, arrays, part, np.int32(epoch))
        for group, values in zip(groups, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    return call


def _jax_placement(arrays):
    """How to lay data out under `keras.distribution.DataParallel`: whole everywhere, in shares."""
    import jax

    distribution = keras.distribution.distribution()
    if distribution is None:
        return jax.device_put, None, None
    mesh = distribution.device_mesh.backend_mesh
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    shares = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(mesh.axis_names[0]))
    return (lambda array: jax.device_put(array, whole)), whole, shares


def _groups(model, training):
    """The variables in the order of the state of Keras' JAX steps."""
    groups = [model.trainable_variables, model.non_trainable_variables]
    if training:
        groups.append(model.optimizer.variables)
    return (*groups, model.metrics_variables)


def _torch(model, batches, training):
    import torch

    arrays = tuple(keras.ops.convert_to_tensor(array) for array in batches.arrays)
    step = model.train_step if training else model.test_step

    def run(order, epoch):
        for index in keras.ops.convert_to_tensor(order):
            with torch.set_grad_enabled(training):
                step(batches.make(arrays, index, epoch))

    return run
