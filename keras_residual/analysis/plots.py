"""Plots of the measurements of `analysis`; each function returns a matplotlib figure."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_residual._types import Figure
from keras_residual.analysis.drawing import BLUE, GREEN, GREY, ORANGE, new_figure, plain
from keras_residual.analysis.gradient_flow import LayerGradient
from keras_residual.analysis.lesions import LesionStudy
from keras_residual.analysis.paths import PathStudy
from keras_residual.analysis.strength import BlockStrength

_COLORS = (BLUE, ORANGE, GREEN, GREY)


def plot_gradient_flow(
    flows: Mapping[str, list[LayerGradient]], title: str = "", axes: Any = None
) -> Figure:
    """Draws the norm of each kernel's gradient against its depth, one line for each network.

    Args:
        flows: Results of `gradient_flow` by name.
        title: Title of the picture.
        axes: Axes to draw into instead of a new figure.
    """
    figure = new_figure(6.4, 3.8) if axes is None else axes.figure
    axes = figure.subplots() if axes is None else axes
    for color, (label, rows) in zip(_COLORS, flows.items(), strict=False):
        norms = np.array([row.norm for row in rows])
        positive = norms > 0
        depth = np.arange(1, len(rows) + 1)
        if not positive.any():
            label = f"{label}: 0 in float32"
        axes.semilogy(depth[positive], norms[positive], ".-", ms=4, color=color, label=label)
    axes.set(xlabel="Depth", ylabel="Norm of the gradient", title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    plain(axes)
    return figure


def plot_lesions(studies: Mapping[str, LesionStudy]) -> Figure:
    """Draws accuracy with single blocks deleted, and with random blocks deleted or exchanged.

    Args:
        studies: Results of `lesion_study` by name.
    """
    figure = new_figure(11, 3.8)
    single, several, exchanged = figure.subplots(1, 3, sharey=True)
    for color, (label, study) in zip(_COLORS, studies.items(), strict=False):
        places = np.linspace(0, 1, len(study.single)) if len(study.single) > 1 else [0.5]
        accuracies = [lesion.accuracy for lesion in study.single]
        single.plot(places, accuracies, "o-", ms=4, color=color, label=label)
        single.axhline(study.intact, color=color, lw=0.8, ls=":")
        for axes, lesions in ((several, study.deleted), (exchanged, study.exchanged)):
            _draw_counts(axes, study.intact, lesions, color)
    single.set(xlabel="Place of the deleted block, first to last", ylabel="Accuracy")
    several.set(xlabel="Random blocks deleted")
    exchanged.set(xlabel="Random pairs of blocks exchanged")
    for axes in (single, several, exchanged):
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_ylim(0, 1.03)
        plain(axes)
    single.set_title("One block deleted (dotted: whole)")
    several.set_title("Several blocks deleted")
    exchanged.set_title("Blocks exchanged")
    figure.legend(loc="outside lower center", ncols=len(studies), frameon=False)
    return figure


def _draw_counts(axes, intact, lesions, color):
    counts = [0, *lesions]
    values = [[intact], *[[lesion.accuracy for lesion in drawn] for drawn in lesions.values()]]
    axes.plot(counts, [np.mean(v) for v in values], "o-", ms=4, color=color)
    low, high = [min(v) for v in values], [max(v) for v in values]
    axes.fill_between(counts, low, high, color=color, alpha=0.15, lw=0)


def plot_paths(study: PathStudy) -> Figure:
    """Draws the number of paths of each length, the gradient of one, and that of all together.

    Args:
        study: A result of `path_study`.
    """
    figure = new_figure(11, 3.4)
    lengths = np.arange(len(study.share))
    panels = {
        "Share of all paths": study.share,
        "Gradient that one path carries": study.gradient,
        "Share of the gradient": study.contribution,
    }
    for axes, (title, values) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        if values is study.gradient:
            axes.semilogy(lengths, np.maximum(values, 1e-30), "o-", ms=4, color=ORANGE)
        else:
            axes.bar(lengths, values, color=BLUE)
            mean = float(lengths @ values)
            axes.axvline(mean, color=ORANGE)
            # Room above the bars.
            axes.set_ylim(0, 1.15 * max(values))
            axes.annotate(
                f"mean {mean:.1f}", (mean, 1.07 * max(values)), (5, 0), textcoords="offset points"
            )
        axes.set(title=title, xlabel="Length: blocks whose F is passed")
        axes.xaxis.get_major_locator().set_params(integer=True)
        plain(axes)
    return figure


def plot_strength(rows: list[BlockStrength]) -> Figure:
    """Draws ‖F(x)‖ / ‖shortcut(x)‖ of each block and the responses of its layers.

    Args:
        rows: A result of `residual_strength`.
    """
    figure = new_figure(10, 3.8)
    left, right = figure.subplots(1, 2)
    finite = [(place, row.ratio) for place, row in enumerate(rows, 1) if np.isfinite(row.ratio)]
    if finite:
        left.bar(*zip(*finite, strict=True), color=BLUE)
        left.axhline(1, color=GREY, lw=0.8, ls="--")
    else:
        left.text(0.5, 0.5, "no shortcuts", ha="center", transform=left.transAxes)
    left.set(title="‖F(x)‖ / ‖shortcut(x)‖", xlabel="Block", xlim=(0.4, len(rows) + 0.6))
    for place in range(max(len(row.responses) for row in rows)):
        points = [
            (block, row.responses[place])
            for block, row in enumerate(rows, 1)
            if len(row.responses) > place
        ]
        label = f"convolution {place + 1}" if len(rows[0].responses) > 1 else None
        right.plot(*zip(*points, strict=True), "o-", ms=4, color=_COLORS[place % 4], label=label)
    right.set(title="Standard deviation of the layers' responses", xlabel="Block")
    right.margins(y=0.1)
    right.set_ylim(bottom=0)
    if len(rows[0].responses) > 1:
        right.legend(frameon=False)
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        plain(axes)
    return figure
