"""Compiles ResNet-50 for a TPU without one: inference, and a data-parallel training step.

    pip install jax[tpu]
    KERAS_BACKEND=jax python tests/benchmarks/tpu_compile.py --keep
    KERAS_BACKEND=jax python tests/benchmarks/tpu_compile.py --network tiny --batch 16

libtpu's compiler runs on the host and knows the chips from a description, a v5e with four. For each
program the table has what the compiler says of one chip: the memory that it needs, its operations
and the bytes that it reads and writes, and from the compiled program the number of fusions, of
copies into another layout and of calls between chips. A chip that computes 197 TFLOP/s in bfloat16
and reads 819 GB/s cannot be quicker than the longer of the two times that follow, the last column.
A network is the name of one, or `tiny`. The training step of ResNet-50 compiles for
some minutes. `--keep` writes the table into the documentation.
"""

import argparse
import collections
import importlib.metadata
import os
import pathlib
import re
import sys
import time

import jax
import keras
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import keras_residual
from keras_residual import export

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tables
from _kept import RESULTS, keep

DESCRIPTION = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    # No chip is opened, so nothing has to be locked.
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
# A chip of a v5e, by Google's description: bfloat16 operations and bytes of memory per second.
FLOPS, BYTES = 197e12, 819e9
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


def operations(program):
    """Returns how often each operation occurs in the main computation of a compiled program."""
    text = program.as_text()
    main = text[text.index("\nENTRY") :]
    return collections.Counter(
        re.findall(r"^\s+(?:ROOT )?%?[\w.-]+ = .*? ([a-z][\w-]*)\(", main, re.M)
    )


def compiled(name, function, *arguments):
    """Returns what the compiler says of a program for one chip, as a row."""
    started = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    memory, cost, count = program.memory_analysis(), program.cost_analysis(), operations(program)
    return {
        "program": name,
        "seconds": round(time.perf_counter() - started, 1),
        "memory": memory.argument_size_in_bytes + memory.temp_size_in_bytes,
        "flops": cost["flops"],
        "bytes": cost["bytes accessed"],
        "fusions": count["fusion"],
        "copies": count["copy"] + count["transpose"],
        "collectives": sum(count[name] for name in ("all-reduce", "all-gather", "all-to-all")),
    }


def table(rows):
    """Returns the rows as a table in Markdown."""
    lines = [
        "| program | memory, MB | GFLOP | GB read and written | fusions | copies | between chips "
        "| at least, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        bound = max(row["flops"] / FLOPS, row["bytes"] / BYTES)
        lines.append(
            f"| {row['program']} | {row['memory'] / 1e6:,.0f} | {row['flops'] / 1e9:,.1f} "
            f"| {row['bytes'] / 1e9:,.2f} | {row['fusions']} | {row['copies']} "
            f"| {row['collectives']} | {1000 * bound:,.2f} |"
        )
    return "\n".join(lines) + "\n"


def programs(name, batch):
    """Yields the rows of inference and of a training step."""
    topology = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2")
    mesh = Mesh(np.array(topology.devices), ("batch",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec("batch"))
    model = make(name)
    shape = model.input_shape[1:]
    folded = export.fold(model)
    images = jax.ShapeDtypeStruct((4, *shape), "float32", sharding=split)
    weights = specs(values_of(folded.trainable_variables), everywhere)
    other = specs(values_of(folded.non_trainable_variables), everywhere)
    infer = lambda w, o, x: folded.stateless_call(w, o, x, training=False)[0]  # noqa: E731
    yield compiled(f"`{name}`, inference, one image", infer, weights, other, images)
    step, state = training_step(model)
    images = jax.ShapeDtypeStruct((batch, *shape), "float32", sharding=split)
    classes = jax.ShapeDtypeStruct((batch,), "int32", sharding=split)
    state = [specs(each, everywhere) for each in state]
    label = f"`{name}`, training step, {batch // 4} images"
    yield compiled(label, step, *state, images, classes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="ResNet50")
    parser.add_argument("--batch", type=int, default=512, help="of a training step on four chips")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    os.environ.update(DESCRIPTION)
    jax.config.update("jax_platforms", "cpu")
    rows = []
    for row in programs(arguments.network, arguments.batch):
        rows.append(row)
        print(f"compiled in {row['seconds']} s", flush=True)
        print(table(rows[-1:]), flush=True)
    if arguments.keep:
        keep(RESULTS, "tpu_compile", libtpu=importlib.metadata.version("libtpu"), rows=rows)
        tables.write(tables.BENCHMARKS, "tpu-compile", table(rows))


if __name__ == "__main__":
    main()
