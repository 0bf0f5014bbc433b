"""Thousand-layer networks: time to the first training step, steady step, peak memory.

    python tests/benchmarks/deep_networks.py            # the table, each row in its own process
    KERAS_BACKEND=jax python tests/benchmarks/deep_networks.py

Random 32×32 images, batch 8, SGD. "First step" is building the model and the first training step.
"Memory" is the growth of the process's peak memory over the first steps, its size after building
subtracted. The steady step is the median of 15.

    python tests/benchmarks/deep_networks.py --pair     # ResNet1001V2 scanned against unrolled

builds both in one process (a minute) and takes their steps in turn.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

ROWS = [
    ("ResNet1001V2", 24, "unrolled", False),
    ("ResNet1001V2", 24, "scanned", False),
    ("ResNet1001V2", 111, "scanned", False),
    ("ResNet1001V2", 111, "scanned", True),
    ("ResNet1202", 200, "scanned", False),
    ("ResNet1202", 200, "scanned", True),
]


def resident() -> float:
    """Returns the resident memory of this process in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def measure(name, depth, execution, rematerialize, batch=8, steps=15):
    """Returns the row of one network, measured in this process."""
    import keras
    import numpy as np

    import keras_residual

    images = np.random.default_rng(0).random((batch, 32, 32, 3), "float32")
    labels = np.arange(batch) % 10
    start = time.perf_counter()
    model = keras_residual.get_model(
        name, depths=(depth,) * 3, execution=execution, rematerialize=rematerialize
    )
    built = time.perf_counter() - start
    before = resident()
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    model.train_on_batch(images, labels)
    first = time.perf_counter() - start
    times = []
    for _ in range(steps):
        moment = time.perf_counter()
        model.train_on_batch(images, labels)
        times.append(time.perf_counter() - moment)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "name": name,
        "blocks": 3 * depth,
        "execution": execution,
        "rematerialize": rematerialize,
        "build_s": round(built, 2),
        "first_step_s": round(first, 2),
        "step_s": round(sorted(times)[len(times) // 2], 3),
        "memory_mib": round(peak - before),
    }


def compare(depth, batch, steps):
    """Prints the steady step of both executions, taken in turn in this process."""
    import keras
    import numpy as np

    import keras_residual

    images = np.random.default_rng(0).random((batch, 32, 32, 3), "float32")
    labels = np.arange(batch) % 10
    models = {}
    for execution in ("unrolled", "scanned"):
        model = keras_residual.ResNet1001V2(depths=(depth,) * 3, execution=execution)
        model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
        model.train_on_batch(images, labels)
        models[execution] = model
    times = {execution: [] for execution in models}
    for _ in range(steps):
        for execution, model in models.items():
            moment = time.perf_counter()
            model.train_on_batch(images, labels)
            times[execution].append(time.perf_counter() - moment)
    unrolled, scanned = (statistics.median(values) for values in times.values())
    print(f"unrolled {unrolled:.3f} s  scanned {scanned:.3f} s  ratio {scanned / unrolled:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", help="measure one row, given as JSON, in this process")
    parser.add_argument("--pair", action="store_true", help="both executions in this process")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=15)
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(measure(*json.loads(arguments.row), arguments.batch, arguments.steps)))
        return
    print("backend:", os.environ.get("KERAS_BACKEND", "tensorflow"), " batch:", arguments.batch)
    if arguments.pair:
        compare(111, arguments.batch, arguments.steps)
        return
    for row in ROWS:
        command = [sys.executable, __file__, "--row", json.dumps(row)]
        command += ["--batch", str(arguments.batch), "--steps", str(arguments.steps)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=900)
        lines = result.stdout.splitlines() or [f"failed: {result.stderr.splitlines()[-1:]}"]
        print(lines[-1], flush=True)


if __name__ == "__main__":
    main()
