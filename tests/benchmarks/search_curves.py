"""Accuracy over time of searches on one space: ours, Keras Tuner's and Optuna's.

    pip install optuna
    python tests/benchmarks/search_curves.py --minutes 2 --seeds 0 1 2
    pip install --no-deps aeon
    python tests/benchmarks/search_curves.py --dataset italy-power-demand --minutes 1 --seeds 0

All search the same space, one of `_search_tasks.py`: by default `HyperResNet` around ResNet-8 with
at most 5,142 parameters on the digits. They train each network for as many epochs on the same
training examples, and compare on the same held-out fifth of them. A minute is one of this process'
processor time with one thread, so that a busy machine takes longer and finds the same. Keras
Tuner's and Optuna's algorithms know no budget: a point of theirs that exceeds it is made smaller
until it fits, as the space does inside Keras Tuner; if its latency is too high, the trial fails.
The table is printed and kept as JSON in `--results`, with a picture; an interrupted command can be
repeated. `--write` writes the kept results into the guide.
"""

import argparse
import contextlib
import json
import os
import pathlib
import time

import keras
import keras_tuner
import tensorflow as tf
from _kept import RESULTS, keep
from _search_results import draw, table, write_guide
from _search_tasks import TASKS

from keras_residual import data, tuning
from keras_residual.tuning.sources import of_arrays


class OutOfTimeError(BaseException):
    """Ends a search; Keras Tuner would take an exception for a failed trial."""


class Curve(keras.callbacks.Callback):
    """Records the accuracy of every trial and the processor seconds at its end."""

    def __init__(self, seconds):
        super().__init__()
        self.began, self.seconds = time.process_time(), seconds
        self.points, self.from_scratch = [], None

    def __deepcopy__(self, memo):
        return self  # of all trials

    def on_train_end(self, logs=None):
        spent = time.process_time() - self.began
        accuracy = float((logs or {}).get("val_accuracy", 0.0))
        self.points.append((round(spent, 2), accuracy))
        print(f"  {spent:6.1f} s: {accuracy:.2%}", flush=True)
        self.check()

    def check(self):
        """Ends the search if its time is over."""
        if time.process_time() - self.began > self.seconds:
            raise OutOfTimeError


def prepared(space, source):
    """Returns the space and the arguments of its `fit`, as `tuning.search` has them."""
    if not isinstance(source, data.Dataset):
        return space, of_arrays(space, source, 0.2)
    parts = source.hold_out(0.2)
    mean, std = data.channel_statistics(parts.train)
    return space.prepared(standardization=(mean.tolist(), std.tolist())), {"x": parts}


class WithoutSlow(keras_tuner.HyperModel):
    """A space whose networks fail if their latency exceeds the budget."""

    def __init__(self, space, curve):
        super().__init__()
        self.space, self.curve, self.is_searching = space, curve, False

    def build(self, hp):
        model = self.space.build(hp)
        # Before the search, Keras Tuner builds networks to learn the hyperparameters.
        if self.is_searching and (reason := self.space.objection(hp)):
            self.curve.check()
            raise keras_tuner.errors.FailedTrialError(reason)
        return model

    def fit(self, *args, **options):
        return self.space.fit(*args, **options)


def ours(algorithm, **options):
    def run(space, source, seed, arguments, folder, curve):
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

        common = {"max_trials": 10_000, "epochs": arguments.epochs, "seed": seed, **options}
        try:
            tuning.search(space, source, folder, algorithm, listener=Listener(), **common)
        except OutOfTimeError:
            if not options.get("inherit"):
                raise
            # Resumed with no time left, the search trains its best network from scratch.
            result = tuning.search(space, source, folder, algorithm, max_minutes=1e-6, **common)
            if result.retrained is not None:
                curve.from_scratch = result.retrained["val_accuracy"]

    return run


def keras_tuners(kind, **options):
    def run(space, source, seed, arguments, folder, curve):
        space, given = prepared(space, source)
        searched = WithoutSlow(space, curve) if space.budget.max_latency_ms else space
        tuner = kind(
            searched,
            keras_tuner.Objective("val_accuracy", "max"),
            directory=folder,
            seed=seed + 1,
            max_consecutive_failed_trials=1000,
            **{
                name: arguments.epochs if value is None else value
                for name, value in options.items()
            },
        )
        searched.is_searching = True
        epochs = {} if "max_epochs" in options else {"epochs": arguments.epochs}
        tuner.search(verbose=0, callbacks=[curve], **given, **epochs)

    return run


def optuna_tpe(space, source, seed, arguments, folder, curve):
    """Optuna's tree-structured Parzen estimator over the same knobs and conditions."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, given = prepared(space, source)
    seeded = {"seed": seed} if isinstance(source, data.Dataset) else {"verbose": 0}

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
        if reason := space.objection(hp):
            curve.check()
            raise ValueError(reason)
        metrics = space.fit(hp, model, epochs=arguments.epochs, **given, **seeded)
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
    """Returns the curve of one search with one seed; finished ones are read from their files.

    With `--finished` others are left out, as `None`.
    """
    task = TASKS[arguments.dataset]
    search = name.replace(",", "").replace(" ", "-")
    folder = arguments.output / arguments.dataset / f"{search}-seed{seed}"
    kept = folder / "curve.json"
    if kept.exists():
        return json.loads(kept.read_text())
    if arguments.finished:
        return None
    print(f"{arguments.dataset}: {name}, seed {seed}", flush=True)
    source = task.load(arguments.data or task.path, task.examples)
    space = task.space(source, **{task.budget: arguments.budget or task.bound})
    curve = Curve(60 * arguments.minutes)
    with contextlib.suppress(OutOfTimeError):
        SEARCHES[name](space, source, seed, arguments, folder / str(os.getpid()), curve)
    folder.mkdir(parents=True, exist_ok=True)
    found = {"points": curve.points, "from_scratch": curve.from_scratch}
    kept.write_text(json.dumps(found))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits", choices=list(TASKS))
    parser.add_argument("--data", help="the file or folder of the data set, if it is elsewhere")
    parser.add_argument("--budget", type=json.loads, help="default: that of the task")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES), choices=list(SEARCHES))
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/curves"))
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--finished", action="store_true", help="only what has been run before")
    parser.add_argument("--write", action="store_true", help="only write the guide's tables")
    arguments = parser.parse_args()
    if arguments.write:
        write_guide(arguments.results)
        return
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    task, minutes = TASKS[arguments.dataset], arguments.minutes
    name = "search_curves" + (f"-{arguments.dataset}" if arguments.dataset != "digits" else "")
    curves = {search: {} for search in arguments.searches}
    for seed in arguments.seeds:
        for search in arguments.searches:
            if found := curve_of(search, seed, arguments):
                curves[search][seed] = found
        shown = {search: found for search, found in curves.items() if found}
        print(table(shown, minutes), flush=True)
        content = {"dataset": arguments.dataset, "searched": task.words, "minutes": minutes}
        content["budget"] = {task.budget: arguments.budget or task.bound}
        print(keep(arguments.results, name, **content, epochs=arguments.epochs, curves=shown))
        draw(shown, minutes, arguments.results / f"{name}.png")


if __name__ == "__main__":
    main()
