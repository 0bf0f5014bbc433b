from pathlib import Path
from typing import Annotated

import typer

from keras_residual import _checks
from keras_residual.cli._terminal import console, human_seconds, quiet, refusing, same_command


def evaluate(
    model_file: Annotated[
        Path, typer.Argument(help="A .keras or .tflite file, or a SavedModel's folder.")
    ],
    dataset: Annotated[
        str, typer.Option(help="digits, a TFDS name such as cifar10, an .npz file or a folder.")
    ] = "digits",
    batch_size: Annotated[int, typer.Option(help="Images at a time.", min=1)] = 128,
    test_crop: Annotated[
        float | None,
        typer.Option(
            help="Share of the shorter side that is kept of large images. "
            "Default: what the model's file says, or 0.875."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for report.json and pictures of the mistakes."),
    ] = None,
) -> None:
    """Measure a trained model on the held-out images of a dataset, class by class."""
    with refusing(), quiet():
        from keras_residual import data
        from keras_residual.cli import _classifier, _measures, _model_files, _report

        if test_crop is None:
            test_crop = _model_files.test_crop_of(model_file)
        _checks.real("--test-crop", test_crop, 0.01, 1)
        predict, input_shape = _model_files.load_predictor(model_file)
        source = data.load(dataset)
        _check(input_shape, source)
        fixed = source.examples == "images" and None not in input_shape[:-1]
        size = input_shape[:-1] if fixed else None
        batches = _classifier.held_out_batches(source, batch_size, size, test_crop=test_crop)
        # Compiled by the first batch, before the clock runs.
        predict(next(batches.as_numpy_iterator())[0])
        measures = None
        if source.label_kind != "classes":
            measures = _measures.measure(
                predict, batches.as_numpy_iterator(), source.label_kind, source.class_names
            )
        else:
            answers = _report.ask(
                predict,
                batches.as_numpy_iterator(),
                source.class_names,
                check=lambda shape: _check_classes(shape, source),
                files=getattr(source.test, "paths", ()),
            )
    if measures is not None:
        _print(measures, model_file, source, output)
        return
    right, count = int(answers.report.confusion.trace()), len(answers.labels)
    console.print(f"{model_file} on {source}", markup=False, soft_wrap=True)
    console.print(
        f"Held-out accuracy [bold]{right / count:.2%}[/] ({right:,} of {count:,}), "
        f"{human_seconds(answers.seconds / count)} an image in batches of {batch_size}",
        soft_wrap=True,
    )
    _report.print_table(answers)
    if output is not None:
        _write(answers, output, model_file, dataset)


def _write(answers, output, model_file, dataset):
    """Writes what came out to a folder."""
    from keras_residual.cli import _report, _results

    with refusing():
        output.mkdir(parents=True, exist_ok=True)
        pictures = _report.draw(answers, output)
        report = {
            "model_file": str(model_file),
            "dataset": dataset,
            "report": answers.report.as_dict(),
            "mistakes": answers.mistakes_as_dicts(),
            "pictures": pictures,
            "command": same_command(),
        }
        _results.write(output / "report.json", report)
    console.print(
        f"{output / 'report.json'}; beside it {', '.join(pictures) or 'no pictures'}",
        markup=False,
        soft_wrap=True,
    )


def _print(measures, model_file, source, output):
    """Prints what was measured of several labels or numbers, and writes it to a folder."""
    from keras_residual.cli import _results

    console.print(f"{model_file} on {source}", markup=False, soft_wrap=True)
    console.print(measures.headline, markup=False, soft_wrap=True)
    measures.print_table()
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        report = {"model_file": str(model_file), "report": measures.as_dict()}
        _results.write(output / "report.json", {**report, "command": same_command()})


def _check(input_shape, source):
    fits = len(input_shape) == len(source.image_shape)
    if not fits or input_shape[-1] not in (None, source.image_shape[-1]):
        raise ValueError(
            f"The model takes inputs of {input_shape}; the {source.examples} of {source.name} are "
            f"{source.image_shape}."
        )


def _check_classes(output_shape, source):
    if len(output_shape) != 2 or output_shape[1] != source.num_classes:
        raise ValueError(
            f"The model puts out {tuple(output_shape[1:])}; {source.name} has "
            f"{source.num_classes} classes."
        )
