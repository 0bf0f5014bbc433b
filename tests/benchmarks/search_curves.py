"""Accuracy over time of searches on one space: ours, Keras Tuner's and Optuna's.

    pip install optuna
    python tests/benchmarks/search_curves.py --minutes 3 --seeds 0 1 2

All search the same space, `HyperResNet` around ResNet-8 with at most `--max-parameters`, train each
network for as many epochs on the same training images, and compare on the same held-out fifth of
them. A minute is one of this process' processor time with one thread, so that a busy machine takes
longer and finds the same. Keras Tuner's and Optuna's algorithms know no budget: a point of theirs
that exceeds it is made smaller until it fits, as the space does inside Keras Tuner. Kept as JSON
and a picture in `--results`; an interrupted command can be repeated.
"""

import argparse
import contextlib
import json
import os
import pathlib
import time

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from _kept import RESULTS, keep

from keras_residual import data, tuning


class OutOfTimeError(BaseException):
    """Ends a search; Keras Tuner would take an exception for a failed trial."""


class Curve(keras.callbacks.Callback):
    """Records the accuracy of every trial and the processor seconds at its end."""

    def __init__(self, seconds):
        super().__init__()
        self.began, self.seconds = time.process_time(), seconds
        self.points = []

    def __deepcopy__(self, memo):
        return self  # of all trials

    def on_train_end(self, logs=None):
        spent = time.process_time() - self.began
        accuracy = float((logs or {}).get("val_accuracy", 0.0))
        self.points.append((round(spent, 2), accuracy))
        print(f"  {spent:6.1f} s: {accuracy:.2%}", flush=True)
        if spent > self.seconds:
            raise OutOfTimeError


def space_of(arguments):
    digits = data.load("digits")
    shape, classes = digits.image_shape, digits.num_classes
    return tuning.HyperResNet(
        shape, classes, "ResNet8", max_parameters=arguments.max_parameters, stem="conv3"
    )


def prepared(space):
    """Returns the space with the pixels' statistics, and the images as `tuning.search` has them."""
    parts = data.load("digits").hold_out(0.2)
    mean, std = data.channel_statistics(parts.train)
    return space.prepared(standardization=(mean.tolist(), std.tolist())), parts


def ours(algorithm, **options):
    def run(space, seed, arguments, folder, curve):
        class Listener(tuning.Listener):
            def trial_ended(self, trial):
                accuracy = 0.0
                if trial.status == "COMPLETED":
                    accuracy = trial.metrics.get_last_value("val_accuracy")
                else:
                    print(f"  trial {trial.trial_id} failed: {trial.message}", flush=True)
                curve.on_train_end({"val_accuracy": accuracy})

            def message(self, line):
                print(f"  {line}", flush=True)

        tuning.search(
            space,
            data.load("digits"),
            folder,
            algorithm,
            max_trials=10_000,
            epochs=arguments.epochs,
            seed=seed,
            listener=Listener(),
            **options,
        )

    return run


def keras_tuners(kind, **options):
    def run(space, seed, arguments, folder, curve):
        space, parts = prepared(space)
        tuner = kind(
            space,
            keras_tuner.Objective("val_accuracy", "max"),
            directory=folder,
            seed=seed + 1,
            max_consecutive_failed_trials=1000,
            **{
                name: arguments.epochs if value is None else value
                for name, value in options.items()
            },
        )
        epochs = {} if "max_epochs" in options else {"epochs": arguments.epochs}
        tuner.search(parts, verbose=0, callbacks=[curve], **epochs)

    return run


def optuna_tpe(space, seed, arguments, folder, curve):
    """Optuna's tree-structured Parzen estimator over the same knobs and conditions."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, parts = prepared(space)

    def suggested(trial, knob):
        if isinstance(knob.choices, tuning.Interval):
            ends = knob.choices.low, knob.choices.high
            return trial.suggest_float(knob.name, *ends, log=knob.choices.log)
        return trial.suggest_categorical(knob.name, list(knob.choices))

    def objective(trial):
        hp = keras_tuner.HyperParameters()
        space.declare_hyperparameters(hp)
        values = {}
        for knob in space.knobs:
            if knob.matters({**space.defaults, **values}):
                values[knob.name] = suggested(trial, knob)
        hp.values = values
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed + trial.number)
        model = space.build(hp)
        metrics = space.fit(hp, model, parts, epochs=arguments.epochs, seed=seed)
        curve.on_train_end(metrics)
        return metrics["val_accuracy"]

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, multivariate=False)
    )
    study.optimize(objective, n_trials=10_000, catch=(ValueError, FloatingPointError))


SEARCHES = {
    "evolution": ours("evolution"),
    "evolution, median rule": ours("evolution", early_stopping="median"),
    "evolution, inherited": ours("evolution", inherit=True),
    "KT random": keras_tuners(keras_tuner.RandomSearch, max_trials=10_000),
    "KT Bayesian": keras_tuners(keras_tuner.BayesianOptimization, max_trials=60),
    "KT Hyperband": keras_tuners(keras_tuner.Hyperband, max_epochs=None, hyperband_iterations=100),
    "Optuna TPE": optuna_tpe,
}


def curve_of(name, seed, arguments):
    """Returns the curve of one search with one seed; finished ones are read from their files."""
    folder = arguments.output / f"{name.replace(',', '').replace(' ', '-')}-seed{seed}"
    kept = folder / "curve.json"
    if kept.exists():
        return json.loads(kept.read_text())
    print(f"{name}, seed {seed}", flush=True)
    curve = Curve(60 * arguments.minutes)
    with contextlib.suppress(OutOfTimeError):
        SEARCHES[name](space_of(arguments), seed, arguments, folder / str(os.getpid()), curve)
    kept.write_text(json.dumps(curve.points))
    return curve.points


def best_after(points, seconds):
    return max((accuracy for spent, accuracy in points if spent <= seconds), default=0.0)


def draw(curves, minutes, path):
    """Draws the mean over seeds of the best held-out accuracy so far."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
    times = np.linspace(0, 60 * minutes, 400)
    for name, seeds in curves.items():
        values = np.mean([[best_after(points, t) for t in times] for points in seeds.values()], 0)
        started = values > 0.5
        axes.plot(times[started] / 60, 100 * values[started], label=name)
    axes.set(xlabel="minutes of processor time", ylabel="best held-out accuracy so far, %")
    axes.set_ylim(bottom=88)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--max-parameters", type=int, default=5_142)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES), choices=list(SEARCHES))
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/curves"))
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    curves = {name: {} for name in arguments.searches}
    for seed in arguments.seeds:
        for name in arguments.searches:
            curves[name][seed] = curve_of(name, seed, arguments)
    print("| search | trials | best after 1 min | best at the end | mean | range |")
    print("|---|---:|---:|---:|---:|---:|")
    end = 60 * arguments.minutes
    for name, seeds in curves.items():
        finals = [best_after(points, end) for points in seeds.values()]
        early = np.mean([best_after(points, 60) for points in seeds.values()])
        trials = np.mean([len(points) for points in seeds.values()])
        print(
            f"| {name} | {trials:.0f} | {early:.2%} | {', '.join(f'{x:.2%}' for x in finals)} "
            f"| {np.mean(finals):.2%} | {max(finals) - min(finals):.2%} |"
        )
    print(keep(arguments.results, "search_curves", minutes=arguments.minutes, curves=curves))
    draw(curves, arguments.minutes, arguments.results / "search_curves.png")


if __name__ == "__main__":
    main()
