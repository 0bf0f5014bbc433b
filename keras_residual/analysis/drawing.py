"""Shared parts of the pictures: figures without a display, colours, a plain style."""

import os
from pathlib import Path

from keras_residual._files import replacing

BLUE, ORANGE, GREEN, RED, GREY = "#2f6db5", "#e07b22", "#3a8f4d", "#c0392b", "#8a8a8a"

FILL = {"block": "#dce8f6", "layer": "#f1f1f1", "dense": "#e2f0e4", "many": "#ffffff"}


def new_figure(width: float, height: float):
    """Returns a figure that needs no display."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('Pictures need: pip install "keras-residual[plot]"') from error
    return Figure(figsize=(width, height), layout="constrained")


def plain(axes) -> None:
    """Removes the top and right spines and other decoration."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure, path: str | os.PathLike[str], dpi: int = 150) -> None:
    """Writes a figure atomically, as PNG, SVG or PDF by the suffix."""
    path = Path(path)
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"`path` must end in .png, .svg or .pdf. Received: path={str(path)!r}")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=dpi, facecolor="white")


def curve(axes, points, color):
    """Draws a cubic curve with an arrowhead."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Outline

    outline = Outline(points, [Outline.MOVETO, *[Outline.CURVE4] * 3])
    style = {"arrowstyle": "-|>", "mutation_scale": 9, "lw": 1.5, "fill": False}
    axes.add_patch(FancyArrowPatch(path=outline, color=color, **style))


def arrow(axes, start, end, color="#444444", width=1.0):
    """Draws a straight arrow."""
    axes.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": color, "lw": width, "shrinkA": 0, "shrinkB": 0},
    )


def handle(color, label):
    """Returns a line for a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, lw=1.8, label=label)
