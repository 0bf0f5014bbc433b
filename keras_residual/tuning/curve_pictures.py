"""Pictures of a search over time: the best result so far, and the learning curves of trials."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual.analysis.drawing import new_figure, plain, save

BEST, GREY = "#d1495b", "#999999"


def scale(axes: Any, result: Any, values: Sequence[float]) -> None:
    """Labels and limits the axis of results; outliers are cut off."""
    best = result.value(result.best)
    if result.measure.is_error:
        axes.set_ylabel("Error on held-out examples")
        high = max(float(np.quantile(values, 0.9)), best)
        axes.set_ylim(max(0.0, best - 0.1 * (high - best)), high + 0.1 * (high - best) + 1e-9)
        return
    axes.set_ylabel("Accuracy on held-out examples")
    low = float(np.quantile(values, 0.1))
    axes.set_ylim(max(0.0, low - 0.05), min(1.02, max(best, *values) + 0.03))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%" if value <= 1 else "")


def progress(result: Any, path: Path) -> Path:
    """Draws the best result so far, and each trial as a point, over the total training time."""
    rows = [row for row in result.rows if row.status == "COMPLETED"]
    seconds = list(itertools.accumulate(row.metrics["seconds"] for row in rows))
    values = [result.value(row) for row in rows]
    better = min if result.measure.is_error else max
    figure = new_figure(7.5, 3.8)
    axes = figure.subplots()
    axes.scatter(seconds, values, color=GREY, s=24, alpha=0.7, label="trial")
    so_far = list(itertools.accumulate(values, better))
    axes.step(seconds, so_far, where="post", color="#2f6db5", marker="o", label="best so far")
    axes.set_xlabel("Total training time of the trials (seconds)")
    scale(axes, result, values)
    _finish(figure, axes, path)
    return path


def learning_curves(result: Any, path: Path) -> Path:
    """Draws the learning curve of each trial, the best in red."""
    rows = [row for row in result.completed[::-1] if row.curve]
    figure = new_figure(7.5, 3.8)
    axes = figure.subplots()
    for row in rows:
        values = result.measure.curve(row.curve)
        best = row is rows[-1]
        dashes = "--" if "stopped" in row.metrics else ":" if row.metrics.get("inherited") else "-"
        axes.plot(
            range(1, len(values) + 1),
            values,
            dashes,
            color=BEST if best else GREY,
            linewidth=2.4 if best else 1.0,
            alpha=1.0 if best else 0.6,
            label=f"best: trial {row.trial}" if best else None,
        )
    axes.set_xlabel("Epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    scale(axes, result, [value for row in rows for value in result.measure.curve(row.curve)])
    _finish(figure, axes, path)
    return path


def _finish(figure, axes, path):
    plain(axes)
    axes.legend(frameon=False)
    save(figure, path)
