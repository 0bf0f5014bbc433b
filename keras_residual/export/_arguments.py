"""The arguments of `export`, checked."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from keras_residual import _checks
from keras_residual.export._signature import count_of, fitting, input_specs, rows_of
from keras_residual.export.formats import jax as jax_file
from keras_residual.export.formats import onnx as onnx_file
from keras_residual.export.formats.litert.litert import INTEGERS, QUANTIZATIONS
from keras_residual.export.proof.artefact import SUFFIXES
from keras_residual.layers.image_normalization import ImageNormalization

FORMATS = ("saved_model", "litert", "onnx", "jax")
UNQUANTIZED = ("saved_model", "jax")
_CALIBRATION_SAMPLES = _COMPARED_SAMPLES = 200
_RANDOM_SAMPLES = 8


@dataclass(frozen=True)
class Request:
    """What to write. Fields are the arguments of `export`.

    Once `checked`, data are arrays, and `preprocessing` holds layers, by the names of the inputs.
    """

    formats: tuple[str, ...]
    quantization: str | None
    representative_data: dict[str, np.ndarray]
    evaluation_data: tuple[dict[str, np.ndarray], np.ndarray] | None
    preprocessing: dict[str, keras.layers.Layer]
    include_preprocessing: bool
    labels: list[str] | None
    batch_size: int | None
    integer_io: bool
    opset: int | None
    fold: bool
    tolerance: float | None
    measure: bool

    def checked(self, model: keras.Model) -> "Request":
        """Returns the request for a model, or raises a ValueError that names the argument."""
        _checks.choice("quantization", self.quantization, QUANTIZATIONS)
        formats = _checked_formats(self.formats)
        if "onnx" in formats:
            onnx_file.check_installed()
        if "jax" in formats:
            jax_file.check_backend()
        for name in ("include_preprocessing", "integer_io", "fold", "measure"):
            _checks.boolean(name, getattr(self, name))
        if self.batch_size is not None:
            _checks.integer("batch_size", self.batch_size)
        if self.opset is not None:
            _checks.integer("opset", self.opset, minimum=7)
        if self.tolerance is not None:
            _checks.real("tolerance", self.tolerance, 0.0, float("inf"))
        evaluation = _checked_evaluation(model, self.evaluation_data)
        data = self.representative_data
        if data is None and evaluation is not None and self.quantization not in INTEGERS:
            data = evaluation[0]
        return replace(
            self,
            formats=formats,
            representative_data=_checked_data(model, data, self.quantization, formats),
            evaluation_data=evaluation,
            preprocessing=_checked_preprocessing(
                model, self.preprocessing, self.include_preprocessing
            ),
            labels=_checked_labels(model, self.labels),
        )

    def samples(self) -> list[dict[str, np.ndarray]]:
        """Returns the batches that decide the ranges of integers."""
        size, data = self.batch_size or 1, self.representative_data
        count = max(size, min(count_of(data), _CALIBRATION_SAMPLES))
        return [rows_of(data, i, i + size) for i in range(0, count - size + 1, size)]

    def compared(self):
        """Returns what artefact and model are compared on."""
        if self.evaluation_data is not None:
            return self.evaluation_data
        count = min(_COMPARED_SAMPLES, count_of(self.representative_data))
        return rows_of(self.representative_data, 0, count)

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


def _checked_formats(formats) -> tuple[str, ...]:
    names = (formats,) if isinstance(formats, str) else tuple(formats)
    if not names:
        raise ValueError(f"`formats` must hold some of {FORMATS}. Received: formats={formats!r}")
    for name in names:
        _checks.choice("formats", name, FORMATS)
    return tuple(dict.fromkeys(names))


def _checked_preprocessing(model, preprocessing, included) -> dict[str, keras.layers.Layer]:
    names = list(input_specs(model))
    if preprocessing is None and not included:
        return {}
    if not isinstance(preprocessing, dict):
        if len(names) > 1:
            raise ValueError(
                "`preprocessing` must be a dict of layers by the names of the inputs, some of "
                f"{', '.join(names)}. Received: preprocessing={preprocessing!r}"
            )
        preprocessing = {names[0]: preprocessing}
    for name in preprocessing:
        _checks.choice("preprocessing", name, names)
    return {name: _checked_layer(layer) for name, layer in preprocessing.items()}


def _checked_layer(layer):
    if layer is None:
        return ImageNormalization(name="preprocessing")
    if not isinstance(layer, keras.layers.Layer) and hasattr(layer, "layer"):
        layer = layer.layer()
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(
            "`preprocessing` must be a layer, such as `layers.ImageNormalization`, or a "
            f"`weights.Preprocessing`. Received: preprocessing={layer!r}"
        )
    return layer


def _checked_labels(model, labels) -> list[str] | None:
    if labels is None:
        return None
    if isinstance(labels, (str, os.PathLike)):
        labels = Path(labels).read_text(encoding="utf-8").splitlines()
    labels = list(labels) if isinstance(labels, Sequence) else labels
    counts = list(dict.fromkeys(tensor.shape[-1] for tensor in model.outputs if tensor.shape))
    valid = isinstance(labels, list) and all(
        isinstance(label, str) and "\n" not in label for label in labels
    )
    if not valid or len(labels) not in counts:
        size = f"{len(labels)} labels" if valid else repr(labels)
        raise ValueError(
            "`labels` must be one name for each of the model's outputs, or a file with one a line: "
            f"{' or '.join(map(str, counts))} of them. Received: {size}"
        )
    return labels


def _checked_evaluation(model, data):
    if data is None:
        return None
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            "`evaluation_data` must be a pair of inputs and their classes, equally many. "
            f"Received: {type(data).__name__}"
        )
    inputs, classes = fitting("evaluation_data", model, data[0]), np.asarray(data[1])
    if len(model.outputs) > 1:
        raise ValueError(
            "`evaluation_data` must be for a model with one output; give `representative_data` to "
            f"compare more. Received: {model.name!r} with {len(model.outputs)} outputs"
        )
    if classes.dtype.kind not in "iu" or not classes.ndim or len(classes) != count_of(inputs):
        raise ValueError(
            f"`evaluation_data` must have integers as classes, {count_of(inputs)} of them. "
            f"Received: {classes.dtype} of shape {classes.shape}"
        )
    return inputs, classes


def _checked_data(model, data, quantization, formats) -> dict[str, np.ndarray]:
    """Returns inputs to compare with."""
    specs = input_specs(model)
    if data is None and quantization in INTEGERS and not {*formats} <= {*UNQUANTIZED}:
        raise ValueError(
            f'quantization="{quantization}" needs `representative_data`, some inputs as the model '
            "will see them. Received: representative_data=None"
        )
    if data is not None:
        return fitting("representative_data", model, data)
    for name, spec in specs.items():
        if None in spec.shape[1:] or not spec.is_floating:
            raise ValueError(
                f"`representative_data` must be given for an input of shape {spec} and type "
                f"{spec.type}, {name!r}. Received: representative_data=None"
            )
    random = np.random.default_rng(0).random
    return {n: random((_RANDOM_SAMPLES, *spec.shape[1:]), np.float32) for n, spec in specs.items()}
