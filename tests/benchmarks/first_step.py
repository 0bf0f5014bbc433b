"""Seconds until the first training step is done: as Keras does it, and as `training.fit` does.

    python tests/benchmarks/first_step.py --keep
    python tests/benchmarks/first_step.py --models ResNet110 --ways keras training.fit

One step of a batch of 8, AdamW by the recipe `quick`. Each row is a process of its own; the ways
take turns, so that other work on the machine disturbs all alike. `keras` is `model.fit` with Keras'
own updates; `built` makes the variables before it by `training.build`; `fused` has the recipe's
updates as well; `training.fit` takes the same batches, and runs graphs as they are traced. Wall and
processor seconds, building the model left out, then the median of five more epochs of one step.
Kept rows of other models and ways stay; `--table` writes them into the guide to training.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from _kept import RESULTS, keep

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tables

GUIDE = tables.ROOT / "docs" / "guide" / "training.md"

SIZES = {"ResNet50": 224, "ResNet110": 32, "ResNet164V2": 32, "ResNet1001V2": 32}
WAYS = ("keras", "built", "fused", "training.fit")


def measured(name: str, way: str) -> dict:
    """Times one way for one model, in this process."""
    import keras
    import numpy as np
    import tensorflow as tf

    import keras_residual
    from keras_residual import training

    size = SIZES[name]
    x = np.random.default_rng(0).random((8, size, size, 3)).astype("float32")
    y = np.arange(8, dtype="int32")
    model = getattr(keras_residual, name)(input_shape=(size, size, 3), classes=10)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    optimizer = training.recipes["quick"].make_optimizer(10)
    if way in ("keras", "built"):
        # The update as Keras writes it.
        optimizer.apply = type(optimizer).apply.__get__(optimizer)
    wall, cpu = time.perf_counter(), time.process_time()
    if way == "training.fit":
        with tempfile.TemporaryDirectory() as folder:
            first = FirstStep(keras)
            training.fit(
                model, (batches, None), "quick", folder, epochs=1, verbose=0, callbacks=[first.hook]
            )
        ended = first.ended
    else:
        loss = "sparse_categorical_crossentropy"
        model.compile(optimizer, loss, metrics=["accuracy"])
        if way != "keras":
            training.build(model, x, y)
        model.fit(batches, verbose=0)
        ended = time.perf_counter(), time.process_time()
    steps = []
    for _ in range(5):
        started = time.perf_counter()
        model.fit(batches, verbose=0)
        steps.append(time.perf_counter() - started)
    return {
        "model": name,
        "way": way,
        "seconds": round(ended[0] - wall, 2),
        "cpu_seconds": round(ended[1] - cpu, 2),
        "next_steps": round(statistics.median(steps), 3),
    }


class FirstStep:
    """When the first step of a training was done."""

    def __init__(self, keras):
        self.ended = None
        self.hook = keras.callbacks.LambdaCallback(on_train_batch_end=self._note)

    def _note(self, batch, logs=None):
        if self.ended is None:
            self.ended = time.perf_counter(), time.process_time()


def table(folder=RESULTS):
    """Returns the kept seconds as a table of Markdown, the median where there are several."""
    seconds = {}
    for row in json.loads((folder / "first_step.json").read_text())["rows"]:
        seconds.setdefault((row["model"], row["way"]), []).append(row["seconds"])
    lines = ["| | plain Keras | variables created first | `training.fit` |", "|---|---:|---:|---:|"]
    for name, size in SIZES.items():
        found = [seconds.get((name, way)) for way in ("keras", "built", "training.fit")]
        cells = " | ".join(f"{statistics.median(each):.1f} s" if each else "" for each in found)
        lines.append(f"| `{name}`, {size}² | {cells} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["ResNet50", "ResNet110", "ResNet164V2"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help=f"write {RESULTS}/first_step.json")
    parser.add_argument("--table", action="store_true", help="only write the guide's table")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(*arguments.one)))
        return
    if arguments.table:
        tables.write(GUIDE, "first-step", table())
        return
    path, rows = RESULTS / "first_step.json", []
    before = json.loads(path.read_text())["rows"] if path.is_file() else []
    for _ in range(arguments.rounds):
        for name in arguments.models:
            for way in arguments.ways:
                command = [sys.executable, "-W", "ignore", __file__, "--one", name, way]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(rows[-1], flush=True)
                before = [row for row in before if (row["model"], row["way"]) != (name, way)]
                if arguments.keep:
                    keep(RESULTS, "first_step", rows=[*before, *rows])


if __name__ == "__main__":
    main()
