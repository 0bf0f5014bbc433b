"""Our HyperResNet beside Keras Tuner's: the same digits, trials, and seconds a trial.

    python tests/benchmarks/search_peers.py --trials 6 --seconds 25

Both search at random, and compare networks on the same fifth of the training images. The best of
each, as it was trained in its trial, is tested on the 360 held-out digits.
"""

import argparse
import pathlib
import tempfile
import time

import keras
import keras_tuner
import numpy as np

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
    (trial,) = tuner.oracle.get_best_trials(1)
    done = [t for t in tuner.oracle.trials.values() if t.status == "COMPLETED"]
    epochs = trial.metrics.get_last_value("val_accuracy")
    return {
        "completed": len(done),
        "validation": epochs,
        "test": float(accuracy),
        "parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
    }


def ours(train, held_out, test, arguments, folder):
    space = tuning.HyperResNet((8, 8, 1), 10, "ResNet8", augmentation=None)
    tuner = tuning.RandomSearch(
        space,
        keras_tuner.Objective("val_accuracy", "max"),
        directory=folder,
        seed=arguments.seed,
        max_trials=arguments.trials,
    )
    search(tuner, train, held_out, arguments)
    return tested(tuner, *test)


def theirs(train, held_out, test, arguments, folder):
    space = keras_tuner.applications.HyperResNet(input_shape=(8, 8, 1), classes=10)
    tuner = keras_tuner.RandomSearch(
        space,
        keras_tuner.Objective("val_accuracy", "max"),
        directory=folder,
        seed=arguments.seed + 1,
        max_trials=arguments.trials,
        max_consecutive_failed_trials=arguments.trials + 1,
    )
    shares = [(x, keras.utils.to_categorical(y, 10)) for x, y in (train, held_out)]
    search(tuner, *shares, arguments)
    return tested(tuner, *test)


def search(tuner, train, held_out, arguments):
    tuner.search(
        *train,
        validation_data=held_out,
        epochs=arguments.epochs,
        callbacks=[StopAfter(arguments.seconds)],
        verbose=0,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    digits = data.load("digits")
    train, held_out = (arrays(split) for split in digits.train.hold_out(0.2))
    test = arrays(digits.test)
    print("| space | trials | seconds | validation | test | parameters of the best |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, run in (("keras_residual", ours), ("keras_tuner.applications", theirs)):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            found = run(train, held_out, test, arguments, pathlib.Path(folder))
            seconds = time.monotonic() - began
        print(
            f"| {name}.HyperResNet | {found['completed']} of {arguments.trials} | {seconds:.0f} "
            f"| {found['validation']:.2%} | {found['test']:.2%} | {found['parameters']:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
