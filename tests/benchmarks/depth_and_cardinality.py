"""Depth and cardinality at constant multiply–accumulates, on three sets of small pictures.

    python tests/benchmarks/depth_and_cardinality.py --seeds 0 1 2 3 4 \\
        --spoken spoken_digits.npz --photographs hands

Two stages of bottlenecks. A deeper network is narrower, and more groups are wider (Xie et al.,
2017, section 3.3), so that the cost stays. Each network is trained once per seed, which determines
the initial weights and the order of the examples; a fifth of the examples is held out, the same for
all. The held-out losses of two networks are called different if their means differ by more than
three standard errors of the difference, which at five seeds happens by chance for one pair in
sixty. An interrupted command can be repeated. The table is kept as JSON, with a picture; `--write`
puts both into the guide on depth.
"""

import argparse
import dataclasses
import itertools
import json
import math
import pathlib
import shutil
import sys

import keras
import numpy as np
from _kept import RESULTS, keep
from _search_tasks import photographs, spoken

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tables

import keras_residual
from keras_residual import analysis, data, training

WIDTHS, DEPTH, BASE_WIDTHS = (8, 16), 2, {1: 64, 2: 40, 4: 24}
# Depth of each stage and cardinality; the reference is the first.
NETWORKS = [(DEPTH, 1), (1, 1), (4, 1), (DEPTH, 2), (DEPTH, 4)]
RECIPE = dataclasses.replace(
    training.recipes["quick"], augmentation="none", learning_rate=0.01, label_smoothing=0.0
)


def spectrograms(path):
    """Returns the spoken digits as pictures of 20 × 20, means of two steps each."""
    x, y = spoken(path, None)
    x = x[:, :40].reshape(len(x), 20, 2, 20).mean(2)
    pixels = 255 * (x - x.min()) / (x.max() - x.min())
    return data.load((pixels[..., None].astype("uint8"), y))


def options_of(depth, cardinality, widths):
    return {
        "block": "bottleneck",
        "depths": (depth, depth),
        "widths": widths,
        "cardinality": cardinality,
        "base_width": BASE_WIDTHS[cardinality],
        "stem": "conv3",
        "stem_width": 16,
    }


def cost_of(dataset, options):
    shape, classes = dataset.image_shape, dataset.num_classes
    return analysis.cost("ResNet8", shape, classes=classes, **options)


def of_equal_macs(dataset, depth, cardinality):
    """Returns the options of a network that costs as nearly as possible what the reference does."""
    if depth == DEPTH:
        return options_of(depth, cardinality, WIDTHS)
    wanted = cost_of(dataset, options_of(*NETWORKS[0], WIDTHS)).macs
    near = WIDTHS[0] * math.sqrt(DEPTH / depth)
    firsts = range(max(1, round(near) - 2), round(near) + 3)
    pairs = [(first, 2 * first + more) for first in firsts for more in (-1, 0, 1)]
    made = [options_of(depth, cardinality, pair) for pair in pairs]
    return min(made, key=lambda options: abs(cost_of(dataset, options).macs - wanted))


def trained(dataset, options, seed, epochs):
    """Returns the accuracy and the loss on the held-out examples."""
    parts = dataset.hold_out(0.2)
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    mean, std = data.channel_statistics(parts.train)
    images = keras.Input(dataset.image_shape)
    scaled = keras.layers.Normalization(mean=mean.tolist(), variance=(std**2).tolist())(images)
    model = keras_residual.ResNet(input_tensor=scaled, classes=dataset.num_classes, **options)
    history = training.fit(model, parts, RECIPE, None, epochs=epochs, seed=seed, verbose=0)
    return {name: float(history[f"val_{name}"][-1]) for name in ("accuracy", "loss")}


def measured(name, dataset, arguments):
    """Returns a row for each network; finished trainings are read from their files."""
    rows = []
    for depth, cardinality in NETWORKS:
        options = of_equal_macs(dataset, depth, cardinality)
        found = []
        for seed in arguments.seeds:
            path = arguments.output / f"{name}-{depth}-{cardinality}-{seed}.json"
            if not path.exists():
                result = trained(dataset, options, seed, arguments.epochs)
                path.write_text(json.dumps(result))
                print(name, depth, cardinality, seed, result, flush=True)
            found.append(json.loads(path.read_text()))
        cost = cost_of(dataset, options)
        rows.append(
            {
                "depth": depth,
                "cardinality": cardinality,
                "widths": options["widths"],
                "macs": cost.macs,
                "parameters": cost.trainable_parameters,
                **{key: [result[key] for result in found] for key in ("accuracy", "loss")},
            }
        )
    return rows


def error(values):
    """Returns the standard error of a mean."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def differences(rows, axis):
    """Returns the largest difference between losses along one axis, in standard errors."""
    other = "cardinality" if axis == "depth" else "depth"
    same = [row for row in rows if row[other] == rows[0][other]]
    found = []
    for ours, theirs in itertools.combinations(sorted(same, key=lambda row: row[axis]), 2):
        spread = math.hypot(error(ours["loss"]), error(theirs["loss"]))
        distance = float(np.mean(ours["loss"]) - np.mean(theirs["loss"]))
        better = theirs if distance > 0 else ours
        pair = f"{ours[axis]} and {theirs[axis]}"
        found.append((abs(distance) / spread, pair, better[axis]))
    return max(found)


def table(results):
    lines = [
        "| pictures | depth | cardinality | widths | MACs | parameters | accuracy | loss |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, rows in results.items():
        for row in sorted(rows, key=lambda row: (row["cardinality"], row["depth"])):
            accuracy, loss = np.array(row["accuracy"]), row["loss"]
            lines.append(
                f"| {name} | {row['depth']} | {row['cardinality']} "
                f"| {'-'.join(map(str, row['widths']))} | {row['macs']:,} | {row['parameters']:,} "
                f"| {100 * accuracy.mean():.2f} ± {100 * error(accuracy):.2f} % "
                f"| {np.mean(loss):.4f} ± {error(loss):.4f} |"
            )
    return "\n".join(lines)


def verdicts(results):
    """Returns a line for each set of pictures and axis: whether its networks differ."""
    lines = []
    for name, rows in results.items():
        for axis in ("depth", "cardinality"):
            distance, pair, better = differences(rows, axis)
            says = f"{axis} {better} is better" if distance > 3 else "no difference is shown"
            lines.append(
                f"{name}, {axis}: the largest difference, between {pair}, is {distance:.1f} "
                f"standard errors: {says}"
            )
    return lines


def text(results):
    """Returns what the guide shows: the table and a line for each set of pictures and axis."""
    lines = [table(results), "", *(f"- {line}" for line in verdicts(results))]
    return "\n".join(lines) + "\n"


def draw(results, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    for axes, axis in zip(figure.subplots(1, 2), ("depth", "cardinality"), strict=True):
        other = "cardinality" if axis == "depth" else "depth"
        for name, rows in results.items():
            same = [row for row in rows if row[other] == rows[0][other]]
            same.sort(key=lambda row: row[axis])
            means = [np.mean(row["loss"]) for row in same]
            errors = [error(row["loss"]) for row in same]
            positions = range(len(same))
            axes.errorbar(positions, means, errors, marker="o", capsize=3, label=name)
            axes.set_xticks(positions, [row[axis] for row in same])
        axes.set(xlabel=f"{axis}, at constant MACs", ylabel="loss on held-out examples")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spoken", help="spoken_digits.npz; left out by default")
    parser.add_argument("--photographs", help="a folder per class; left out by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/cardinality"))
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help="write into the guide on depth")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    sets = {"digits": data.load("digits")}
    if arguments.photographs:
        sets["hands"] = photographs(arguments.photographs, None, 16)
    if arguments.spoken:
        sets["spoken digits"] = spectrograms(arguments.spoken)
    results = {}
    for name, dataset in sets.items():
        results[name] = measured(name, dataset, arguments)
    lines = verdicts(results)
    print(table(results), *lines, sep="\n")
    content = {"seeds": arguments.seeds, "results": results, "verdicts": lines}
    path = keep(arguments.results, "depth_and_cardinality", epochs=arguments.epochs, **content)
    draw(results, path.with_suffix(".png"))
    print(path, path.with_suffix(".png"))
    if arguments.write:
        guide, images = tables.ROOT / "docs" / "guide" / "depth.md", tables.ROOT / "docs" / "images"
        tables.write(guide, "depth-and-cardinality", text(results))
        shutil.copy(path.with_suffix(".png"), images)


if __name__ == "__main__":
    main()
