"""Whether a commit is slower than another: both measured in turn, in one run.

    python tests/benchmarks/compare.py main~20 main
    python tests/benchmarks/compare.py v0.1 HEAD --rows "ResNet-20 step" "LSTM step" --rounds 20
    python tests/benchmarks/compare.py --page          # draws what earlier runs found

Each commit is checked out into a folder of its own and measured by a process of its own, which the
rows of this file (the same for both) run in. The two take turns, so that other work on the machine
disturbs both alike; the one that waits does not compute. A row prints the median milliseconds of
both, and the time before over the time after with its quartiles: less than 1 is slower. If one
falls below 0.9 the command ends with status 1. Runs are added to `history.json` with versions,
machine and day; `--page` draws them as `history.html`.
"""

import argparse
import contextlib
import datetime
import functools
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

from _kept import RESULTS, versions
from _turns import Process, in_turn, serve

HERE = pathlib.Path(__file__).resolve()
SLOWER = 0.9


def _step(model, x, y):
    import keras

    model.compile(keras.optimizers.SGD(0.01, 0.9), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return lambda: model.train_on_batch(x, y)


def _images(batch, side):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.random((batch, side, side, 3), np.float32), rng.integers(0, 10, batch)


def network_step(name, batch, side):
    import keras_residual

    model = keras_residual.get_model(name, input_shape=(side, side, 3), classes=10)
    return _step(model, *_images(batch, side))


def network_inference(name, batch, side):
    import keras_residual

    model = keras_residual.get_model(name, input_shape=(side, side, 3), classes=10)
    x = _images(batch, side)[0]
    return lambda: model.predict_on_batch(x)


def lstm(training):
    import keras
    import numpy as np

    from keras_residual.layers import ResidualLSTM

    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 64, 128)).astype("float32")
    inputs = keras.Input((64, 128))
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(ResidualLSTM(128, 4)(inputs)))
    if training:
        return _step(model, x, rng.integers(0, 10, 8))
    return lambda: model.predict_on_batch(x)


def pipeline():
    import numpy as np

    from keras_residual import data

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1024, 32, 32, 3), dtype=np.uint8)
    y = rng.integers(0, 10, 1024).astype("int32")
    split = data.load((x, y, x[:8], y[:8])).train
    batches = data.pipeline(split, batch_size=128, training=True)
    return lambda: [None for _ in batches]


ROWS = {
    "ResNet-20 step": lambda: network_step("ResNet20", 32, 32),
    "ResNet-50 step": lambda: network_step("ResNet50", 4, 128),
    "ResNet-50 inference": lambda: network_inference("ResNet50", 4, 128),
    "DenseNet-121 inference": lambda: network_inference("DenseNet121", 4, 128),
    "LSTM step": lambda: lstm(training=True),
    "LSTM inference": lambda: lstm(training=False),
    "pipeline": pipeline,
}


class Worker(Process):
    """A process that measures one commit."""

    def __init__(self, tree: pathlib.Path):
        super().__init__(HERE, "--worker", PYTHONPATH=str(tree))


@contextlib.contextmanager
def checked_out(commits):
    """Yields a folder with each of the commits."""
    repository = HERE.parents[2]
    git = ["git", "-C", str(repository)]
    with tempfile.TemporaryDirectory() as folder:
        trees = []
        try:
            for number, commit in enumerate(commits):
                tree = pathlib.Path(folder) / str(number)
                subprocess.run(
                    [*git, "worktree", "add", "-q", "--detach", str(tree), commit], check=True
                )
                trees.append(tree)
            yield trees
        finally:
            for tree in trees:
                subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)


def compared(row, workers, rounds):
    """Returns medians of both and the quartiles of the ratio of times that follow each other."""
    measures = [functools.partial(worker.milliseconds, row) for worker in workers]
    return in_turn(measures, rounds, ("before_ms", "after_ms"))


def hash_of(commit):
    command = ["git", "-C", str(HERE.parent), "rev-parse", "--short", commit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def compare(arguments):
    """Compares two commits and returns the rows that are slower."""
    commits = [hash_of(commit) for commit in arguments.commits]
    rows = {}
    with checked_out(commits) as trees:
        workers = [Worker(tree) for tree in trees]
        try:
            for row in arguments.rows:
                rows[row] = found = compared(row, workers, arguments.rounds)
                low, high = found["quartiles"]
                print(
                    f"{row:<24} {found['before_ms']:9.2f} ms {found['after_ms']:9.2f} ms  ratio "
                    f"{found['ratio']:.2f} ({low:.2f} to {high:.2f})",
                    flush=True,
                )
        finally:
            for worker in workers:
                worker.end()
    run = {
        "before": commits[0],
        "after": commits[1],
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": versions(),
        "rounds": arguments.rounds,
        "rows": rows,
    }
    path = arguments.output / "history.json"
    runs = json.loads(path.read_text()) if path.is_file() else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*runs, run], indent=2) + "\n")
    return [row for row, found in rows.items() if found["ratio"] < SLOWER]


def page(folder):
    """Draws the ratios of all runs, a picture a row, and returns the page."""
    runs = json.loads((folder / "history.json").read_text())
    names = sorted({row for run in runs for row in run["rows"]})
    figures = "".join(_figure(name, runs) for name in names)
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Speed of commits</title>'
        "<style>body{font:16px sans-serif;max-width:48em;margin:2em auto;padding:0 1em}"
        "svg{width:100%;height:auto}</style><h1>Speed of commits</h1>"
        "<p>Time of one commit over that of a later one, whose name and milliseconds are below, "
        "both measured in turn in one run. The bar spans the quartiles. Below the dashed line, "
        "0.9, a comparison fails.</p>"
        f"{figures}</html>\n"
    )
    path = folder / "history.html"
    path.write_text(text)
    return path


def _figure(name, runs):
    found = [(run, run["rows"][name]) for run in runs if name in run["rows"]]

    def height(ratio):
        return 165 - 150 * (min(max(ratio, 0.5), 1.5) - 0.5)

    marks, step = [], 560 / max(len(found), 1)
    for number, (run, row) in enumerate(found):
        x = 50 + step * (number + 0.5)
        low, high = map(height, row["quartiles"])
        colour = "#c62828" if row["ratio"] < SLOWER else "#1565c0"
        words = (
            f"{run['before']} to {run['after']}, {run['date']}: {row['ratio']:.2f} "
            f"({row['before_ms']:.1f} to {row['after_ms']:.1f} ms)"
        )
        marks.append(
            f'<g stroke="{colour}" fill="{colour}"><title>{words}</title>'
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke-width="2"/>'
            f'<circle cx="{x:.1f}" cy="{height(row["ratio"]):.1f}" r="4"/></g>'
            f'<text x="{x:.1f}" y="178" font-size="9" text-anchor="middle">'
            f"{run['after']}, {row['after_ms']:.1f} ms</text>"
        )
    lines = "".join(
        f'<line x1="50" x2="610" y1="{height(value)}" y2="{height(value)}" stroke="#999" {dash}/>'
        f'<text x="44" y="{height(value) + 4}" font-size="11" text-anchor="end">{value}</text>'
        for value, dash in ((1.0, ""), (SLOWER, 'stroke-dasharray="4"'))
    )
    return f'<h2>{name}</h2><svg viewBox="0 0 620 184" role="img">{lines}{"".join(marks)}</svg>'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commits", nargs="*", help="the earlier and the later commit")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--page", action="store_true", help="draw the runs so far")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        serve(ROWS)
        return 0
    slower = []
    if arguments.commits:
        if len(arguments.commits) != 2:
            parser.error(f"two commits are compared, the earlier first: {arguments.commits}")
        slower = compare(arguments)
    elif not arguments.page:
        parser.error("give two commits, or --page")
    if arguments.page:
        print(page(arguments.output))
    if slower:
        print(f"Slower by more than a tenth: {', '.join(slower)}")
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
