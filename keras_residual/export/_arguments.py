"""The arguments of `export`, checked."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_residual import _checks
from keras_residual.export import jax_file, onnx_file
from keras_residual.export.artefact import SUFFIXES
from keras_residual.export.litert import INTEGERS, QUANTIZATIONS
from keras_residual.layers.image_normalization import ImageNormalization

FORMATS = ("saved_model", "litert", "onnx", "jax")
UNQUANTIZED = ("saved_model", "jax")
_CALIBRATION_SAMPLES = _COMPARED_SAMPLES = 200
_RANDOM_SAMPLES = 8


@dataclass(frozen=True)
class Request:
    """What to write. Fields are the arguments of `export`; data are arrays here."""

    formats: tuple[str, ...]
    quantization: str | None
    inputs: np.ndarray
    evaluation_data: tuple[np.ndarray, np.ndarray] | None
    preprocessing: keras.layers.Layer | None
    include_preprocessing: bool
    labels: list[str] | None
    batch_size: int | None
    integer_io: bool
    opset: int | None
    fold: bool
    tolerance: float | None
    measure: bool

    def samples(self) -> list[np.ndarray]:
        """Returns the batches that decide the ranges of integers."""
        size = self.batch_size or 1
        rows = self.inputs[:_CALIBRATION_SAMPLES]
        if len(rows) < size:
            rows = np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
        return [rows[i : i + size] for i in range(0, len(rows) - size + 1, size)]

    def compared(self):
        """Returns what artefact and model are compared on."""
        if self.evaluation_data is not None:
            return self.evaluation_data
        return self.inputs[:_COMPARED_SAMPLES]

    def quantization_of(self, format: str) -> str | None:
        """Returns the quantization of an artefact: not every format has one."""
        return None if format in UNQUANTIZED else self.quantization

    def file_name(self, format: str) -> str:
        """Returns the name of an artefact."""
        if format == "saved_model":
            return format
        quantization = self.quantization_of(format)
        ending = f"_{quantization}" if quantization else ""
        return f"model{ending}{SUFFIXES[format]}"


def checked(
    model,
    formats,
    quantization,
    representative_data,
    evaluation_data,
    preprocessing,
    include_preprocessing,
    labels,
    batch_size,
    integer_io,
    opset,
    fold,
    tolerance,
    measure,
) -> Request:
    """Returns the request, or raises a ValueError that names the argument."""
    _checks.choice("quantization", quantization, QUANTIZATIONS)
    formats = _checked_formats(formats)
    if "onnx" in formats:
        onnx_file.check_installed()
    if "jax" in formats:
        jax_file.check_backend()
    for name, value in (
        ("include_preprocessing", include_preprocessing),
        ("integer_io", integer_io),
        ("fold", fold),
        ("measure", measure),
    ):
        _checks.boolean(name, value)
    if batch_size is not None:
        _checks.integer("batch_size", batch_size)
    if opset is not None:
        _checks.integer("opset", opset, minimum=7)
    if tolerance is not None:
        _checks.real("tolerance", tolerance, 0.0, float("inf"))
    evaluation = _checked_evaluation(model, evaluation_data)
    if representative_data is None and evaluation is not None and quantization not in INTEGERS:
        representative_data = evaluation[0]
    layer = _checked_preprocessing(preprocessing, include_preprocessing)
    return Request(
        formats,
        quantization,
        _checked_inputs(model, representative_data, quantization, formats),
        evaluation,
        layer,
        include_preprocessing,
        _checked_labels(model, labels),
        batch_size,
        integer_io,
        opset,
        fold,
        tolerance,
        measure,
    )


def _checked_formats(formats) -> tuple[str, ...]:
    names = (formats,) if isinstance(formats, str) else tuple(formats)
    if not names:
        raise ValueError(f"`formats` must hold some of {FORMATS}. Received: formats={formats!r}")
    for name in names:
        _checks.choice("formats", name, FORMATS)
    return tuple(dict.fromkeys(names))


def _checked_preprocessing(preprocessing, included):
    if preprocessing is None:
        return ImageNormalization(name="preprocessing") if included else None
    layer = preprocessing
    if not isinstance(layer, keras.layers.Layer) and hasattr(layer, "layer"):
        layer = layer.layer()
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(
            "`preprocessing` must be a layer, such as `layers.ImageNormalization`, or a "
            f"`weights.Preprocessing`. Received: preprocessing={preprocessing!r}"
        )
    return layer


def _checked_labels(model, labels) -> list[str] | None:
    if labels is None:
        return None
    if isinstance(labels, (str, os.PathLike)):
        labels = Path(labels).read_text(encoding="utf-8").splitlines()
    labels = list(labels) if isinstance(labels, Sequence) else labels
    shapes = {tuple(tensor.shape) for tensor in model.outputs}
    count = next(iter(shapes))[-1] if len(shapes) == 1 else None
    valid = isinstance(labels, list) and all(
        isinstance(label, str) and "\n" not in label for label in labels
    )
    if not valid or count != len(labels):
        size = f"{len(labels)} labels" if valid else repr(labels)
        raise ValueError(
            "`labels` must be one name for each of the model's outputs, or a file with one a line: "
            f"{count} of them. Received: {size}"
        )
    return labels


def _checked_evaluation(model, data):
    if data is None:
        return None
    if not isinstance(data, (tuple, list)) or len(data) != 2 or len(data[0]) != len(data[1]):
        raise ValueError(
            "`evaluation_data` must be a pair of inputs and their classes, equally many. "
            f"Received: {type(data).__name__}"
        )
    inputs = fitting("evaluation_data", model, data[0])
    classes = np.asarray(data[1])
    if classes.dtype.kind not in "iu":
        raise ValueError(
            f"`evaluation_data` must have integers as classes. Received: {classes.dtype}"
        )
    return inputs, classes


def _checked_inputs(model, data, quantization, formats) -> np.ndarray:
    """Returns inputs to compare with."""
    (tensor,) = model.inputs
    shape = tuple(tensor.shape[1:])
    if data is None and quantization in INTEGERS and not {*formats} <= {*UNQUANTIZED}:
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
    return fitting("representative_data", model, data)


def fitting(name: str, model: keras.Model, data) -> np.ndarray:
    """Returns inputs of a model as an array, or raises a ValueError that names the argument."""
    (tensor,) = model.inputs
    shape = tuple(tensor.shape[1:])
    kind = keras.backend.standardize_dtype(tensor.dtype)
    data = np.asarray(data, "float32" if keras.backend.is_float_dtype(kind) else kind)
    fits = len(data.shape) == len(shape) + 1 and all(
        size in (None, given) for size, given in zip(shape, data.shape[1:], strict=True)
    )
    if not fits or not len(data):
        raise ValueError(
            f"`{name}` must be inputs of shape {shape}, first axis the number of them. "
            f"Received: shape {data.shape}"
        )
    return data
