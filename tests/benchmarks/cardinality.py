"""The effect of cardinality at constant multiply–accumulates, as a table and a plot.

    python tests/benchmarks/cardinality.py --seeds 0 1 2

Two stages of bottlenecks on the embedded digits; `base_width` follows from the cardinality, so that
the cost stays (Xie et al., 2017, section 3.3). An interrupted command can be repeated. Table and
plot are kept in `results/`, the table as JSON.
"""

import argparse
import pathlib

import numpy as np
from _kept import RESULTS, keep

from keras_residual import data, tuning

CARDINALITIES = [1, 2, 4, 8, 16]


def searched(seed, epochs, output):
    """Every cardinality once, by a grid of this one knob."""
    digits = data.load("digits")
    fixed = dict.fromkeys(
        (
            "shortcut",
            "se_ratio",
            "activation_order",
            "drop_path_rate",
            "optimizer",
            "adamw_learning_rate",
            "adamw_weight_decay",
            "schedule",
            "warmup",
            "batch_size",
            "augmentation",
            "cutmix",
            "label_smoothing",
        )
    )
    space = tuning.HyperResNet(
        digits.image_shape,
        digits.num_classes,
        "ResNeXt29_8x64d",
        constant_macs=True,
        cardinality=CARDINALITIES,
        block="bottleneck",
        stages=2,
        depth=2,
        width1=16,
        width2=32,
        stem="conv3",
        stem_width=16,
        **fixed,
    )
    folder = output / f"seed{seed}"
    result = tuning.search(space, digits, folder, "grid", 100, epochs=epochs, seed=seed)
    return {row.values["cardinality"]: row for row in result.completed}


def draw(rows, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.subplots()
    losses = np.array([[row[c].metrics["val_loss"] for c in CARDINALITIES] for row in rows])
    positions = np.arange(len(CARDINALITIES))
    for values in losses:
        axes.plot(positions, values, "o", color="#999999", markersize=5)
    axes.plot(positions, losses.mean(0), "-o", color="#2f6db5", label=f"mean of {len(rows)} seeds")
    labels = [
        f"{c}\n{rows[0][c].cost.macs / 1e6:.2f} M MACs\n{rows[0][c].cost.parameters:,} par."
        for c in CARDINALITIES
    ]
    axes.set_xticks(positions, labels, fontsize=8)
    axes.set(xlabel="Cardinality", ylabel="Loss on the examples held out")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/cardinality"))
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = [searched(seed, arguments.epochs, arguments.output) for seed in arguments.seeds]
    print("| cardinality | MACs | parameters | accuracy | loss |")
    print("|---:|---:|---:|---:|---:|")
    lines = []
    for cardinality in CARDINALITIES:
        same = [row[cardinality] for row in rows]
        spent = same[0].cost
        line = {
            "cardinality": cardinality,
            "macs": spent.macs,
            "parameters": spent.parameters,
            "accuracy": [row.accuracy for row in same],
            "loss": [row.metrics["val_loss"] for row in same],
        }
        lines.append(line)
        print(
            f"| {cardinality} | {spent.macs:,} | {spent.parameters:,} "
            f"| {np.mean(line['accuracy']):.2%} | {np.mean(line['loss']):.4f} |"
        )
    path = keep(arguments.results, "cardinality", seeds=arguments.seeds, rows=lines)
    draw(rows, path.with_suffix(".png"))
    print(path, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
