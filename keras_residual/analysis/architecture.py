"""Pictures of networks: boxes for blocks, arcs for shortcuts; no graphviz."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Figure
from keras_residual._words import name_of
from keras_residual.analysis._lstm_picture import draw_stack
from keras_residual.analysis.drawing import (
    BLUE,
    FILL,
    GREEN,
    GREY,
    ORANGE,
    arrow,
    curve,
    handle,
    new_figure,
    save,
)
from keras_residual.layers import DenseBlock, DualPathBlock, ResidualLSTM, ResidualStage, Stem

_WIDTH, _HEIGHT, _GAP, _LINE = 1.5, 0.78, 0.5, 1.75
_PER_LINE, _MOST_BLOCKS = 8, 6
_ARCS = {"identity": BLUE, "changed": ORANGE, "concatenated": GREEN}
_LEGEND = {
    "identity": "identity shortcut",
    "changed": "shortcut that changes the shape",
    "concatenated": "concatenated with its input",
}


_NAMES = {
    "InputLayer": "",
    "GlobalAveragePooling": "average pooling",
    "GlobalMaxPooling": "max pooling",
    "ImageNormalization": "normalization",
    "Add": "sum",
}


@dataclass(frozen=True)
class _Box:
    """A box of the picture with the shortcut around it, if any."""

    title: str
    detail: str
    shape: tuple[Any, ...]
    kind: str = "layer"
    shortcut: str | None = None
    added: str | None = None  # the layer whose output a long skip adds here


def plot_architecture(
    model: keras.Model, path: str | os.PathLike[str] | None = None, *, steps: int = 4
) -> Figure:
    """Draws a network: its layers and blocks, their output shapes, and every shortcut as an arc.

    Blue arcs are identities, orange ones shortcuts that change the shape. The stack of a
    `ResidualLSTM` is unrolled in time: green arrows carry a layer's state to its next step, blue
    arcs skip a layer within one step. Sequences of more than six equal blocks are abbreviated.

    Args:
        model: A built functional model.
        path: Optional `.png`, `.svg` or `.pdf` file to write.
        steps: Positive integer, number of time steps of an LSTM stack to draw. Defaults to `4`.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: If the model is not functional.
        ImportError: If matplotlib is not installed.

    Example:

    >>> plot_architecture(keras_residual.ResNet18(), "resnet18.svg")  # doctest: +SKIP
    """
    steps = _checks.integer("steps", steps)
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a built Keras model. Received: model={model!r}")
    stacks = [layer for layer in model.layers if isinstance(layer, ResidualLSTM)]
    figure = draw_stack(model, stacks[0], steps) if stacks else _draw_boxes(model)
    if path is not None:
        save(figure, path)
    return figure


def _draw_boxes(model):
    lines = _lines(list(_boxes(model)))
    columns = max(len(line) for line in lines)
    figure = new_figure(1.02 * columns * (_WIDTH + _GAP) * 0.8, 0.8 * _LINE * len(lines) + 0.6)
    axes = figure.subplots()
    places = {}
    for row, line in enumerate(lines):
        for column, box in enumerate(line):
            x, y = column * (_WIDTH + _GAP), -row * _LINE
            places[box.title] = (x, y)
            _draw_box(axes, x, y, box)
            if column:
                arrow(axes, (x - _GAP, y), (x, y))
            if box.added in places and places[box.added][1] == y:
                _long_skip(axes, places[box.added], (x, y))
        if row:
            end = len(lines[row - 1]) * (_WIDTH + _GAP) - _GAP
            _turn(axes, end, (1 - row) * _LINE, -row * _LINE)
    boxes = [box for line in lines for box in line]
    kinds = [kind for kind in _ARCS if any(box.shortcut == kind for box in boxes)]
    if kinds:
        handles = [handle(_ARCS[kind], _LEGEND[kind]) for kind in kinds]
        axes.legend(handles=handles, frameon=False, loc="upper right", ncols=3, fontsize=9)
    axes.set_title(
        f"{name_of(model)}: {model.count_params():,} parameters", loc="left", fontsize=10
    )
    axes.set(xlim=(-0.4, columns * (_WIDTH + _GAP)), ylim=((1 - len(lines)) * _LINE - 0.6, 1.35))
    axes.set_axis_off()
    return figure


def _boxes(model) -> Iterator[_Box]:
    calls = model.get_config()["layers"]
    for entry in calls:
        layer = model.get_layer(entry["name"])
        shape = layer.output.shape if not isinstance(layer.output, (list, tuple)) else ()
        if isinstance(layer, ResidualStage):
            yield from _shortened(_stage_boxes(layer))
        elif isinstance(layer, (DenseBlock, DualPathBlock)):
            yield from _shortened(_unit_boxes(layer))
        elif isinstance(layer, keras.Model):
            yield from _boxes(layer)
        else:
            added = None
            if isinstance(layer, keras.layers.Add):
                added = _last_title(model, layer.input[1])
            title = "image" if isinstance(layer, keras.layers.InputLayer) else layer.name
            yield _Box(title, _detail(layer), shape, added=added)


def _stage_boxes(stage) -> list[_Box]:
    shape = stage.input.shape
    boxes = []
    for index in range(stage.depth):
        changed = index == 0 and not stage.first.shortcut.is_identity(shape)
        changed |= stage.last is not None and index == stage.depth - 1
        kind = "changed" if changed else "identity"
        if stage.first.shortcut.kind == "none":
            kind = None
        if index == 0:
            shape = stage.first.compute_output_shape(shape)
        if index == stage.depth - 1:
            shape = stage.output.shape
        title = f"{stage.name} block{index + 1}"
        boxes.append(_Box(title, _convolutions(stage.first), shape, "block", kind))
    return boxes


def _unit_boxes(block) -> list[_Box]:
    steps, shape = block.plan(block.input.shape)
    shapes = [taken for _, taken in steps[1:]] + [shape]
    bottleneck = "1×1, 3×3, 1×1" if isinstance(block, DualPathBlock) else "1×1, 3×3"
    detail = bottleneck if getattr(block, "bottleneck", True) else "3×3"
    return [
        _Box(f"{block.name} unit{index}", detail, tuple(shape), "dense", "concatenated")
        for index, shape in enumerate(shapes, start=1)
    ]


def _convolutions(block) -> str:
    sizes = [arguments["kernel_size"] for arguments in block.convolutions()]
    return ", ".join(f"{size}×{size}" if isinstance(size, int) else str(size) for size in sizes)


def _shortened(boxes: list[_Box]) -> list[_Box]:
    """Abbreviates a long sequence of boxes to the first and the last, with the number between."""
    if len(boxes) <= _MOST_BLOCKS:
        return boxes
    middle = _Box(f"… {len(boxes) - 2} blocks …", "", boxes[-2].shape, "many", boxes[1].shortcut)
    return [boxes[0], middle, boxes[-1]]


def _detail(layer) -> str:
    kernel = getattr(getattr(layer, "conv", layer), "kernel_size", None)
    if isinstance(kernel, int):
        return f"{kernel}×{kernel}"
    if isinstance(layer, Stem):
        return layer.kind
    name = type(layer).__name__.rstrip("123D")
    return _NAMES.get(name, name)


def _last_title(model, tensor) -> str | None:
    """Returns the title of the box that computes a tensor."""
    for layer in model.layers:
        if not isinstance(layer.output, (list, tuple)) and layer.output is tensor:
            return layer.name
    return None


def _lines(boxes: list[_Box]) -> list[list[_Box]]:
    """Places each stage on its own line, followed by other boxes while there is room."""
    lines, started = [[]], False
    for box in boxes:
        stage = box.title.split(" ")[0] if box.kind in ("block", "dense") else None
        begins = stage is not None and box.title.endswith(("block1", "unit1"))
        if (begins and started) or len(lines[-1]) == _PER_LINE:
            lines.append([])
        started |= begins
        lines[-1].append(box)
    return lines


def _draw_box(axes, x, y, box):
    from matplotlib.patches import FancyBboxPatch

    patch = FancyBboxPatch(
        (x, y - _HEIGHT / 2),
        _WIDTH,
        _HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=FILL[box.kind],
        edgecolor=GREY if box.kind != "many" else "none",
        lw=0.8,
    )
    axes.add_patch(patch)
    shape = "×".join("?" if size is None else str(size) for size in box.shape[1:])
    for text, height, style in (
        (box.title, 0.22, {"fontsize": 8, "fontweight": "bold"}),
        (box.detail, 0.0, {"fontsize": 8}),
        (shape, -0.23, {"fontsize": 8, "color": "#555555"}),
    ):
        axes.text(x + _WIDTH / 2, y + height, text, ha="center", va="center", **style)
    if box.shortcut is not None:
        start, end = (x - _GAP * 0.55, y), (x + _WIDTH + _GAP * 0.35, y)
        _arc(axes, start, end, _ARCS[box.shortcut])


def _arc(axes, start, end, color, rise=0.94):
    """Draws a shortcut as an arc over a box."""
    top = start[1] + rise
    curve(axes, [start, (start[0], top), (end[0], top), end], color)


def _long_skip(axes, source, target):
    start = (source[0] + _WIDTH + _GAP * 0.25, source[1])
    _arc(axes, start, (target[0] + _WIDTH / 2, target[1] + _HEIGHT / 2), BLUE, rise=1.57)


def _turn(axes, x, above, below):
    """Draws the connection from the end of a line to the beginning of the next."""
    right, left, middle = x + _GAP * 0.5, -_GAP * 0.7, above - _HEIGHT / 2 - 0.16
    corners = [(x, above), (right, above), (right, middle), (left, middle), (left, below)]
    axes.plot(*zip(*corners, strict=True), color="#444444", lw=1.0)
    arrow(axes, (left, below), (0, below))
