import time
from pathlib import Path
from typing import Annotated

import typer

from keras_residual import _checks
from keras_residual.cli._terminal import console, human_seconds, quiet, refusing


def evaluate(
    model_file: Annotated[
        Path, typer.Argument(help="A .keras or .tflite file, or a SavedModel's folder.")
    ],
    dataset: Annotated[
        str, typer.Option(help="digits, a TFDS name such as cifar10, an .npz file or a folder.")
    ] = "digits",
    batch_size: Annotated[int, typer.Option(help="Images at a time.", min=1)] = 128,
    test_crop: Annotated[
        float, typer.Option(help="Share of the shorter side that is kept of large images.")
    ] = 224 / 256,
) -> None:
    """Measure a trained model's accuracy on the held-out images of a dataset."""
    with refusing(), quiet():
        import numpy as np

        from keras_residual import data
        from keras_residual.cli import _classifier, _model_files

        _checks.real("--test-crop", test_crop, 0.01, 1)
        predict, input_shape = _model_files.load_predictor(model_file)
        source = data.load(dataset)
        _check(input_shape, source)
        size = None if None in input_shape[:-1] else input_shape[:-1]
        batches = _classifier.held_out_batches(source, batch_size, size, test_crop=test_crop)
        # Compiled by the first batch, before the clock runs.
        predict(next(batches.as_numpy_iterator())[0])
        correct, seconds = [], 0.0
        for images, labels in batches.as_numpy_iterator():
            started = time.perf_counter()
            outputs = predict(images)
            seconds += time.perf_counter() - started
            _check_classes(outputs.shape, source)
            correct.append(outputs.argmax(-1) == labels)
    right = np.concatenate(correct)
    console.print(f"{model_file} on {source}", markup=False, soft_wrap=True)
    console.print(
        f"Held-out accuracy [bold]{right.mean():.2%}[/] ({right.sum():,} of {len(right):,}), "
        f"{human_seconds(seconds / len(right))} an image in batches of {batch_size}",
        soft_wrap=True,
    )


def _check(input_shape, source):
    if len(input_shape) != 3 or input_shape[-1] not in (None, source.image_shape[-1]):
        raise ValueError(
            f"The model takes inputs of {input_shape}; the images of {source.name} are "
            f"{source.image_shape}."
        )


def _check_classes(output_shape, source):
    if len(output_shape) != 2 or output_shape[1] != source.num_classes:
        raise ValueError(
            f"The model puts out {tuple(output_shape[1:])}; {source.name} has "
            f"{source.num_classes} classes."
        )
