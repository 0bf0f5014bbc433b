import time
from pathlib import Path
from typing import Annotated

import typer

from keras_residual._words import counted
from keras_residual.cli._steps import Steps
from keras_residual.cli._terminal import bold, console, in_one_line, quiet, refusing
from keras_residual.cli._units import human_seconds


def inspect(
    model_file: Annotated[Path, typer.Argument(help="A .keras file or the folder of a training.")],
    dataset: Annotated[
        str,
        typer.Option("--data", help="digits, a TFDS name, an .npz file, or a folder of images."),
    ] = "digits",
    output: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: runs/inspect-MODEL.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Held-out images to measure on.", min=1)] = 256,
    seed: Annotated[
        int, typer.Option(help="Seed of the blocks that are deleted together.", min=0)
    ] = 0,
) -> None:
    """Look inside a trained network: gradients, blocks, paths, as one HTML page."""
    started = time.perf_counter()
    with refusing(), quiet(), Steps("Starting Keras") as steps:
        from keras_residual.cli import _inspection, _model_files

        path = model_file / "model.keras" if model_file.is_dir() else model_file
        model = _model_files.load_keras(path)
        inputs, labels = _inspection.held_out(model, dataset, samples)
        output = output or Path("runs") / f"inspect-{model.name}"
        report = _inspection.inspect(model, inputs, labels, seed, steps)
        report.write(output, f"{path} on {counted(len(inputs), 'held-out image')} of {dataset}")
    for line in report.summary:
        console.print(line, markup=False, soft_wrap=in_one_line())
    console.print(
        f"{bold(output / 'report.html')}, {human_seconds(time.perf_counter() - started)}",
        soft_wrap=in_one_line(),
    )
