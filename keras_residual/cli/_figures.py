"""The figures of a training: learning curves, confusion matrix, sample predictions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_residual._files import replacing

BLUE, ORANGE, RED, LIGHT = "#2f6db5", "#e07b22", "#c0392b", "#bbbbbb"


def _figure(width: float, height: float):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('Pictures need: pip install "keras-residual[plot]"') from error
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure, path: Path) -> None:
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150)


def learning_curves(history: dict[str, list[float]], path: Path) -> None:
    """Draws loss and error of both splits over the epochs."""
    figure = _figure(9, 3.8)
    epochs = np.arange(1, len(history["loss"]) + 1)
    panels = {
        "Loss": (history["loss"], history["val_loss"]),
        "Error": tuple(
            [1 - value for value in history[name]] for name in ("accuracy", "val_accuracy")
        ),
    }
    for axes, (title, (training, held_out)) in zip(
        figure.subplots(1, 2), panels.items(), strict=True
    ):
        axes.plot(epochs, training, color=BLUE, label="training, augmented")
        axes.plot(epochs, held_out, color=ORANGE, label="held out")
        # A logarithmic axis cannot show a held-out error of 0.
        axes.set_yscale("log" if title == "Loss" else "linear")
        if title == "Error":
            top = min(1.0, 1.5 * np.median([*training, *held_out]) + 0.05)
            title = "Error" if top == 1.0 else f"Error (axis ends at {top:.0%})"
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
            axes.set_ylim(0, top)
        axes.set(title=title, xlabel="Epoch", xlim=(1, max(2, epochs[-1])))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.annotate(
            f"{held_out[-1]:.3f}" if title == "Loss" else f"{held_out[-1]:.2%}",
            (epochs[-1], held_out[-1]),
            textcoords="offset points",
            xytext=(-4, 8),
            ha="right",
            color=ORANGE,
        )
        axes.legend(frameon=False)
    _save(figure, path)


def confusion_matrix(counts: np.ndarray, names: Sequence[str], path: Path) -> None:
    """Draws the confusion matrix, each row normalized by the number of its examples."""
    side = max(4.5, 0.5 * len(names) + 1.5)
    figure = _figure(side, side)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts):
        dark = shares[row, column] > 0.5
        wrong = row != column
        axes.text(
            column,
            row,
            counts[row, column],
            ha="center",
            va="center",
            color="white" if dark else RED if wrong else "black",
            fontweight="bold" if wrong else "normal",
        )
    right, total = int(np.trace(counts)), int(counts.sum())
    axes.set_title(f"Held out: {right} of {total} right ({right / total:.2%})")
    axes.set(xlabel="Predicted", ylabel="True")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.spines[:].set_visible(False)
    _save(figure, path)


def sample_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    path: Path,
) -> None:
    """Draws the least confident predictions, the wrong ones in red, and some typical ones.

    Args:
        images: `(n, height, width, channels)` in [0, 1].
        labels: `(n,)` integers.
        probabilities: `(n, classes)`.
    """
    predicted, certainty = probabilities.argmax(-1), probabilities.max(-1)
    doubtful = np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")[:12]
    others = np.setdiff1d(np.arange(len(labels)), doubtful)
    typical = others[:: max(1, len(others) // 12)][:12]
    figure = _figure(9, 7.2)
    parts = figure.subfigures(2, 1)
    for part, title, chosen in zip(
        parts, ("The most difficult", "Typical"), (doubtful, typical), strict=True
    ):
        part.suptitle(f"{title} held-out images", fontweight="bold")
        grid = part.subplots(2, 6).ravel()
        for axes, index in zip(grid, chosen, strict=False):
            wrong = predicted[index] != labels[index]
            axes.imshow(images[index].squeeze(), cmap="gray_r", vmin=0, vmax=1)
            text = f"{names[predicted[index]]} ({certainty[index]:.0%})"
            if wrong:
                text += f", is {names[labels[index]]}"
            axes.set_title(text, color=RED if wrong else "black", fontsize=10)
            axes.set(xticks=(), yticks=())
            axes.spines[:].set_color(RED if wrong else LIGHT)
        for axes in grid[len(chosen) :]:
            axes.set_axis_off()
    _save(figure, path)


def worst_mistakes(mistakes: Sequence, names: Sequence[str], path: Path) -> None:
    """Draws the misclassified pictures with the most confident predictions.

    Args:
        mistakes: `_report.Mistake`s, the worst first.
        names: One name for each class.
        path: Where to write it.
    """
    columns = min(6, len(mistakes))
    rows = -(-len(mistakes) // columns)
    figure = _figure(1.6 * columns + 0.6, 2.1 * rows + 0.4)
    figure.suptitle("Wrong, and most certain of it", fontweight="bold")
    grid = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axes, mistake in zip(grid, mistakes, strict=False):
        axes.imshow(np.clip(mistake.image, 0, 1).squeeze(), cmap="gray", vmin=0, vmax=1)
        taken = f"taken for {names[mistake.predicted]} ({mistake.certainty:.0%})"
        axes.set_title(f"{names[mistake.label]}\n{taken}", color=RED, fontsize=8)
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_color(LIGHT)
    for axes in grid[len(mistakes) :]:
        axes.set_axis_off()
    _save(figure, path)
