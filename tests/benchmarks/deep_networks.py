"""Thousand-layer networks: time to the first training step, steady step, peak memory.

    python tests/benchmarks/deep_networks.py            # the table, each row in its own process
    KERAS_BACKEND=jax python tests/benchmarks/deep_networks.py

Random 32×32 images, batch 8, SGD. "First step" is building the model and the first training step.
"Memory" is the growth of the process's peak memory over the first steps, its size after building
subtracted. The steady step is the median of 15.

    python tests/benchmarks/deep_networks.py --pair 24 48 --keep

builds ResNet1001V2 with so many blocks a stage scanned and unrolled in one process, takes their
steps and batches of inference in turn, and says after how many steps the longer first step of the
unrolled network, in processor seconds, is made up for.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

from _kept import RESULTS, keep
from _turns import in_turn

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


def pair(blocks, batch, rounds, clock=time.perf_counter):
    """Returns first steps, steps and inference of both executions, taken in turn."""
    import keras
    import numpy as np

    import keras_residual
    from keras_residual import training

    images = np.random.default_rng(0).random((batch, 32, 32, 3), "float32")
    labels = np.arange(batch) % 10
    first, steps, inference = {}, [], []
    for execution in ("scanned", "unrolled"):
        model = keras_residual.ResNet1001V2(depths=(blocks,) * 3, execution=execution)
        optimizer = training.recipes["quick"].make_optimizer(1000)
        moment = time.process_time()
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy())
        training.build(model, images, labels)
        model.train_on_batch(images, labels)
        first[execution] = round(time.process_time() - moment, 2)
        model.predict_on_batch(images)
        steps.append(timed(clock, model.train_on_batch, images, labels))
        inference.append(timed(clock, model.predict_on_batch, images))
    names = ("scanned_ms", "unrolled_ms")
    step = in_turn(steps, rounds, names)
    lost, gained = first["unrolled"] - first["scanned"], step["scanned_ms"] - step["unrolled_ms"]
    return {
        "blocks": blocks,
        "batch": batch,
        "first_step_cpu_s": first,
        "step": step,
        "inference": in_turn(inference, rounds, names),
        "made_up_after_steps": round(1e3 * lost / gained) if lost > 0 and gained > 0 else None,
    }


def timed(clock, function, *arguments):
    """Returns a function that calls another and returns the milliseconds it took."""

    def run():
        moment = clock()
        function(*arguments)
        return 1e3 * (clock() - moment)

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", help="measure one row, given as JSON, in this process")
    parser.add_argument("--pair", type=int, nargs="+", help="blocks a stage, both executions")
    parser.add_argument("--keep", action="store_true", help="write the pairs' results")
    parser.add_argument("--processor-time", action="store_true", help="of pairs, on a busy machine")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=15)
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(measure(*json.loads(arguments.row), arguments.batch, arguments.steps)))
        return
    print("backend:", os.environ.get("KERAS_BACKEND", "tensorflow"), " batch:", arguments.batch)
    if arguments.pair:
        rows = []
        for blocks in arguments.pair:
            clock = time.process_time if arguments.processor_time else time.perf_counter
            rows.append(pair(blocks, arguments.batch, arguments.steps, clock))
            print(rows[-1], flush=True)
            if arguments.keep:
                keep(RESULTS, "scanned_and_unrolled", rows=rows)
        return
    for row in ROWS:
        command = [sys.executable, __file__, "--row", json.dumps(row)]
        command += ["--batch", str(arguments.batch), "--steps", str(arguments.steps)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=900)
        lines = result.stdout.splitlines() or [f"failed: {result.stderr.splitlines()[-1:]}"]
        print(lines[-1], flush=True)


if __name__ == "__main__":
    main()
