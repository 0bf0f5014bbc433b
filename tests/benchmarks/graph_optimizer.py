"""TensorFlow's graph optimizer on and off: the first step, later steps, and inference.

    python tests/benchmarks/graph_optimizer.py --keep

Each row builds a model twice, once for each setting of `disable_meta_optimizer`, and lets the two
take turns in one process, so that other work on the machine disturbs both alike. The first step,
whose graph is traced, optimized and run, is processor time; a step of `model.fit`, one in the loop
of `training.fit` and a batch of inference are medians over the rounds. A ratio is the time with the
optimizer over the time without: above 1 the optimizer costs, below 1 it pays. On a busy machine
`--processor-time` measures the processor's time instead of the clock's.
"""

import argparse
import time

from _kept import RESULTS, keep
from _turns import in_turn

# Network, shape of an example, batch, and steps of a round.
ROWS = (
    ("ResNet8", (32, 32, 3), 32, 8),
    ("ResNet20", (32, 32, 3), 32, 4),
    ("ResNet18", (64, 64, 3), 16, 3),
    ("ResidualLSTMClassifier", (32, 8), 16, 10),
    ("ResNet50", (96, 96, 3), 8, 2),
    ("ResNet110", (32, 32, 3), 16, 2),
    ("DenseNet121", (64, 64, 3), 8, 2),
)
NAMES = ("on_ms", "off_ms")


class Prepared:
    """A model that trains and predicts with one setting of the graph optimizer."""

    clock = staticmethod(time.perf_counter)

    def __init__(self, optimized: bool, name: str, shape, batch: int, steps: int):
        import keras
        import numpy as np
        import tensorflow as tf

        import keras_residual
        from keras_residual import training

        self.optimized, self.steps = optimized, steps
        self._set()
        rng = np.random.default_rng(0)
        x = rng.random((batch, *shape), np.float32)
        y = (np.arange(batch) % 8).astype("int32")
        self.model = getattr(keras_residual, name)(input_shape=shape, classes=10)
        optimizer = training.recipes["quick"].make_optimizer(1000)
        self.model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy())
        training.build(self.model, x, y)
        self.loop = self._loop(x, y) if len(shape) == 3 else None
        self.batches = tf.data.Dataset.from_tensors((x, y)).repeat()
        self.images = tf.data.Dataset.from_tensors(x).repeat(steps)
        started = time.process_time()
        self.model.fit(self.batches, steps_per_epoch=1, verbose=0)
        self.first = time.process_time() - started
        started = time.process_time()
        self.model.predict(self.images, verbose=0)
        self.first_prediction = time.process_time() - started

    def _set(self):
        import tensorflow as tf

        options = {"disable_meta_optimizer": not self.optimized}
        tf.config.optimizer.set_experimental_options(options)

    def _loop(self, x, y):
        """Returns a function that trains the steps of a round in one call, as `training.fit`."""
        import numpy as np

        from keras_residual import data
        from keras_residual.training.steps import compile_steps

        split = data.load((x, y, x, y)).train
        batches = data.in_step(split, len(x), training=True, augmentation="none")
        run = compile_steps(self.model, batches, "train")
        order = np.repeat(batches.order(0)[0], self.steps, axis=0)
        return lambda: run(order, 0)

    def loop_of_steps(self) -> float:
        """Returns the milliseconds of a training step in a loop inside the graph."""
        self._set()
        started = self.clock()
        self.loop()
        return 1e3 * (self.clock() - started) / self.steps

    def step(self) -> float:
        """Returns the milliseconds of a training step."""
        self._set()
        started = self.clock()
        self.model.fit(self.batches, steps_per_epoch=self.steps, verbose=0)
        return 1e3 * (self.clock() - started) / self.steps

    def inference(self) -> float:
        """Returns the milliseconds of a batch of `predict`."""
        self._set()
        started = self.clock()
        self.model.predict(self.images, verbose=0)
        return 1e3 * (self.clock() - started) / self.steps


def measured(row, rounds: int) -> dict:
    import keras

    keras.utils.set_random_seed(0)
    # The first model of a process pays for what all share, so neither setting is measured on it.
    Prepared(True, "ResNet8", (16, 16, 3), 8, 1)
    on, off = ready = [Prepared(optimized, *row) for optimized in (True, False)]
    kinds = ["step", "inference", *(["loop_of_steps"] if on.loop else [])]
    measures = {kind: [getattr(one, kind) for one in ready] for kind in kinds}
    for pair in measures.values():
        pair[0](), pair[1]()
    return {
        "model": row[0],
        "shape": list(row[1]),
        "batch": row[2],
        "first_step_cpu_s": {"on": round(on.first, 2), "off": round(off.first, 2)},
        "first_prediction_cpu_s": {
            "on": round(on.first_prediction, 2),
            "off": round(off.first_prediction, 2),
        },
        **{kind: in_turn(pair, rounds, NAMES) for kind, pair in measures.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--models", nargs="+", choices=sorted({row[0] for row in ROWS}))
    parser.add_argument("--keep", action="store_true", help=f"write {RESULTS}/graph_optimizer.json")
    parser.add_argument("--processor-time", action="store_true", help="on a busy machine")
    arguments = parser.parse_args()
    if arguments.processor_time:
        Prepared.clock = staticmethod(time.process_time)
    rows = []
    for row in ROWS:
        if arguments.models and row[0] not in arguments.models:
            continue
        rows.append(measured(row, arguments.rounds))
        print(rows[-1], flush=True)
        if arguments.keep:
            keep(RESULTS, "graph_optimizer", rows=rows)


if __name__ == "__main__":
    main()
