"""Many training steps in one call, with batches made inside the compiled step."""

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

Tensor = Any


class InStep(Protocol):
    """The protocol of batches that are made inside the step, such as those of `data.in_step`.

    Attributes:
        arrays: Arrays that are copied to device memory once.
    """

    arrays: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        """Number of batches in an epoch."""

    def order(self, epoch: int) -> list[np.ndarray]:
        """Returns the examples of each batch: integers `(batches, size)`, grouped by batch size."""

    def make(self, arrays: tuple[Tensor, ...], index: Tensor, epoch: Tensor) -> tuple[Any, ...]:
        """Returns `(inputs, targets)` of one row of `order(epoch)`."""


def makes_batches_in_step(data: object) -> bool:
    """Returns whether `data` follows the protocol `InStep`."""
    return all(hasattr(data, name) for name in ("arrays", "order", "make"))


def compile_steps(model: keras.Model, batches: InStep, kind: str) -> Callable[..., Any]:
    """Returns a function of `(order, epoch)` that runs a step for each row of `order`.

    Args:
        model: A compiled model; its variables and metrics are changed.
        batches: The batches.
        kind: `"train"` for `model.train_step`, `"test"` for `model.test_step`, `"forward"` for only
            calling the model with `training=True`.
    """
    compile_for = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return compile_for[keras.backend.backend()](model, batches, kind)


def _step(model, kind):
    """Returns the step for backends whose steps update variables in place."""
    forward = lambda data: model(data[0], training=True)  # noqa: E731
    return {"train": model.train_step, "test": model.test_step, "forward": forward}[kind]


def _tensorflow(model, batches, kind):
    import tensorflow as tf

    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync
    arrays = tuple(tf.constant(array) for array in batches.arrays)
    step = _step(model, kind)

    def of_replica(index, epoch):
        data = batches.make(arrays, index, epoch)
        if replicas > 1:
            # Made as a whole and then split, so that mixing is independent of the replicas.
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            size = tf.shape(index)[0]
            start, stop = (size * (number + end) // replicas for end in (0, 1))
            data = tuple(part[start:stop] for part in data)
        step(data)

    # XLA supports no shards of different size, which the last batch of an evaluation may have.
    jit = bool(model.jit_compile) and replicas == 1

    @tf.function(jit_compile=jit, autograph=False)
    def compiled(index, epoch):
        strategy.run(of_replica, (index, epoch))

    @tf.function(autograph=False, reduce_retracing=True)
    def run(order, epoch):
        order = tf.ensure_shape(order, (None, order.shape[1]))

        def body(number):
            compiled(order[number], epoch)
            return (number + 1,)

        tf.while_loop(lambda number: number < tf.shape(order)[0], body, (0,), parallel_iterations=1)

    return lambda order, epoch: run(tf.constant(order), tf.constant(epoch, tf.int32))


def _jax(model, batches, kind):
    import jax

    on_devices, state_sharding, index_sharding = _jax_placement(batches.arrays)
    arrays = tuple(on_devices(array) for array in batches.arrays)
    step, groups = _jax_step(model, kind)

    def one(state, arrays, index, epoch):
        if index_sharding is not None and len(index) % index_sharding.mesh.size == 0:
            index = jax.lax.with_sharding_constraint(index, index_sharding)
        _, new = step(state, batches.make(arrays, index, epoch))
        return jax.tree.map(lambda a, b: a.astype(b.dtype), tuple(new), state)

    def many(state, arrays, order, epoch):
        def body(state, index):
            return one(state, arrays, index, epoch), None

        return jax.lax.scan(body, state, order)[0]

    # Swapped-in averaged weights share memory with others, which must not be donated.
    given = (0,) if kind == "train" else ()
    compiled = jax.jit(many, donate_argnums=given, out_shardings=state_sharding)

    def call(order, epoch):
        state = tuple([variable.value for variable in group] for group in groups)
        state = compiled(state, arrays, order, np.int32(epoch))
        for group, values in zip(groups, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    return call


def _jax_placement(arrays):
    """Returns the placement of data under `keras.distribution.DataParallel`."""
    import jax

    distribution = keras.distribution.distribution()
    if distribution is None:
        return jax.device_put, None, None
    mesh = distribution.device_mesh.backend_mesh
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    shares = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(mesh.axis_names[0]))
    return (lambda array: jax.device_put(array, whole)), whole, shares


def _jax_step(model, kind):
    """Returns a step from a state and a batch to a new state, and the variables of the state."""
    weights = [model.trainable_variables, model.non_trainable_variables]
    if kind == "train":
        return model.train_step, [*weights, model.optimizer.variables, model.metrics_variables]
    if kind == "test":
        return model.test_step, [*weights, model.metrics_variables]

    def forward(state, data):
        outputs, statistics = model.stateless_call(*state, data[0], training=True)
        return outputs, (state[0], statistics)

    return forward, weights


def _torch(model, batches, kind):
    import torch

    arrays = tuple(keras.ops.convert_to_tensor(array) for array in batches.arrays)
    step = _step(model, kind)

    def run(order, epoch):
        for index in keras.ops.convert_to_tensor(order):
            with torch.set_grad_enabled(kind == "train"):
                step(batches.make(arrays, index, epoch))

    return run
