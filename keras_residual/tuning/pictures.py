"""The pictures of a search: curves, parallel coordinates, and accuracy against cost."""

import collections
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual._words import counted
from keras_residual.analysis.drawing import new_figure, save
from keras_residual.tuning.curve_pictures import BEST, GREY, learning_curves, progress, scale
from keras_residual.tuning.knobs import Interval

COLOURS = "viridis"
_MOST_AXES = 16
_COSTS = {
    "parameters": "Trainable parameters",
    "macs": "Multiply–accumulates",
    "file_size": "Bytes of int8 LiteRT (estimated)",
    "latency_ms": "Milliseconds per example (int8 LiteRT)",
}


def draw(result) -> list[Path]:
    """Draws all pictures of a `SearchResult` into its folder and returns their paths."""
    costs = [name for name in result.settings["objective"] if name in _COSTS]
    bounds = result.hypermodel.budget
    costs += [name for name in _COSTS if getattr(bounds, f"max_{name}") is not None]
    folder = result.output
    files = [progress(result, folder / "progress.png")]
    if any(row.curve for row in result.completed):
        files.append(learning_curves(result, folder / "learning_curves.png"))
    files.append(parallel_coordinates(result, folder / "parallel_coordinates.png"))
    for cost in dict.fromkeys(costs or ["macs"]):
        files.append(accuracy_against_cost(result, cost, folder / f"accuracy_{cost}.png"))
    return files


def accuracy_against_cost(result, cost: str, path: Path) -> Path:
    """Plots accuracy against cost, with the Pareto front and the budget."""
    figure = new_figure(7.5, 4.8)
    axes = figure.subplots()
    rows = [row for row in result.completed if getattr(row.cost, cost) is not None]
    front = result.pareto(cost)
    axes.scatter(
        [getattr(row.cost, cost) for row in rows],
        [result.value(row) for row in rows],
        color=GREY,
        s=28,
        alpha=0.7,
        label=counted(len(rows), "trial"),
    )
    axes.step(
        [getattr(row.cost, cost) for row in front],
        [result.value(row) for row in front],
        where="post",
        marker="o",
        color="#2f6db5",
        label="Pareto front",
    )
    best = result.best
    axes.scatter(
        [getattr(best.cost, cost)],
        [result.value(best)],
        marker="*",
        s=190,
        color=BEST,
        zorder=3,
        label=f"best: trial {best.trial}, {result.measure.text(result.value(best))}",
    )
    bound = getattr(result.hypermodel.budget, f"max_{cost}")
    if bound is not None:
        axes.axvline(bound, color="black", linestyle="--", linewidth=1, label=f"budget {bound:,}")
    _dress(axes, result, cost, rows)
    figure.legend(frameon=False, loc="outside upper center", ncols=4)
    save(figure, path)
    return path


def _dress(axes, result, cost, rows):
    """Names and scales the axes of accuracy against cost."""
    costs = [getattr(row.cost, cost) for row in rows]
    if max(costs) > 10 * min(costs):
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    axes.set_xlabel(_COSTS[cost])
    scale(axes, result, [result.value(row) for row in rows])
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)


def parallel_coordinates(result, path: Path) -> Path:
    """Draws every trial as a line through the values of its knobs, coloured by accuracy."""
    rows = result.completed[::-1]
    varied = [knob for knob in result.hypermodel.knobs if _varies(knob, rows)]
    knobs = most_telling(varied, rows, result.value)
    figure = new_figure(max(7.0, 1.05 * (len(knobs) + 1)), 5.2)
    axes = figure.subplots()
    values = np.array([result.measure.quality(row.metrics) for row in rows])
    low, high = np.quantile(values, 0.1), values.max()
    span = max(high - low, 1e-9)
    shade = _colours()
    for row, value in zip(rows, values, strict=True):
        heights = [_height(knob, row.values.get(knob.name)) for knob in knobs]
        heights.append(np.clip((value - low) / span, 0, 1))
        best = row is rows[-1]
        axes.plot(
            range(len(heights)),
            heights,
            color=BEST if best else shade(heights[-1]),
            linewidth=2.6 if best else 1.1,
            alpha=1.0 if best else 0.65,
            zorder=3 if best else 2,
            marker="o",
            markersize=3,
        )
    for position, knob in enumerate(knobs):
        _draw_scale(axes, position, _ticks(knob), GREY)
    measure = result.measure
    ticks = [(height, measure.text(abs(low + height * span))) for height in (0.0, 0.5, 1.0)]
    _draw_scale(axes, len(knobs), ticks, "black")
    axes.set_xticks(range(len(knobs) + 1), [knob.name for knob in knobs] + [measure.title])
    axes.tick_params(axis="x", rotation=35, length=0)
    axes.set(yticks=(), xlim=(-0.2, len(knobs) + 0.7), ylim=(-0.06, 1.1))
    axes.spines[:].set_visible(False)
    title = "Every trial, the best in red; gaps are inactive knobs"
    if len(knobs) < len(varied):
        title += f"; the {len(knobs)} knobs with the largest effect on {measure.title}"
    axes.set_title(title)
    save(figure, path)
    return path


def _draw_scale(axes, position, ticks, colour):
    axes.axvline(position, color=colour, linewidth=0.8, zorder=1)
    for height, label in ticks:
        axes.annotate(label, (position, height), xytext=(4, 1), textcoords="offset points")


def _colours():
    import matplotlib

    return matplotlib.colormaps[COLOURS]


def most_telling(
    knobs: Sequence[Any], rows: Sequence[Any], value: Callable[[Any], float]
) -> list[Any]:
    """Returns the knobs with the largest effect on a value, as many as fit the picture.

    Args:
        knobs: Knobs.
        rows: Completed trials.
        value: What a trial reached.
    """
    chosen = sorted(knobs, key=lambda knob: -_told_by(knob, rows, value))[:_MOST_AXES]
    return [knob for knob in knobs if knob in chosen]


def _told_by(knob, rows, value):
    """Returns how much results differ between a knob's values, corrected for chance."""
    groups = collections.defaultdict(list)
    for row in rows:
        height = _height(knob, row.values.get(knob.name))
        if isinstance(knob.choices, Interval):
            height = np.round(3 * height)
        groups[str(height)].append(value(row))
    mean = np.mean([value(row) for row in rows])
    between = sum(len(group) * (np.mean(group) - mean) ** 2 for group in groups.values())
    within = sum(np.var(group) * len(group) for group in groups.values())
    return between - (len(groups) - 1) * within / max(len(rows) - len(groups), 1)


def _varies(knob, rows):
    return len({row.values.get(knob.name) for row in rows}) > 1


def _height(knob, value):
    if value is None:
        return np.nan
    if isinstance(knob.choices, Interval):
        low, high = knob.choices.low, knob.choices.high
        if knob.choices.log:
            low, high, value = np.log(low), np.log(high), np.log(value)
        return (value - low) / (high - low)
    return knob.choices.index(knob.nearest(value)) / (len(knob.choices) - 1)


def _ticks(knob):
    if isinstance(knob.choices, Interval):
        return [(0.0, f"{knob.choices.low:.2g}"), (1.0, f"{knob.choices.high:.2g}")]
    last = len(knob.choices) - 1
    return [(index / last, _text(value)) for index, value in enumerate(knob.choices)]


def _text(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)
