"""Accuracy against parameters, multiply–accumulates, int8 file size and LiteRT latency.

    python tests/benchmarks/which_network.py [--counted] [--seconds 2] [--threads 1] [NAME ...]

Accuracies are the published ones of the best weights for 224² whose licence allows every use. Files
of all networks, or of those named, are exported with random weights, which cost the same, and take
turns while they are measured; with `--counted` they are only counted. With `--files FOLDER` the
files are kept, and a repeated command exports only what is missing.
Writes `tests/benchmarks/results/which_network.json`, the picture in `docs/images` and the table
between the marks in `docs/guide/networks.md`.
"""

import argparse
import contextlib
import json
import math
import pathlib
import sys
import tempfile

import keras
import numpy as np
from _kept import RESULTS, keep

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import tables

import keras_residual
from keras_residual import analysis, export
from keras_residual.weights import list_sources

NETWORKS = (
    "ResNet10T",
    "ResNet14T",
    "ResNet18",
    "ResNet18D",
    "ResNet26",
    "RegNetX002",
    "RegNetX004",
    "RegNetX008",
    "RegNetY002",
    "RegNetY004",
    "RegNetY008",
    "SKResNet18",
    "ResNeSt14D",
    "ResNet34",
    "ResNet50",
    "ResNet50D",
    "ResNetRS50",
    "RegNetX016",
    "RegNetY016",
    "RegNetY032",
    "ECAResNetLight",
    "ECAResNet50T",
    "SEResNet50",
    "SKResNeXt50_32x4d",
    "ResNeSt26D",
    "ResNeSt50D",
    "Res2Net50D",
    "ResNeXt50_32x4d",
    "DenseNet121",
)
SIZE = 224
GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guide"
# Measures of which lower is better, and their format.
COSTS = {
    "parameters": ("parameters", lambda value: f"{value / 1e6:.1f} M"),
    "macs": ("multiply–accumulates", lambda value: f"{value / 1e9:.2f} G"),
    "int8_bytes": ("int8 file", lambda value: f"{value / 1e6:.1f} MB"),
    "int8_ms": ("int8 latency", lambda value: f"{value:.1f} ms"),
    "float_ms": ("float32 latency", lambda value: f"{value:.1f} ms"),
}


def accuracy(name: str) -> tuple[float, str]:
    """Returns the best published top-1 accuracy at 224² and the tag of those weights."""
    sources = [
        source
        for source in list_sources(name)
        if source.classes == "imagenet"
        and source.input_size == SIZE
        and source.top1
        and not source.forbids_commerce
    ]
    best = max(sources, key=lambda source: source.top1)
    return best.top1, best.tag


def exported(names, directory: pathlib.Path) -> dict[str, dict[str, pathlib.Path]]:
    """Writes a float32 and an int8 file of each network."""
    images = np.random.default_rng(0).normal(size=(4, SIZE, SIZE, 3)).astype(np.float32)
    files = {}
    for name in names:
        folder = directory / name
        files[name] = {"float": folder / "model.tflite", "int8": folder / "model_int8.tflite"}
        if all(path.exists() for path in files[name].values()):
            continue
        model = keras_residual.get_model(name, input_shape=(SIZE, SIZE, 3))
        # Random weights amplify rounding; only the cost of the files counts here.
        options = {"tolerance": 1.0, "measure": False}
        with contextlib.redirect_stdout(sys.stderr):
            export.export(model, folder, "litert", **options)
            export.export(model, folder, "litert", "int8", representative_data=images, **options)
        keras.utils.clear_session()
    return files


def counted(names) -> list[dict]:
    """Returns accuracy, parameters and multiply–accumulates of each network."""
    rows = []
    for name in names:
        cost, (top1, tag) = analysis.cost(name), accuracy(name)
        row = {"name": name, "top1": top1, "weights": tag}
        rows.append({**row, "parameters": cost.trainable_parameters, "macs": cost.macs})
    return sorted(rows, key=lambda row: row["macs"])


def measured(names, seconds: float, threads: int, folder: pathlib.Path | None = None) -> list[dict]:
    """Returns a row of all figures for each network.

    Args:
        names: The networks.
        seconds: How long each file runs.
        threads: Number of threads.
        folder: Where the files are kept and found again; `None` for nowhere.
    """
    with contextlib.ExitStack() as stack:
        directory = folder or stack.enter_context(tempfile.TemporaryDirectory())
        files = exported(names, pathlib.Path(directory))
        paths = [str(path) for pair in files.values() for path in pair.values()]
        timed = export.benchmark(*paths, batch_sizes=(1,), threads=(threads,), seconds=seconds)
    milliseconds = {row.name: 1e3 * row.median_seconds for row in timed.rows}
    sizes = {row.name: row.file_bytes for row in timed.rows}
    rows = []
    for row in counted(names):
        plain, int8 = (str(files[row["name"]][kind]) for kind in ("float", "int8"))
        times = {"int8_ms": milliseconds[int8], "float_ms": milliseconds[plain]}
        rows.append({**row, "int8_bytes": sizes[int8], **times})
    return rows


def front(rows: list[dict], cost: str) -> set[str]:
    """Returns the networks on the Pareto front of accuracy and cost.

    Of those whose cost was measured.
    """
    names = set()
    best = float("-inf")
    for row in sorted(
        (row for row in rows if cost in row), key=lambda row: (row[cost], -row["top1"])
    ):
        if row["top1"] > best:
            names.add(row["name"])
            best = row["top1"]
    return names


def table(rows: list[dict]) -> str:
    """Returns a Markdown table; figures on a Pareto front are bold."""
    costs = {name: shown for name, shown in COSTS.items() if any(name in row for row in rows)}
    fronts = {cost: front(rows, cost) for cost in costs}
    titles = " | ".join(title for title, _ in costs.values())
    lines = [f"| network | top-1, % | {titles} |", "|---|---:" + "|---:" * len(costs) + "|"]
    for row in rows:
        cells = []
        for cost, (_, printed) in costs.items():
            text = printed(row[cost]) if cost in row else "–"
            cells.append(f"**{text}**" if row["name"] in fronts[cost] else text)
        figure = f"{row['top1']:.2f} ({row['weights']})"
        lines.append(f"| `{row['name']}` | {figure} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def labelled(rows: list[dict], cost: str, on_front: set[str]) -> list[dict]:
    """Returns the rows whose names have room, those on the front first."""
    chosen = []
    span = math.log(max(row[cost] for row in rows) / min(row[cost] for row in rows))
    for row in sorted(rows, key=lambda row: (row["name"] not in on_front, -row["top1"])):
        near = any(
            abs(math.log(row[cost] / other[cost])) < 0.25 * span
            and abs(row["top1"] - other["top1"]) < 0.6
            for other in chosen
        )
        if not near:
            chosen.append(row)
    return chosen


def picture(rows: list[dict], path: pathlib.Path) -> None:
    """Draws accuracy against each cost with its Pareto front."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn = ("parameters", "macs", "int8_bytes", "int8_ms")
    shown = [cost for cost in drawn if any(cost in row for row in rows)]
    figure, axes = pyplot.subplots(
        len(shown) // 2,
        2,
        figsize=(11, 2.25 * len(shown)),
        sharey=True,
        squeeze=False,
        constrained_layout=True,
    )
    titles = {"macs": "multiply–accumulates", "int8_bytes": "int8 file, bytes"}
    titles["int8_ms"] = "int8 latency, ms"
    for axis, cost in zip(axes.flat, shown, strict=True):
        on_front, having = front(rows, cost), [row for row in rows if cost in row]
        line = sorted((row[cost], row["top1"]) for row in having if row["name"] in on_front)
        axis.plot(*zip(*line, strict=True), color="tab:orange", zorder=1)
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter(pyplot.NullFormatter())
        for row in having:
            colour = "tab:orange" if row["name"] in on_front else "tab:gray"
            axis.scatter(row[cost], row["top1"], color=colour, zorder=2)
        for row in labelled(having, cost, on_front):
            # Beside the line, not on it.
            before = row["name"] in on_front
            side = {"ha": "right", "xytext": (-6, 3)} if before else {"xytext": (5, 3)}
            axis.annotate(
                row["name"],
                (row[cost], row["top1"]),
                textcoords="offset points",
                fontsize=8,
                **side,
            )
        axis.set_xlabel(titles.get(cost, cost))
        axis.margins(x=0.26)
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("ImageNet top-1, %")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--counted", action="store_true", help="without exporting and measuring")
    parser.add_argument("--draw", action="store_true", help="from the kept figures")
    parser.add_argument("--files", type=pathlib.Path, help="folder that keeps the exported files")
    arguments = parser.parse_args()
    if arguments.draw:
        rows = json.loads((RESULTS / "which_network.json").read_text())["rows"]
    elif arguments.counted:
        rows = counted(arguments.names or NETWORKS)
        keep(RESULTS, "which_network", rows=rows)
    else:
        options = (arguments.seconds, arguments.threads, arguments.files)
        rows = measured(arguments.names or NETWORKS, *options)
        keep(RESULTS, "which_network", threads=arguments.threads, rows=rows)
    picture(rows, GUIDE.parent / "images" / "which_network.png")
    tables.write(GUIDE / "networks.md", "which", table(rows))


if __name__ == "__main__":
    main()
