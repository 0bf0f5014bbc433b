"""The picture of an LSTM stack unrolled in time."""

from keras_residual._words import name_of
from keras_residual.analysis.drawing import (
    BLUE,
    FILL,
    GREEN,
    GREY,
    arrow,
    curve,
    handle,
    new_figure,
)


def draw_stack(model, stack, steps: int):
    """Returns a figure of a `ResidualLSTM` with steps from left to right and layers stacked."""
    figure = new_figure(1.9 * steps + 1.6, 1.05 * stack.num_layers + 2.2)
    axes = figure.subplots()
    across, up = 2.2, 1.5
    for step in range(steps):
        x = across * step
        axes.text(x, -0.95, f"x at step {step + 1}", ha="center", va="center", fontsize=9)
        arrow(axes, (x, -0.75), (x, -0.32))
        for layer in range(stack.num_layers):
            y = up * layer
            name = f"LSTM {layer + 1}"
            _draw_cell(axes, x, y, name, stack.units)
            top = y + up - 0.32 if layer < stack.num_layers - 1 else y + 0.95
            arrow(axes, (x, y + 0.32), (x, top))
            if step + 1 < steps:
                arrow(axes, (x + 0.6, y), (x + across - 0.6, y), GREEN, 1.8)
            if layer == 0 and stack.bidirectional_bottom and step + 1 < steps:
                arrow(axes, (x + across - 0.6, y - 0.16), (x + 0.6, y - 0.16), GREEN, 1.8)
            if stack.is_residual(layer):
                aside = x + 1.0
                points = [(x, y - 0.57), (aside, y - 0.55), (aside, y + 0.65), (x + 0.1, y + 0.62)]
                curve(axes, points, BLUE)
                axes.plot(x, y + 0.62, "o", ms=11, mfc="white", mec=BLUE)
                axes.plot(x, y + 0.62, "+", ms=8, color=BLUE)
    handles = [handle(GREEN, "recurrence: a layer's state to its own next step")]
    if stack.first_residual is not None and stack.first_residual < stack.num_layers:
        handles.append(handle(BLUE, "skip: a layer's input added to its output, same step"))
    axes.legend(handles=handles, frameon=False, loc="upper left", fontsize=9)
    axes.set_title(
        f"{name_of(model)}: {stack.name} of {stack.num_layers} layers, unrolled over {steps} steps",
        loc="left",
        fontsize=10,
    )
    axes.set(
        xlim=(-1.1, across * (steps - 1) + 1.1), ylim=(-1.2, up * (stack.num_layers - 1) + 2.2)
    )
    axes.set_axis_off()
    return figure


def _draw_cell(axes, x, y, name, units):
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.1"
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.6, y - 0.32), 1.2, 0.64, boxstyle=style, facecolor=FILL["block"], edgecolor=GREY
        )
    )
    axes.text(x, y + 0.1, name, ha="center", va="center", fontsize=9, fontweight="bold")
    axes.text(x, y - 0.15, f"{units} units", ha="center", va="center", fontsize=8, color="#555555")
