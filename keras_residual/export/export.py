"""From a Keras model to artefacts for other runtimes."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._files import replacing
from keras_residual.export import litert, saved_model
from keras_residual.export.artefact import load
from keras_residual.export.errors import ExportError
from keras_residual.export.report import ExportReport, ExportRow
from keras_residual.export.verify import verify

FORMATS = ("saved_model", "litert")
QUANTIZATIONS = (None, "int8")
# Largest difference allowed, as a share of the largest output. Integers have no such bound: how far
# they are off depends on the representative data.
_TOLERANCE = 1e-4
_CALIBRATION_SAMPLES = 200
_RANDOM_SAMPLES = 8


def export(
    model: keras.Model,
    directory: str | os.PathLike,
    formats: Sequence[str] = FORMATS,
    quantization: str | None = None,
    representative_data: np.ndarray | None = None,
) -> ExportReport:
    """Writes a model for other runtimes and checks that each file computes the same.

    `directory` gets `saved_model/`, a TensorFlow SavedModel for any batch size, and `model.tflite`
    or `model_int8.tflite`, a LiteRT file of builtin operations. Each appears under its name only
    once it has been run in its own runtime and compared with the model.

    Args:
        model: A built Keras model with one input.
        directory: The folder to write to; what has the same name there is replaced.
        formats: Some of `"saved_model"` and `"litert"`. Defaults to both.
        quantization: `None` for float32, or `"int8"` for a LiteRT file that computes in integers
            throughout, its input and output included; a SavedModel stays as it is.
        representative_data: `(n, ...)` inputs as the model will see them. They decide the ranges of
            `"int8"` (the first 200), and the comparison is made with them. Without them it is made
            with random numbers.

    Returns:
        An `ExportReport`: path, size and differences of each artefact.

    Raises:
        ValueError: If an argument is none of the accepted.
        ExportError: If a format cannot express the model, or the artefact computes other numbers.
        ImportError: If a runtime is not installed.

    Example:

    >>> report = export(model, "exported", quantization="int8",
    ...                 representative_data=images)  # doctest: +SKIP
    >>> print(report)  # doctest: +SKIP
    """
    _checks.choice("quantization", quantization, QUANTIZATIONS)
    formats = _checked_formats(formats)
    _check_model(model, formats)
    data = _checked_data(model, representative_data, quantization)
    directory = Path(directory)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "saved_model"
        saved_model.write(model, source)
        for format in formats:
            with replacing(directory / _file_name(format, quantization)) as partial:
                if format == "saved_model":
                    shutil.copytree(source, partial)
                else:
                    litert.write(source, partial, quantization, data[:_CALIBRATION_SAMPLES])
                rows.append(_checked_row(format, quantization, partial, model, data))
    return ExportReport(
        model.name,
        tuple(
            ExportRow(
                row.format,
                row.quantization,
                directory / row.path.name,
                row.bytes,
                row.verification,
            )
            for row in rows
        ),
    )


def _checked_formats(formats) -> tuple[str, ...]:
    names = (formats,) if isinstance(formats, str) else tuple(formats)
    if not names:
        raise ValueError(f"`formats` must hold some of {FORMATS}. Received: formats={formats!r}")
    for name in names:
        _checks.choice("formats", name, FORMATS)
    return names


def _check_model(model, formats):
    if not isinstance(model, keras.Model) or len(getattr(model, "inputs", None) or ()) != 1:
        raise ValueError(f"`model` must be a built Keras model of one input. Received: {model!r}")
    halves = {layer.compute_dtype for layer in model.layers} & {"bfloat16", "float16"}
    if halves and "litert" in formats:
        raise ExportError(
            f"LiteRT needs a float32 model. Received: {model.name!r}, which computes in "
            f"{halves.pop()}; load its weights into one built with dtype='float32'."
        )


def _checked_data(model, data, quantization) -> np.ndarray:
    """Inputs to compare with."""
    (tensor,) = model.inputs
    shape = tuple(tensor.shape[1:])
    if data is None and quantization is not None:
        raise ValueError(
            f'quantization="{quantization}" needs `representative_data`, some inputs as the model '
            "will see them. Received: representative_data=None"
        )
    if data is None and (None in shape or not keras.backend.is_float_dtype(tensor.dtype)):
        raise ValueError(
            f"`representative_data` must be given for an input of shape {shape} and type "
            f"{tensor.dtype}. Received: representative_data=None"
        )
    if data is None:
        return np.random.default_rng(0).random((_RANDOM_SAMPLES, *shape), np.float32)
    data = np.asarray(data, tensor.dtype)
    fits = len(data.shape) == len(shape) + 1 and all(
        size in (None, given) for size, given in zip(shape, data.shape[1:], strict=True)
    )
    if not fits or not len(data):
        raise ValueError(
            f"`representative_data` must be inputs of shape {shape}, first axis the number of "
            f"them. Received: shape {data.shape}"
        )
    return data


def _file_name(format, quantization):
    if format == "saved_model":
        return "saved_model"
    return f"model_{quantization}.tflite" if quantization else "model.tflite"


def _checked_row(format, quantization, path, model, data) -> ExportRow:
    artefact = load(path)
    checked = verify(artefact, model, data)
    exact = format == "saved_model" or quantization is None
    bound = _TOLERANCE * max(1.0, checked.largest) if exact else float("inf")
    # Written so that NaN fails.
    if not checked.worst <= bound:
        raise ExportError(
            f"The {format} of {model.name!r} computes other numbers than the model: they differ by "
            f"up to {checked.worst:.3g}, where {bound:.3g} is allowed."
        )
    return ExportRow(format, quantization, path, artefact.bytes, checked)
