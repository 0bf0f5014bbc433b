from pathlib import Path
from typing import Annotated

import typer

from keras_residual._words import counted
from keras_residual.cli._options import Scaling
from keras_residual.cli._steps import Steps
from keras_residual.cli._table import columns, print_table
from keras_residual.cli._terminal import bold, console, in_one_line, print_next, quiet, refusing
from keras_residual.cli._units import human_bytes, human_seconds
from keras_residual.cli._wording import as_typed

_COLUMNS = columns(
    "File", "Size", "Worst\ndifference", "Same\ntop-1", "Accuracy", "Latency", "Memory"
)
# Usual shares of the time: writing a file, comparing it, measuring it.
_SHARES = (4, 2, 2)


def export(
    model: Annotated[
        str, typer.Argument(help="A .keras file, the folder of a training, or a network's name.")
    ],
    format: Annotated[
        list[str] | None,
        typer.Option(help="saved_model, litert, onnx or coreml; may be repeated. Default: litert."),
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
    preprocessing: Scaling = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Fix the batch size. Default: any, 1 for phones.", min=1)
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Held-out images to compare on. Default: all.", min=1)
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="phone: a LiteRT file takes RGB pictures and has scaling and labels inside; or "
            "server. Default: phone where the scaling of pixels is known.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Class names: a file with one per line, or imagenet. Default: those of the "
            "weights or the data."
        ),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(help="Output type of an int8 file for phones: uint8 or float32."),
    ] = None,
    web: Annotated[
        bool,
        typer.Option(
            "--web",
            help="Write web/ too: a page to open on a phone, with the camera or microphone.",
        ),
    ] = False,
    tasks_vision: Annotated[
        Path | None,
        typer.Option(help="Folder or .tgz of npm's @mediapipe/tasks-vision, for --web."),
    ] = None,
    tasks_audio: Annotated[
        Path | None,
        typer.Option(help="The same of @mediapipe/tasks-audio, for --web and a model for sound."),
    ] = None,
    node_modules: Annotated[
        Path | None,
        typer.Option(help="A node_modules folder with @litertjs/core, for --web and transcripts."),
    ] = None,
) -> None:
    """Write a model for phones and servers, prove that the files compute the same, measure them."""
    with Steps("Starting Keras") as steps, refusing(), quiet():
        from keras_residual import export as library
        from keras_residual.cli import _export_data
        from keras_residual.weights import description_of

        network, scaling = _export_data.load_model(model, weights, preprocessing)
        for_phones = target != "server" and "litert" in (format or ("litert",))
        for_phones &= scaling is not None or description_of(network) is not None
        chosen = _export_data.load_data(data, network, images, scaling is not None, for_phones)
        if labels is not None:
            chosen["labels"] = _export_data.load_labels(labels)
        output = output or Path("runs") / f"export-{Path(model).stem.lower()}"
        steps.plan((1, *_SHARES * len(format or ("litert",))))
        report = library.export(
            network,
            output,
            tuple(format or ("litert",)),
            quantization,
            preprocessing=scaling,
            include_preprocessing=True if scaling is not None else None,
            target="phone" if web and target is None else target,
            outputs=outputs,
            batch_size=batch_size,
            progress=_shown(steps),
            **chosen,
        )
        packages = {"tasks_vision": tasks_vision, "tasks_audio": tasks_audio}
        packages["node_modules"] = node_modules
        page = _page(library, report, output, packages) if web else None
    print_table(_COLUMNS, [_row(row) for row in report.rows])
    if measure := _measure(report):
        console.print(measure, style="dim", soft_wrap=in_one_line())
    for note in report.notes:
        console.print(as_typed(note), style="dim", markup=False, soft_wrap=in_one_line())
    if report.folding is not None:
        console.print(f"{report.folding}.", style="dim", markup=False, soft_wrap=in_one_line())
    console.print(f"{bold(f'{output}/')} with README.md and card.json", soft_wrap=in_one_line())
    if page is not None:
        size = human_bytes(page.bytes)
        console.print(f"{bold(f'{page.directory}/')} the page, {size}", soft_wrap=in_one_line())
        console.print(
            f"See it: python -m http.server --directory {page.directory}, then "
            "http://localhost:8000 (phones need https for the camera or microphone)",
            style="dim",
            markup=False,
            soft_wrap=True,
        )
    print_next("benchmark", *(row.path for row in report.rows))


def _measure(report):
    """Returns how right the first file is as a sentence, `None` if that was not measured."""
    checked = report.rows[0].verification
    of = counted(checked.samples, "held-out example")
    if checked.accuracy is not None:
        return f"On {of}{_resized(report)}; in Keras {checked.model_accuracy:.2%}."
    if checked.error_rate is not None:
        rates = checked.error_rate, checked.model_error_rate
        return "Label error rate on {}: {:.2%}; in Keras {:.2%}.".format(of, *rates)
    if checked.error is not None:
        errors = checked.error, checked.model_error
        return "Mean absolute error on {}: {:.4g}; in Keras {:.4g}.".format(of, *errors)
    return None


def _page(library, report, output, packages):
    row = next((row for row in report.rows if row.format == "litert"), None)
    if row is None:
        raise ValueError("`--web` needs `--format litert`, the default.")
    checked = row.verification
    rates = {"accuracy": checked.accuracy, "error_rate": checked.error_rate}
    shown = {name: rate for name, rate in rates.items() if rate}
    shown |= {"samples": checked.samples} if shown else {}
    return library.web_page(row.path, output / "web", verification=shown, **packages)


def _resized(report):
    """Returns how photographs were brought to the size of a file for phones, if they were."""
    resized = report.rows[0].fits
    return ", resized without antialiasing, as MediaPipe does" if resized else ""


def _shown(steps):
    def show(step):
        steps(step)
        if not console.is_terminal:
            console.print(step, soft_wrap=True)

    return show


def _row(row) -> list[str]:
    checked, timing = row.verification, row.timing
    return [
        row.path.name,
        human_bytes(row.bytes),
        f"{checked.worst:.1e}",
        "–" if checked.error is not None else f"{checked.agreement:.2%}",
        "–" if checked.accuracy is None else f"{checked.accuracy:.2%}",
        "–" if timing is None else human_seconds(timing.median_seconds),
        "–" if timing is None else human_bytes(timing.memory_bytes),
    ]
