"""How far accuracies with inherited weights rank networks as training from scratch does.

    python tests/benchmarks/inherited_ranks.py --trials 18 --seed 0

An evolution with inherited weights on the digits, at most `--max-parameters`; then each network
that inherited is trained from scratch by its own recipe, for all the epochs. Printed and kept:
both accuracies, Kendall's tau between the two orders, and the processor seconds of each way.
An interrupted command can be repeated.
"""

import argparse
import itertools
import json
import pathlib
import time

import keras
import keras_tuner
import tensorflow as tf
from _kept import RESULTS, keep

from keras_residual import data, tuning


class Seconds(tuning.Listener):
    """Measures the processor seconds of each trial."""

    def __init__(self):
        self.of = {}

    def trial_began(self, trial):
        self.began = time.process_time()

    def trial_ended(self, trial):
        self.of[trial.trial_id] = round(time.process_time() - self.began, 2)


def kendall(first, second):
    """Kendall's tau-b of two lists, which corrects for equal values."""
    pairs = list(itertools.combinations(range(len(first)), 2))
    signs = [
        tuple((values[i] > values[j]) - (values[i] < values[j]) for values in (first, second))
        for i, j in pairs
    ]
    total = sum(a * b for a, b in signs)
    differing = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    return total / (differing[0] * differing[1]) ** 0.5 if all(differing) else float("nan")


def from_scratch(space, row, parts, epochs, seed):
    """Returns the accuracy of a trial's network trained from scratch, and its CPU seconds."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(row.values)
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    began = time.process_time()
    metrics = space.fit(hp, space.build(hp), parts, epochs=epochs, seed=seed)
    return metrics["val_accuracy"], round(time.process_time() - began, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=18)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--max-parameters", type=int, default=5_142)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/ranks"))
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    digits, seconds = data.load("digits"), Seconds()
    space = tuning.HyperResNet(
        digits.image_shape,
        digits.num_classes,
        "ResNet8",
        max_parameters=arguments.max_parameters,
        stem="conv3",
    )
    result = tuning.search(
        space,
        digits,
        arguments.output,
        max_trials=arguments.trials,
        epochs=arguments.epochs,
        seed=arguments.seed,
        inherit=True,
        listener=seconds,
    )
    print(result)
    parts, rows = digits.hold_out(0.2), []
    for row in (row for row in result.completed if row.metrics["inherited"]):
        kept = arguments.output / f"scratch-{row.trial}.json"
        if not kept.exists():
            found = from_scratch(result.hypermodel, row, parts, arguments.epochs, arguments.seed)
            kept.write_text(json.dumps(found))
        accuracy, took = json.loads(kept.read_text())
        rows.append(
            {
                "trial": row.trial,
                "network": result.in_words(row),
                "inherited": row.accuracy,
                "from_scratch": accuracy,
                "seconds": seconds.of.get(row.trial),
                "seconds_from_scratch": took,
            }
        )
        print(f"| {row.trial} | {row.accuracy:.2%} | {accuracy:.2%} |", flush=True)
    tau = kendall([row["inherited"] for row in rows], [row["from_scratch"] for row in rows])
    print(f"Kendall's tau of {len(rows)} networks: {tau:.2f}")
    retrained = result.retrained and result.retrained["val_accuracy"]
    best = {"inherited": result.best.accuracy, "from_scratch": retrained}
    print(keep(arguments.results, "inherited_ranks", tau=tau, best=best, rows=rows))


if __name__ == "__main__":
    main()
