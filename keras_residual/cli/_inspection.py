"""The measurements of `keras-residual inspect`, and the page that it writes."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from keras_residual import _description, analysis, data, layers
from keras_residual._page import Page
from keras_residual._words import counted
from keras_residual.cli import _fit
from keras_residual.cli._steps import Steps

# Usual shares of the time: drawing, gradient flow, strength, lesions, paths.
SHARES = (1, 4, 1, 11, 8)
# Rem of a picture with several panels below which its labels cannot be read.
_LEAST_WIDTH = 44


@dataclass
class Report:
    """A page and lines for the terminal.

    Attributes:
        page: The page.
        summary: Lines for the terminal.
    """

    page: Page
    summary: list[str] = field(default_factory=list)

    def add(
        self,
        heading: str,
        text: str,
        figure=None,
        rows: list[tuple] = (),
        least_width: int = _LEAST_WIDTH,
    ) -> None:
        """Adds a section; the first of `rows` are the headings of a table."""
        picture = None if figure is None else _png(figure)
        self.page.add(heading, text, picture, rows, least_width=least_width)

    def write(self, folder: Path, subtitle: str) -> None:
        """Writes `report.html`, a self-contained page."""
        self.page.write(folder / "report.html", subtitle)


def held_out(model: keras.Model, dataset: str, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns held-out images and labels for the model, spread evenly over the split."""
    shape = tuple(model.input_shape[1:])
    source = _fit.load_for(shape, dataset, _description.described(model), images_only=True)
    _fit.check_outputs(model.output_shape, source)
    size = None if None in shape[:2] else shape[:2]
    batches = data.pipeline(source.test, batch_size=128, image_size=size).as_numpy_iterator()
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    chosen = np.linspace(0, len(labels) - 1, min(samples, len(labels))).astype(int)
    return images[chosen], labels[chosen]


def inspect(model: keras.Model, x: np.ndarray, y: np.ndarray, seed: int, steps: Steps) -> Report:
    """Runs every analysis that applies to the model, and shows how far it is."""
    steps.plan(SHARES)
    steps("Drawing the network")
    blocks = _blocks_of(model)
    report = Report(Page(f"Inside {model.name}"))
    cost = analysis.cost(model, x.shape[1:])
    size = f"{cost.parameters:,} parameters, {cost.macs:,} multiply–accumulates an image."
    report.add(
        "Network",
        f"{counted(len(blocks), 'block')}, {size}" if blocks else size,
        analysis.plot_architecture(model),
    )
    steps("Gradient flow")
    _add_flow(report, model, x[:64], y[:64])
    steps("Residual strength")
    # Units that concatenate or pass by a gate have no ratio.
    if any(block.kind in ("residual", "plain") for block in blocks):
        _add_strength(report, model, x[:64])
    steps("Lesion study")
    if blocks:
        _add_lesions(report, model, x, y, seed)
    steps("Paths")
    if all(block.kind == "residual" for block in blocks) and len(blocks) > 1:
        _add_paths(report, model, x[:64], y[:64], seed)
    return report


def _blocks_of(model):
    """Returns the blocks that analyses can delete; a fractal block has none."""
    if any(isinstance(layer, layers.FractalBlock) for layer in model.layers):
        return []
    return analysis.blocks_of(model)


def _add_flow(report, model, x, y):
    flow = analysis.gradient_flow(model, x, y)
    norms = [row.norm for row in flow]
    report.add(
        "Gradient flow",
        "The norm of the loss's gradient by each kernel on the way, for "
        f"{counted(len(x), 'image')}. First {norms[0]:.3g}, last {norms[-1]:.3g}.",
        analysis.plot_gradient_flow({model.name: flow}),
        [
            ("kernel", "norm", "relative to the kernel"),
            *[(row.name, f"{row.norm:.3e}", f"{row.relative:.3e}") for row in flow],
        ],
        # One panel can be read on a phone without scrolling.
        least_width=0,
    )
    report.summary.append(f"Gradient norm: first kernel {norms[0]:.3g}, last {norms[-1]:.3g}")


def _add_strength(report, model, x):
    rows = analysis.residual_strength(model, x)
    ratios = [row.ratio for row in rows if np.isfinite(row.ratio)]
    middle = f"The median ratio is {np.median(ratios):.2f}. " if ratios else ""
    report.add(
        "Residual strength and layer responses",
        f"The size of each block's residual branch relative to its shortcut. {middle}Right: the "
        "responses of its convolutions, as in figure 7 of He et al. 2015.",
        analysis.plot_strength(rows),
        [
            ("block", "ratio", "responses"),
            *[
                (row.name, f"{row.ratio:.3f}", ", ".join(f"{r:.3f}" for r in row.responses))
                for row in rows
            ],
        ],
    )
    if ratios:
        report.summary.append(f"Residual strength: median {np.median(ratios):.2f}")


def _add_lesions(report, model, x, y, seed):
    study = analysis.lesion_study(model, x, y, seed=seed, draws=3)
    worst = min(study.single, key=lambda lesion: lesion.accuracy)
    left_out = f" Nothing can replace {', '.join(study.undeletable)}." * bool(study.undeletable)
    report.add(
        "Lesion study",
        f"Accuracy {study.intact:.2%} of the whole network. Without one block it is "
        f"{np.mean([lesion.accuracy for lesion in study.single]):.2%} on average, and "
        f"{worst.accuracy:.2%} without {worst.blocks[0]}.{left_out}",
        analysis.plot_lesions({model.name: study}),
        [
            ("deleted", "accuracy"),
            *[(lesion.blocks[0], f"{lesion.accuracy:.2%}") for lesion in study.single],
        ],
    )
    report.summary.append(
        f"Accuracy {study.intact:.2%}; {worst.accuracy:.2%} without {worst.blocks[0]}"
    )


def _add_paths(report, model, x, y, seed):
    study = analysis.path_study(model, x, y, draws=2, seed=seed)
    blocks = len(study.share) - 1
    report.add(
        "Paths",
        f"The {blocks} blocks form 2^{blocks} paths; half of them go through {blocks / 2:g} blocks "
        f"or more. Weighted by the gradient that they carry to the image, the mean length is "
        f"{study.effective_length:.1f}.",
        analysis.plot_paths(study),
    )
    report.summary.append(
        f"Effective path length {study.effective_length:.1f} of {counted(blocks, 'block')}"
    )


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, facecolor="white")
    return buffer.getvalue()
