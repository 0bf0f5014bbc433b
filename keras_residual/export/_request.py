"""The arguments of `export`, checked, as one object."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_residual import _checks, weights
from keras_residual.export._pictures import cropped, decoded, stretched
from keras_residual.export._pixels import Pixels
from keras_residual.export._samples import check_finite, fitting
from keras_residual.export._signature import InputSpec, count_of, input_specs, rows_of
from keras_residual.export._target import (
    OUTPUTS,
    TARGETS,
    PictureFile,
    layer_of,
    picture_file,
)
from keras_residual.export.formats_table import FORMATS, Format
from keras_residual.export.quantizations import INTEGERS, QUANTIZATIONS

_CALIBRATION_SAMPLES = _COMPARED_SAMPLES = 200
_RANDOM_SAMPLES = 8


@dataclass(frozen=True)
class Request:
    """What to write, checked; fields that are not named here are arguments of `export`.

    Attributes:
        formats: The rows of the formats to write.
        inputs: The model's inputs.
        representative_data: Arrays by the names of the inputs.
        evaluation_data: Such arrays and their classes, or `None`.
        preprocessing: Layers by the names of the inputs.
        include_preprocessing: Whether data are what these layers take, and every artefact has them.
        picture: What a LiteRT file for phones takes, `None` where none is written.
        labels: Names of the outputs.
        fits: Photographs and their classes, brought to the input's size in each way.
    """

    formats: tuple[Format, ...]
    inputs: dict[str, InputSpec]
    quantization: str | None
    representative_data: dict[str, np.ndarray]
    evaluation_data: tuple[dict[str, np.ndarray], np.ndarray] | None
    preprocessing: dict[str, keras.layers.Layer]
    include_preprocessing: bool
    picture: PictureFile | None
    labels: list[str] | None
    fits: dict[str, tuple[dict[str, np.ndarray], np.ndarray]]
    batch_size: int | None
    integer_io: bool
    opset: int | None
    fold: bool
    tolerance: float | None
    measure: bool

    def samples(self, data: dict, size: int | None) -> list[dict[str, np.ndarray]]:
        """Returns the batches of `data` that decide the ranges of integers."""
        size = size or 1
        count = max(size, min(count_of(data), _CALIBRATION_SAMPLES))
        return [rows_of(data, i, i + size) for i in range(0, count - size + 1, size)]

    def compared(self):
        """Returns what artefact and model are compared on."""
        if self.evaluation_data is not None:
            return self.evaluation_data
        count = min(_COMPARED_SAMPLES, count_of(self.representative_data))
        return rows_of(self.representative_data, 0, count)

    def picture_for(self, format: Format) -> PictureFile | None:
        """Returns what a file of a format takes in place of the model's input."""
        return self.picture if format.for_phones else None


def checked_request(
    model: keras.Model,
    *,
    formats,
    quantization,
    representative_data,
    evaluation_data,
    preprocessing,
    include_preprocessing,
    target,
    outputs,
    labels,
    batch_size,
    integer_io,
    opset,
    fold,
    tolerance,
    measure,
) -> Request:
    """Returns the request for a model, or raises a ValueError that names the argument."""
    _checks.choice("quantization", quantization, QUANTIZATIONS)
    rows = _checked_formats(formats)
    for row in rows:
        row.check()
    for name, value in {"integer_io": integer_io, "fold": fold, "measure": measure}.items():
        _checks.boolean(name, value)
    if include_preprocessing is not None:
        _checks.boolean("include_preprocessing", include_preprocessing)
    _checks.choice("target", target, (None, *TARGETS))
    _checks.choice("outputs", outputs, (None, *OUTPUTS))
    for name, value, least in (("batch_size", batch_size, 1), ("opset", opset, 7)):
        if value is not None:
            _checks.integer(name, value, minimum=least)
    if tolerance is not None:
        _checks.real("tolerance", tolerance, 0.0, float("inf"))
    inputs = input_specs(model)
    description = weights.description_of(model)
    included = include_preprocessing is True
    layers = _checked_preprocessing(model, inputs, preprocessing, included, description)
    picture = None
    if any(row.for_phones for row in rows):
        picture = picture_file(
            model,
            inputs,
            layers,
            description,
            include_preprocessing=include_preprocessing,
            target=target,
            outputs=outputs,
            quantization=quantization,
            integer_io=integer_io,
        )
    elif target == "phone" or outputs is not None:
        name = "outputs" if outputs is not None else "target"
        raise ValueError(f'`{name}` needs "litert" among `formats`. Received: formats={formats!r}')
    fits = {}
    if _are_photographs(evaluation_data):
        fits = _fitted(inputs, evaluation_data, picture)
        evaluation_data = fits[picture.fit]
    evaluation = _checked_evaluation(model, inputs, evaluation_data)
    data = representative_data
    if data is None and evaluation is not None and quantization not in INTEGERS:
        data = evaluation[0]
    return Request(
        formats=rows,
        inputs=inputs,
        quantization=quantization,
        representative_data=_checked_data(
            model, inputs, data, quantization, rows, picture, included
        ),
        evaluation_data=evaluation,
        preprocessing=layers,
        include_preprocessing=included,
        picture=picture,
        labels=_checked_labels(model, labels, description),
        fits=fits,
        batch_size=batch_size,
        integer_io=integer_io,
        opset=opset,
        fold=fold,
        tolerance=tolerance,
        measure=measure,
    )


def _checked_formats(formats) -> tuple[Format, ...]:
    names = (formats,) if isinstance(formats, str) else tuple(formats)
    if not names:
        accepted = tuple(FORMATS)
        raise ValueError(f"`formats` must hold some of {accepted}. Received: formats={formats!r}")
    for name in names:
        _checks.choice("formats", name, tuple(FORMATS))
    return tuple(FORMATS[name] for name in dict.fromkeys(names))


def _checked_preprocessing(model, inputs, given, included, description) -> dict:
    names = list(inputs)
    if given is None:
        return {names[0]: _known_layer(model, inputs, description)} if included else {}
    if not isinstance(given, dict):
        if len(names) > 1:
            raise ValueError(
                "`preprocessing` must be a dict of layers by the names of the inputs, some of "
                f"{', '.join(names)}. Received: preprocessing={given!r}"
            )
        given = {names[0]: given}
    for name in given:
        _checks.choice("preprocessing", name, names)
    return {name: _checked_layer(layer) for name, layer in given.items()}


def _known_layer(model, inputs, description):
    """Returns the layer that scales pixels as the model's weights expect."""
    layer = None if description is None else layer_of(description, next(iter(inputs.values())))
    if layer is None:
        raise ValueError(
            "`preprocessing` must be given with include_preprocessing=True: nobody said what the "
            f"weights of {model.name!r} expect, such as `layers.ImageNormalization()` for those of "
            "torchvision or `weights.Preprocessing.from_mode('caffe')`. "
            "Received: preprocessing=None"
        )
    return layer


def _checked_layer(layer):
    if isinstance(layer, str):
        with contextlib.suppress(ValueError):
            layer = weights.preprocessing_of(layer)
    if not isinstance(layer, keras.layers.Layer) and hasattr(layer, "layer"):
        layer = layer.layer()
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(
            "`preprocessing` must be a layer, such as `layers.ImageNormalization`, or a "
            f"`weights.Preprocessing`. Received: preprocessing={layer!r}"
        )
    return layer


def _checked_labels(model, labels, description) -> list[str] | None:
    counts = list(dict.fromkeys(tensor.shape[-1] for tensor in model.outputs if tensor.shape))
    if labels is None:
        names = None if description is None else description.class_names
        return list(names) if names and len(names) in counts else None
    if isinstance(labels, (str, os.PathLike)):
        labels = Path(labels).read_text(encoding="utf-8").splitlines()
    labels = list(labels) if isinstance(labels, Sequence) else labels
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


def _are_photographs(data):
    """Returns whether evaluation data are pictures in files or of any sizes."""
    if not isinstance(data, (tuple, list)) or len(data) != 2 or not isinstance(data[0], list):
        return False
    return all(
        isinstance(item, (str, os.PathLike)) or getattr(item, "dtype", None) == np.uint8
        for item in data[0]
    )


def _fitted(inputs, data, picture):
    if picture is None:
        raise ValueError(
            "`evaluation_data` may be photographs for LiteRT files for phones only; give arrays of "
            "the model's inputs. Received: a list of photographs"
        )
    photographs, classes = [decoded(item) for item in data[0]], np.asarray(data[1])
    levels = {
        "stretch": [stretched(photo, picture.size) for photo in photographs],
        "crop": [cropped(photo, picture.size, picture.crop) for photo in photographs],
    }
    (name,) = inputs
    return {
        fit: ({name: picture.pixels.apply(np.stack(found))}, classes)
        for fit, found in levels.items()
    }


def _checked_evaluation(model, specs, data):
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
        raise ValueError(
            f"`evaluation_data` must have integers as classes, {count_of(inputs)} of them. "
            f"Received: {classes.dtype} of shape {classes.shape}"
        )
    return inputs, classes


def _checked_data(model, specs, data, quantization, formats, picture, raw) -> dict:
    """Returns inputs to compare with."""
    quantized = any(row.quantization(quantization) for row in formats)
    if data is None and quantization in INTEGERS and quantized:
        raise ValueError(
            f'quantization="{quantization}" needs `representative_data`, some inputs as the model '
            "will see them. Received: representative_data=None"
        )
    if data is not None:
        arrays = fitting("representative_data", model, specs, data, _CALIBRATION_SAMPLES)
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
