"""Memory of a training step against depth: reversible blocks beside `rematerialize`.

    KERAS_BACKEND=jax python tests/benchmarks/reversible_networks.py
    KERAS_BACKEND=torch python tests/benchmarks/reversible_networks.py

A stage of basic pre-activation blocks of 32 channels on 32×32 positions, batch 32. On JAX the
memory is what the compiler reserves for temporary values of the gradient; on PyTorch what the
forward pass keeps for the backward pass, weights left out. Both are counted, not sampled, and the
same on every machine of a kind. The steps take turns in one process.
"""

import argparse
import pathlib
import statistics
import time

import _kept
import keras
import numpy as np

from keras_residual.layers import ResidualBlock, ResidualStage

ROWS = {
    "residual": {},
    "residual, rematerialized": {"rematerialize": True},
    "reversible": {"reversible": True},
    "reversible, rematerialized": {"reversible": True, "rematerialize": True},
}
SHAPE = (32, 32, 32, 32)
MIB = 2**20


def stage(depth, reversible=False, rematerialize=False):
    """Returns a built stage."""
    block = ResidualBlock(32, activation_order="pre", reversible=reversible)
    # A reversible block has twice as many convolutions, of half the width.
    layer = ResidualStage(block, depth, execution="unrolled", rematerialize=rematerialize)
    layer.build((None, *SHAPE[1:]))
    return layer


def on_jax(layer):
    """Returns the MiB of a gradient's temporary values, and a function that takes a step."""
    import jax

    state = [v.value for v in layer.non_trainable_variables]

    def loss(weights, x):
        return (layer.stateless_call(weights, state, x, training=True)[0] ** 2).mean()

    weights, x = [v.value for v in layer.trainable_variables], np.ones(SHAPE, "float32")
    compiled = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(weights, x).compile()
    size = compiled.memory_analysis().temp_size_in_bytes
    return size / MIB, lambda: jax.block_until_ready(compiled(weights, x))


def on_torch(layer):
    """Returns the MiB that a forward pass keeps, and a function that takes a step."""
    import torch

    held, own = {}, {v.value.data_ptr() for v in layer.weights}

    def pack(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.ones(SHAPE, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x, training=True)
    size = sum(size for pointer, size in held.items() if pointer not in own)
    return size / MIB, lambda: (layer(x, training=True) ** 2).mean().backward()


def measured(depths, steps):
    """Returns MiB and milliseconds a step for each kind of stage and each depth."""
    measure = {"jax": on_jax, "torch": on_torch}[keras.backend.backend()]
    found = {name: {"mib": {}, "step_ms": {}} for name in ROWS}
    for depth in depths:
        taken = {name: measure(stage(depth, **options)) for name, options in ROWS.items()}
        times = {name: [] for name in ROWS}
        for _ in range(steps):
            for name, (_, step) in taken.items():
                start = time.perf_counter()
                step()
                times[name].append(1000 * (time.perf_counter() - start))
        for name, (size, _) in taken.items():
            found[name]["mib"][depth] = round(size, 1)
            found[name]["step_ms"][depth] = round(statistics.median(times[name]))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depths", type=int, nargs="+", default=(4, 8, 16))
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--results", type=pathlib.Path, default=_kept.RESULTS)
    arguments = parser.parse_args()
    found = measured(arguments.depths, arguments.steps)
    print("| | " + " | ".join(f"{depth} blocks" for depth in arguments.depths) + " |")
    print("|---|" + "---:|" * len(arguments.depths))
    for name, row in found.items():
        cells = [f"{row['mib'][d]:,.0f} MiB, {row['step_ms'][d]:,} ms" for d in arguments.depths]
        print(f"| {name} | " + " | ".join(cells) + " |")
    name = f"reversible_networks-{keras.backend.backend()}"
    _kept.keep(arguments.results, name, shape=SHAPE, rows=found)


if __name__ == "__main__":
    main()
