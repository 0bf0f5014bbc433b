from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from keras_residual.cli._terminal import (
    bold,
    console,
    human_bytes,
    human_seconds,
    print_next,
    quiet,
    refusing,
)


def export(
    model: Annotated[
        str, typer.Argument(help="A .keras file, the folder of a training, or a network's name.")
    ],
    format: Annotated[
        list[str] | None,
        typer.Option(help="saved_model, litert or onnx; may be repeated. Default: litert."),
    ] = None,
    quantization: Annotated[
        str | None, typer.Option(help="float16, dynamic, int8 or int16x8. Default: float32.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Decides ranges and accuracy: digits, cifar10, an .npz or a folder."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: runs/export-MODEL.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of a network given by name, such as imagenet.")
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            help="What the weights expect: caffe, tf, torch or the name of published weights. "
            "Default: what the weights' file tells."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Fix the batch size. Default: any.", min=1)
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Held-out images to compare on. Default: all.", min=1)
    ] = None,
) -> None:
    """Write a model for phones and servers, prove that the files compute the same, measure them."""
    with console.status("Starting TensorFlow") as status, refusing(), quiet():
        from keras_residual import export as library
        from keras_residual.cli import _export_data

        network, scaling = _export_data.load_model(model, weights, preprocessing)
        chosen = _export_data.load_data(data, network, images, raw=scaling is not None)
        output = output or Path("runs") / f"export-{Path(model).stem.lower()}"
        report = library.export(
            network,
            output,
            tuple(format or ("litert",)),
            quantization,
            preprocessing=scaling,
            include_preprocessing=scaling is not None,
            batch_size=batch_size,
            progress=_shown(status),
            **chosen,
        )
    console.print(_table(report))
    checked = report.rows[0].verification
    if checked.accuracy is not None:
        count, accuracy = checked.samples, checked.model_accuracy
        console.print(f"On {count:,} held-out images; in Keras {accuracy:.2%}.", style="dim")
    for note in report.notes:
        console.print(note, style="dim", markup=False, soft_wrap=True)
    if report.folding is not None:
        console.print(f"{report.folding}.", style="dim", markup=False, soft_wrap=True)
    console.print(f"{bold(f'{output}/')} with README.md and card.json", soft_wrap=True)
    print_next("benchmark", *(row.path for row in report.rows))


def _shown(status):
    def show(step):
        status.update(step)
        if not console.is_terminal:
            console.print(step, soft_wrap=True)

    return show


def _table(report) -> Table:
    table = Table(header_style="bold")
    table.add_column("File", no_wrap=True)
    for heading in ("Size", "Worst difference", "Same top-1", "Accuracy", "Latency", "Memory"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        checked, timing = row.verification, row.timing
        table.add_row(
            row.path.name,
            human_bytes(row.bytes),
            f"{checked.worst:.1e}",
            f"{checked.agreement:.2%}",
            "–" if checked.accuracy is None else f"{checked.accuracy:.2%}",
            "–" if timing is None else human_seconds(timing.median_seconds),
            "–" if timing is None else human_bytes(timing.memory_bytes),
        )
    return table
