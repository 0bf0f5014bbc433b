"""How much sooner several workers reach an accuracy than one.

    python tests/benchmarks/search_workers.py --seeds 20
    python tests/benchmarks/search_workers.py --seeds 2 --sleep

An evolution tries residual networks that are not trained: the accuracy of a trial is a formula of
its knobs, and it lasts one to three seconds. Without `--sleep` a clock is simulated: one chief's
oracle, as it is, answers one, two and four workers, each of which asks again when its trial is
over. With `--sleep` chief and workers are processes of this machine whose trials sleep; what the
chief takes to think and to answer counts then. The goal is the highest accuracy, in steps of half a
percent, that nine of ten seeds reach with any number of workers.
"""

import argparse
import heapq
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import zlib

import keras
import keras_tuner
import numpy as np
from _kept import RESULTS, keep

from keras_residual import tuning
from keras_residual.tuning.budget import Cost
from keras_residual.tuning.oracles import EvolutionOracle

WORKERS = (1, 2, 4)
PORT = 8431
# How fast an accuracy falls with the distance of all knobs from their best, and what is luck.
STEEPNESS, LUCK = 1.0, 0.01


class UntrainedSpace(tuning.HyperResNet):
    """Residual networks whose trials take time but no processor, and reach what a formula says."""

    def __init__(self, seconds, **knobs):
        self.seconds_of_a_trial = seconds
        super().__init__((8, 8, 1), 10, "ResNet8", **knobs)

    def count(self, options):
        weights = sum(
            depth * width**2
            for depth, width in zip(options["depths"], options["widths"], strict=True)
        )
        return Cost(9 * weights, 500 * weights)

    def seconds(self, values):
        """Half to one and a half times the mean, whatever the network: the work stays equal."""
        return self.seconds_of_a_trial * (0.5 + _unit(f"seconds {sorted(values.items())}"))

    def accuracy(self, values):
        """Every active knob has a best value; the accuracy falls by the square of the distances."""
        misses = [
            (_place(knob, values[knob.name]) - _unit(knob.name)) ** 2
            for knob in self.knobs
            if knob.matters(values)
        ]
        text = json.dumps(values, sort_keys=True)
        luck = LUCK * (2 * _unit(text) - 1)
        return float(np.clip(0.99 - STEEPNESS * np.mean(misses) + luck, 0, 1))

    def build(self, hp):
        self.declare_hyperparameters(hp)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile()
        return model

    def fit(self, hp, model, x, y=None, **options):
        values = self.values(hp)
        time.sleep(self.seconds(values))
        accuracy = self.accuracy(values)
        return {"accuracy": accuracy, "val_accuracy": accuracy, "score": accuracy}


def _unit(text):
    """A number in [0, 1) that belongs to a text."""
    return float(np.random.default_rng(zlib.crc32(text.encode())).random())


def _place(knob, value):
    """Where a value stands among the choices, from 0 to 1."""
    if isinstance(knob.choices, tuning.Interval):
        low, high = np.log(knob.choices.low), np.log(knob.choices.high)
        return (np.log(value) - low) / (high - low)
    return knob.choices.index(knob.nearest(value)) / max(1, len(knob.choices) - 1)


def simulated(space, workers, trials, seed, folder, algorithm=EvolutionOracle):
    """Returns `(seconds, accuracy)` of each trial of a search on a simulated clock."""
    oracle = algorithm(
        space,
        pathlib.Path(folder),
        objective=keras_tuner.Objective("score", "max"),
        max_trials=trials,
        seed=seed + 1,
    )
    space.declare_hyperparameters(oracle.hyperparameters)
    events, idle, points = [], [], []

    def ask(worker, now):
        trial = oracle.create_trial(f"worker{worker}")
        if trial.status == "RUNNING":
            seconds = space.seconds(space.values(trial.hyperparameters))
            heapq.heappush(events, (now + seconds, worker, trial.trial_id))
        elif trial.status == "IDLE":
            idle.append(worker)

    for worker in range(workers):
        ask(worker, 0.0)
    while events:
        now, worker, trial_id = heapq.heappop(events)
        trial = oracle.get_trial(trial_id)
        accuracy = space.accuracy(space.values(trial.hyperparameters))
        oracle.update_trial(trial_id, {"score": accuracy})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        points.append((round(now, 2), accuracy))
        waiting, idle[:] = [worker, *idle], []
        for each in waiting:
            ask(each, now)
    return points


class Times(tuning.Listener):
    """Records when each trial ended and what it reached."""

    def __init__(self):
        self.points, self.began = [], None

    def trial_ended(self, trial):
        now = time.monotonic()
        if self.began is None:
            self.began = now - trial.metrics.get_last_value("seconds")
        accuracy = trial.metrics.get_last_value("val_accuracy")
        self.points.append((round(now - self.began, 2), accuracy))


def take_part(arguments):
    """Is the chief of all searches, or a worker of those that have so many."""
    x, y = np.zeros((20, 8, 8, 1), "float32"), np.arange(20) % 10
    pairs = [(seed, workers) for seed in range(arguments.seeds) for workers in WORKERS]
    for number, (seed, workers) in enumerate(pairs):
        if arguments.part > workers:
            continue
        role, times = "worker" if arguments.part else "chief", Times()
        address = f"127.0.0.1:{PORT + number}"
        with tempfile.TemporaryDirectory() as folder:
            tuning.search(
                UntrainedSpace(arguments.seconds),
                (x, y),
                folder,
                max_trials=arguments.trials,
                epochs=1,
                seed=seed,
                cluster=tuning.Cluster(role, address, f"w{arguments.part}", patience=600),
                listener=times,
            )
        if role == "chief":
            print(
                json.dumps({"seed": seed, "workers": workers, "points": times.points}), flush=True
            )


def asleep():
    """Returns the curves of searches by processes that sleep."""
    line = [sys.executable, __file__, *sys.argv[1:], "--part"]
    others = [subprocess.Popen([*line, str(number)]) for number in range(1, 1 + max(WORKERS))]
    try:
        chief = subprocess.run([*line, "0"], stdout=subprocess.PIPE, text=True, check=True)
    finally:
        for process in others:
            process.terminate()
    return [json.loads(row) for row in chief.stdout.splitlines() if row.startswith("{")]


def on_a_clock(arguments):
    """Returns the curves of searches on a simulated clock."""
    space, curves = UntrainedSpace(arguments.seconds), []
    for seed in range(arguments.seeds):
        for workers in WORKERS:
            with tempfile.TemporaryDirectory() as folder:
                points = simulated(space, workers, arguments.trials, seed, folder)
            curves.append({"seed": seed, "workers": workers, "points": points})
    return curves


def seconds_to(points, goal):
    return next((seconds for seconds, accuracy in points if accuracy >= goal), None)


def reached(curves, goal):
    """Seconds to a goal by number of workers, of each seed with which all reach it."""
    found = {}
    for curve in curves:
        seconds = seconds_to(curve["points"], goal)
        found.setdefault(curve["seed"], {})[curve["workers"]] = seconds
    return [row for row in found.values() if None not in row.values()]


def summary(curves, seeds):
    """Mean seconds to the goal by number of workers, over the seeds with which all reach it."""
    goals = [percent / 100 for percent in np.arange(99.5, 0, -0.5)]
    goal = next(goal for goal in goals if len(reached(curves, goal)) >= 0.9 * seeds)
    whole = reached(curves, goal)
    means = {workers: float(np.mean([row[workers] for row in whole])) for workers in WORKERS}
    ends = {
        workers: float(np.mean([c["points"][-1][0] for c in curves if c["workers"] == workers]))
        for workers in WORKERS
    }
    return {"goal": goal, "reached_by": len(whole), "seconds": means, "seconds_of_all": ends}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--sleep", action="store_true")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.part is not None:
        take_part(arguments)
        return
    curves = asleep() if arguments.sleep else on_a_clock(arguments)
    made = summary(curves, arguments.seeds)
    seconds, whole = made["seconds"], made["seconds_of_all"]
    print(f"{made['reached_by']} of {arguments.seeds} seeds reach {made['goal']:.1%} with all")
    print("| workers | seconds to the goal | as fast | all trials | as fast |")
    print("|---|---:|---:|---:|---:|")
    for workers in WORKERS:
        print(
            f"| {workers} | {seconds[workers]:.1f} | {seconds[1] / seconds[workers]:.2f} × "
            f"| {whole[workers]:.1f} | {whole[1] / whole[workers]:.2f} × |"
        )
    name = "search_workers-asleep" if arguments.sleep else "search_workers"
    print(keep(arguments.results, name, **made, curves=curves if arguments.sleep else None))


if __name__ == "__main__":
    main()
