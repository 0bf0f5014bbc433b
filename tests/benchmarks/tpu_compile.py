"""Compiles ResNet-50 for a TPU without one: inference, and a data-parallel training step.

    pip install jax[tpu]
    KERAS_BACKEND=jax python tests/benchmarks/tpu_compile.py [network] [batch of the training step]

ResNet-50 in bfloat16 needs 109 MB a chip for one image each, and 5,205 MB for a training step of
512 images on four chips (libtpu 0.0.42, 2026-11-20; compiled in 14 and in some 300 seconds of CPU
time, on two cores that did much other work).

libtpu's compiler runs on the host and knows the chips from a description. Prints seconds to compile
and the memory a chip of a v5e with four chips needs. A network is the name of one, or `tiny`.
"""

import os
import sys
import time

import jax
import keras
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import keras_residual
from keras_residual import export

DESCRIPTION = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    # No chip is opened, so nothing has to be locked.
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
TINY = {"depths": (1, 1), "widths": (8, 16), "stem_width": 8, "input_shape": (32, 32, 3)}


def make(name):
    if name == "tiny":
        return keras_residual.ResNet(classes=10, dtype="mixed_bfloat16", **TINY)
    return keras_residual.get_model(name, dtype="mixed_bfloat16")


def specs(values, sharding):
    """Returns the shapes, dtypes and shardings of arrays."""
    describe = lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding)  # noqa: E731
    return jax.tree.map(describe, values)


def values_of(variables):
    return [variable.value for variable in variables]


def training_step(model):
    """Returns one step of momentum and its state."""
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy()

    def step(trainable, other, state, images, classes):
        def loss(trainable):
            outputs, updated = model.stateless_call(trainable, other, images, training=True)
            return loss_of(classes, outputs), updated

        (value, updated), gradients = jax.value_and_grad(loss, has_aux=True)(trainable)
        trainable, new_state = optimizer.stateless_apply(state, gradients, trainable)
        return value, trainable, updated, new_state

    state = map(values_of, (model.trainable_variables, model.non_trainable_variables))
    return step, [*state, values_of(optimizer.variables)]


def compiled(name, function, *arguments):
    started = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    memory = program.memory_analysis()
    total = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    print(f"| {name} | {time.perf_counter() - started:.1f} | {total / 1e6:,.0f} |", flush=True)


def main(name="ResNet50", batch=512):
    os.environ.update(DESCRIPTION)
    jax.config.update("jax_platforms", "cpu")
    topology = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2")
    mesh = Mesh(np.array(topology.devices), ("batch",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec("batch"))
    model = make(name)
    shape = model.input_shape[1:]
    print(f"| {name}, bfloat16, four chips | compile, s | memory a chip, MB |\n|---|---:|---:|")
    folded = export.fold(model)
    images = jax.ShapeDtypeStruct((4, *shape), "float32", sharding=split)
    weights = specs(values_of(folded.trainable_variables), everywhere)
    other = specs(values_of(folded.non_trainable_variables), everywhere)
    infer = lambda w, o, x: folded.stateless_call(w, o, x, training=False)[0]  # noqa: E731
    compiled("inference, one image a chip", infer, weights, other, images)
    step, state = training_step(model)
    images = jax.ShapeDtypeStruct((batch, *shape), "float32", sharding=split)
    classes = jax.ShapeDtypeStruct((batch,), "int32", sharding=split)
    state = [specs(each, everywhere) for each in state]
    compiled(f"training step, {batch} images", step, *state, images, classes)


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
