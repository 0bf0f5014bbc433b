from pathlib import Path
from typing import Annotated

import typer

from keras_residual import _checks
from keras_residual.cli._json import AsJson, print_json, standard_output_kept
from keras_residual.cli._options import DatasetName
from keras_residual.cli._steps import Steps
from keras_residual.cli._terminal import console, in_one_line, quiet, refusing, same_command


def evaluate(
    model_file: Annotated[
        Path, typer.Argument(help="A .keras or .tflite file, or a SavedModel's folder.")
    ],
    dataset: DatasetName = "digits",
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
    as_json: AsJson = False,
) -> None:
    """Measure a trained model on the held-out images of a dataset, class by class.

    With --json, an object: model_file, dataset, count (of examples), seconds_per_example, report
    and mistakes. The report of a classifier holds accuracy, macro_f1, classes (for each its
    precision, recall, f1, examples) and confusion; that of several labels or numbers holds names,
    mean, count and a list for each measure. Mistakes, of a classifier alone, are the worst ones:
    picture, is, taken_for, certainty.
    """
    with standard_output_kept(as_json):
        found, source = _measured(model_file, dataset, batch_size, test_crop)
        if not as_json:
            console.print(f"{model_file} on {source}", markup=False, soft_wrap=in_one_line())
            found.print_headline(batch_size)
            found.print_table()
        if output is not None:
            _write(found, output, model_file, dataset)
    if as_json:
        print_json(
            {
                "model_file": str(model_file),
                "dataset": dataset,
                "count": found.count,
                "seconds_per_example": found.seconds / found.count,
                **found.as_dict(),
            }
        )


def _measured(model_file, dataset, batch_size, test_crop):
    """Returns the results, `_report.Answers` or `_measures.Measures`, and the dataset."""
    with refusing(), quiet():
        with Steps("Starting Keras"):
            from keras_residual.cli import _fit, _measures, _model_files, _progress, _report

            description = _model_files.description_of(model_file)
            predict, source, batches = _loaded(
                model_file, dataset, batch_size, test_crop, description
            )
            # The first batch compiles the model, outside the measured time.
            predict(next(batches.as_numpy_iterator())[0])
        with _progress.counting(batches, len(source.test)) as examples:
            if source.label_kind != "classes":
                known = None if description is None else description.class_names
                kind, names = source.label_kind, source.class_names
                return _measures.measure(predict, examples, kind, names, known), source
            answers = _report.ask(
                predict,
                examples,
                source.class_names,
                check=lambda shape: _fit.check_outputs(shape, source),
                files=getattr(source.test, "paths", ()),
            )
            return answers, source


def _loaded(model_file, dataset, batch_size, test_crop, description):
    """Returns the function that predicts a batch, the dataset, and its held-out batches."""
    from keras_residual.cli import _classifier, _fit, _model_files

    if test_crop is None:
        test_crop = _model_files.test_crop_of(description)
    _checks.real("--test-crop", test_crop, 0.01, 1)
    predict, input_shape = _model_files.load_predictor(model_file)
    source = _fit.load_for(input_shape, dataset, description)
    fixed = source.examples == "images" and None not in input_shape[:-1]
    size = input_shape[:-1] if fixed else None
    batches = _classifier.held_out_batches(source, batch_size, size, test_crop=test_crop)
    return predict, source, batches


def _write(found, output, model_file, dataset):
    """Writes the results to a folder."""
    from keras_residual.cli import _results

    with refusing():
        output.mkdir(parents=True, exist_ok=True)
        pictures = found.draw(output)
        report = {
            "model_file": str(model_file),
            "dataset": dataset,
            **found.as_dict(),
            "pictures": pictures,
            "command": same_command(),
        }
        _results.write(output / "report.json", report)
    console.print(
        f"{output / 'report.json'}; beside it {', '.join(pictures) or 'no pictures'}",
        markup=False,
        soft_wrap=in_one_line(),
    )
