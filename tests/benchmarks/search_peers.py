"""Our HyperResNet beside Keras Tuner's: the same digits, trials, and seconds a trial.

    python tests/benchmarks/search_peers.py --trials 6 --seconds 60 --seeds 0 1 2

Both search at random, and compare networks on the same fifth of the training images. The best of
each, as it was trained in its trial, is tested on the 360 held-out digits. An interrupted
command can be repeated. The table is kept as JSON in `--results`.
"""

import argparse
import json
import pathlib
import time

import keras
import keras_tuner
import numpy as np
from _kept import RESULTS, keep

from keras_residual import data, tuning


class StopAfter(keras.callbacks.Callback):
    """Ends a training after some seconds, the compilation included."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        self.until = time.monotonic() + self.seconds

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() > self.until:
            self.model.stop_training = True


def arrays(split):
    return split.x.astype("float32") / split.scale, split.y


def tested(tuner, images, labels):
    model = tuner.get_best_models(1)[0]
    accuracy = (model.predict(images, verbose=0).argmax(-1) == labels).mean()
    (best,) = tuner.oracle.get_best_trials(1)
    done = [t for t in tuner.oracle.trials.values() if t.status == "COMPLETED"]
    return {
        "completed": len(done),
        "validation": float(best.metrics.get_last_value("val_accuracy")),
        "test": float(accuracy),
        "parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
    }


def ours(train, held_out, seed, arguments, folder):
    space = tuning.HyperResNet((8, 8, 1), 10, "ResNet8", augmentation=None)
    tuner = tuning.RandomSearch(
        space,
        keras_tuner.Objective("val_accuracy", "max"),
        directory=folder,
        seed=seed,
        max_trials=arguments.trials,
    )
    search(tuner, train, held_out, arguments)
    return tuner


def theirs(train, held_out, seed, arguments, folder):
    space = keras_tuner.applications.HyperResNet(input_shape=(8, 8, 1), classes=10)
    tuner = keras_tuner.RandomSearch(
        space,
        keras_tuner.Objective("val_accuracy", "max"),
        directory=folder,
        seed=seed + 1,
        max_trials=arguments.trials,
        max_consecutive_failed_trials=arguments.trials + 1,
    )
    shares = [(x, keras.utils.to_categorical(y, 10)) for x, y in (train, held_out)]
    search(tuner, *shares, arguments)
    return tuner


def search(tuner, train, held_out, arguments):
    tuner.search(
        *train,
        validation_data=held_out,
        epochs=arguments.epochs,
        callbacks=[StopAfter(arguments.seconds)],
        verbose=0,
    )


def compared(name, run, seed, arguments):
    """Returns the best of one space with one seed; finished searches are read from their files."""
    folder = arguments.output / f"{name}-seed{seed}"
    kept = folder / "found.json"
    if kept.exists():
        return json.loads(kept.read_text())
    digits = data.load("digits")
    train, held_out = (arrays(split) for split in digits.train.hold_out(0.2))
    began = time.monotonic()
    tuner = run(train, held_out, seed, arguments, folder)
    seconds = round(time.monotonic() - began)
    row = {"space": name, "seed": seed, "seconds": seconds, **tested(tuner, *arrays(digits.test))}
    kept.write_text(json.dumps(row, indent=2) + "\n")
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/peers"))
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    arguments = parser.parse_args()
    spaces = {"keras_residual.tuning": ours, "keras_tuner.applications": theirs}
    print("| `HyperResNet` of | seed | trials | seconds | validation | test | parameters |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    rows = []
    for seed in arguments.seeds:
        for name, run in spaces.items():
            row = compared(name, run, seed, arguments)
            rows.append(row)
            print(
                f"| `{name}` | {seed} | {row['completed']} of {arguments.trials} "
                f"| {row['seconds']} | {row['validation']:.2%} | {row['test']:.2%} "
                f"| {row['parameters']:,} |",
                flush=True,
            )
    print(keep(arguments.results, "search_peers", rows=rows))


if __name__ == "__main__":
    main()
