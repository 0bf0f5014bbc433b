"""Checks the data of an export: for calibration, for the comparison, and for accuracies."""

import os
from typing import Any

import numpy as np

from keras_residual.export._pictures import cropped, decoded, stretched
from keras_residual.export._pixels import Pixels
from keras_residual.export._samples import check_finite, fitting
from keras_residual.export._signature import count_of
from keras_residual.export.proof.answers import are_transcripts
from keras_residual.export.quantizations import INTEGERS

CALIBRATION_SAMPLES = 200
_RANDOM_SAMPLES = 8


def are_photographs(data):
    """Returns whether evaluation data are picture files or pictures of various sizes."""
    if not isinstance(data, (tuple, list)) or len(data) != 2 or not isinstance(data[0], list):
        return False
    return all(
        isinstance(item, (str, os.PathLike)) or getattr(item, "dtype", None) == np.uint8
        for item in data[0]
    )


def fitted_photographs(inputs, data, picture):
    if picture is None:
        raise ValueError(
            "`evaluation_data` may be photographs for LiteRT files for phones only; give arrays of "
            "the model's inputs. Received: a list of photographs"
        )
    levels = {"stretch": [], "crop": []}
    # One after the other: photographs of a phone have tens of megabytes each.
    for photo in map(decoded, data[0]):
        levels["stretch"].append(stretched(photo, picture.size))
        levels["crop"].append(cropped(photo, picture.size, picture.crop))
    (name,) = inputs
    return {
        fit: ({name: picture.pixels.apply(np.stack(found))}, np.asarray(data[1]))
        for fit, found in levels.items()
    }


def checked_evaluation(model, specs, data):
    if data is None:
        return None
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            "`evaluation_data` must be a pair of inputs and their classes, equally many. "
            f"Received: {type(data).__name__}"
        )
    inputs = fitting("evaluation_data", model, specs, data[0])
    check_finite("evaluation_data", inputs)
    classes = np.asarray(data[1])
    if len(model.outputs) > 1:
        raise ValueError(
            "`evaluation_data` must be for a model with one output; give `representative_data` to "
            f"compare more. Received: {model.name!r} with {len(model.outputs)} outputs"
        )
    if classes.dtype.kind not in "iu" or not classes.ndim or len(classes) != count_of(inputs):
        return inputs, _labels_or_numbers(model, classes, count_of(inputs))
    if classes.shape[1:] != tuple(model.outputs[0].shape[1:]):
        units, padded = model.outputs[0].shape[-1], are_transcripts(model)
        check_classes("evaluation_data", classes, units, padded)
    return inputs, classes


def _labels_or_numbers(model, answers, count):
    """Returns one number for each output, checked."""
    units = tuple(model.outputs[0].shape[1:])
    if answers.dtype.kind not in "biuf" or answers.shape != (count, *units):
        raise ValueError(
            f"`evaluation_data` must have integers as classes, {count} of them, or labels or "
            f"numbers of shape {(count, *units)}. Received: {answers.dtype} of shape "
            f"{answers.shape}"
        )
    if not np.isfinite(answers).all():
        raise ValueError("`evaluation_data` must have finite numbers. Received: NaN or infinity")
    return answers


def check_classes(
    argument: str, classes: np.ndarray, units: int | None, padded: bool = False
) -> None:
    """Raises a ValueError for classes that a model has no output for: all would count as wrong.

    Args:
        argument: Name of the argument in error messages.
        classes: Integers.
        units: Number of the model's outputs.
        padded: Whether they are transcripts, padded with -1.
    """
    least = -1 if padded else 0
    if units is not None and classes.size and not least <= classes.min() <= classes.max() < units:
        raise ValueError(
            f"`{argument}` must have classes in {least}..{units - 1}, the model's outputs. "
            f"Received: classes {classes.min()}..{classes.max()}"
        )


def checked_data(model, specs, data, quantization, formats, picture) -> dict[str, Any]:
    """Returns the inputs on which artefact and model are compared."""
    quantized = any(row.quantization(quantization) for row in formats)
    if data is None and quantization in INTEGERS and quantized:
        raise ValueError(
            f'quantization="{quantization}" needs `representative_data`, some inputs as the model '
            "will see them. Received: representative_data=None"
        )
    if data is not None:
        arrays = fitting("representative_data", model, specs, data, CALIBRATION_SAMPLES)
        check_finite("representative_data", arrays)
        return arrays
    for name, spec in specs.items():
        if None in spec.shape[1:] or not spec.is_floating:
            raise ValueError(
                f"`representative_data` must be given for an input of shape {spec} and type "
                f"{spec.type}, {name!r}. Received: representative_data=None"
            )
    random = np.random.default_rng(0)
    if picture is not None:
        (name,) = specs
        pixels: Pixels = picture.pixels
        shape = (_RANDOM_SAMPLES, *picture.size, 3)
        return {name: pixels.apply(random.integers(0, 256, shape))}
    return {
        name: random.random((_RANDOM_SAMPLES, *spec.shape[1:]), np.float32)
        for name, spec in specs.items()
    }
