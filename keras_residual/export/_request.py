"""The arguments of `export`, checked, as one object."""

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from keras_residual import _checks, weights
from keras_residual._description import Description
from keras_residual._words import counted
from keras_residual.export._data import (
    CALIBRATION_SAMPLES,
    are_photographs,
    checked_data,
    checked_evaluation,
    fitted_photographs,
)
from keras_residual.export._signature import InputSpec, count_of, input_specs, rows_of
from keras_residual.export._sound import SoundFile, sampling_rate_of
from keras_residual.export._target import (
    OUTPUTS,
    TARGETS,
    PictureFile,
    description_of_file,
    layer_of,
    picture_file,
    takes_clip,
)
from keras_residual.export.formats_table import FORMATS, Format
from keras_residual.export.quantizations import INTEGERS, QUANTIZATIONS
from keras_residual.export.rewrite.picture import ends_with_softmax

_COMPARED_SAMPLES = 200


@dataclass(frozen=True)
class Request:
    """The checked arguments of an export; undocumented fields are arguments of `export`.

    Attributes:
        formats: The rows of the formats to write.
        inputs: The model's inputs.
        representative_data: Arrays by the names of the inputs.
        evaluation_data: Arrays by the names of the inputs and their classes, or `None`.
        preprocessing: Layers by the names of the inputs.
        include_preprocessing: Whether every artefact contains these layers, and data are raw.
        picture: The picture input of a LiteRT file for phones, `None` if none is written.
        sound: The sound input of a LiteRT file for phones, `None` if none is written.
        is_clip: Whether it takes the frames of one clip.
        labels: Names of the outputs.
        description: The description of the model's inputs and outputs.
        fits: Photographs, fitted to the input's size in each way, and their classes.
    """

    formats: tuple[Format, ...]
    inputs: dict[str, InputSpec]
    quantization: str | None
    representative_data: dict[str, np.ndarray]
    evaluation_data: tuple[dict[str, np.ndarray], np.ndarray] | None
    preprocessing: dict[str, keras.layers.Layer]
    include_preprocessing: bool
    picture: PictureFile | None
    sound: SoundFile | None
    is_clip: bool
    labels: list[str] | None
    description: Description | None
    fits: dict[str, tuple[dict[str, np.ndarray], np.ndarray]]
    batch_size: int | None
    integer_io: bool
    opset: int | None
    fold: bool
    tolerance: float | None
    measure: bool

    def samples(self, data: dict[str, Any], size: int | None) -> list[dict[str, np.ndarray]]:
        """Returns the batches of `data` that determine the quantization ranges."""
        size = size or 1
        count = max(size, min(count_of(data), CALIBRATION_SAMPLES))
        return [rows_of(data, i, i + size) for i in range(0, count - size + 1, size)]

    def compared(self, most: int | None = None):
        """Returns the data on which artefact and model are compared, at most `most` inputs.

        With `most`, no accuracy is measured.
        """
        if self.evaluation_data is not None and most is None:
            return self.evaluation_data
        count = min(most or _COMPARED_SAMPLES, count_of(self.representative_data))
        return rows_of(self.representative_data, 0, count)

    def description_for(self, picture: PictureFile | None) -> Description | None:
        """Returns the description of a file's inputs and outputs."""
        included = self.include_preprocessing and self.description is not None
        return description_of_file(self.description, picture, self.labels, included)

    def picture_for(self, format: Format) -> PictureFile | None:
        """Returns the picture input of a format's file, which replaces the model's input."""
        if self.picture is None or not format.for_phones:
            return None
        if self.quantization in INTEGERS and format.quantization(self.quantization) is None:
            kinds = {"input_type": "float32", "output_type": "float32", "float_softmax": False}
            return dataclasses.replace(self.picture, **kinds)
        return self.picture

    def sound_for(self, format: Format) -> SoundFile | None:
        """Returns what a file of a format takes of sound, likewise."""
        if self.sound is None or not format.for_phones:
            return None
        if format.quantization(self.quantization) not in INTEGERS:
            return dataclasses.replace(self.sound, float_softmax=False)
        return self.sound


def checked_request(model: keras.Model, **arguments) -> Request:
    """Returns the request for a model, or raises a ValueError that names the argument.

    Args:
        model: A functional model.
        **arguments: All of `export` but the model, the folder and `progress`.
    """
    given = SimpleNamespace(**arguments)
    rows = _checked_options(given)
    inputs = input_specs(model)
    description = weights.description_of(model)
    included = given.include_preprocessing is True
    layers = _checked_preprocessing(model, inputs, given.preprocessing, included, description)
    sound = _sound(model, description, rows, given)
    picture, clip = (
        None,
        sound is None and any(row.for_phones for row in rows) and takes_clip(model, given),
    )
    if sound is None and not clip:
        picture = _picture(model, inputs, layers, description, rows, given)
    evaluation, fits = given.evaluation_data, {}
    if are_photographs(evaluation):
        fits = fitted_photographs(inputs, evaluation, picture)
        evaluation = fits[picture.fit]
    evaluation = checked_evaluation(model, inputs, evaluation)
    data = given.representative_data
    if data is None and evaluation is not None and given.quantization not in INTEGERS:
        data = evaluation[0]
    plain = ("quantization", "batch_size", "integer_io", "opset", "fold", "tolerance", "measure")
    return Request(
        formats=rows,
        inputs=inputs,
        representative_data=checked_data(model, inputs, data, given.quantization, rows, picture),
        evaluation_data=evaluation,
        preprocessing=layers,
        include_preprocessing=included,
        picture=picture,
        sound=sound,
        is_clip=clip,
        labels=_checked_labels(model, given.labels, description),
        description=description,
        fits=fits,
        **{name: arguments[name] for name in plain},
    )


def _checked_options(given) -> tuple[Format, ...]:
    """Checks the options that do not depend on the model, and returns the formats."""
    _checks.choice("quantization", given.quantization, QUANTIZATIONS)
    rows = _checked_formats(given.formats)
    for row in rows:
        row.check()
    for name in ("integer_io", "fold", "measure"):
        _checks.boolean(name, getattr(given, name))
    if given.include_preprocessing is not None:
        _checks.boolean("include_preprocessing", given.include_preprocessing)
    _checks.choice("target", given.target, (None, *TARGETS))
    _checks.choice("outputs", given.outputs, (None, *OUTPUTS))
    for name, least in (("batch_size", 1), ("opset", 7)):
        if getattr(given, name) is not None:
            _checks.integer(name, getattr(given, name), minimum=least)
    if given.tolerance is not None:
        _checks.real("tolerance", given.tolerance, 0.0, float("inf"))
    return rows


def _sound(model, description, rows, given) -> SoundFile | None:
    """Returns what a file for phones takes of a model for sound, `None` if none is to be written.

    Raises:
        ValueError: If it is asked for what such a file does not have.
    """
    rate = sampling_rate_of(model, description)
    if rate is None or given.target == "server" or not any(row.for_phones for row in rows):
        return None
    for name in ("preprocessing", "outputs"):
        if getattr(given, name) is not None:
            raise ValueError(
                f"`{name}` is for models that take pictures. Received: {getattr(given, name)!r}"
            )
    fixed = model.inputs[0].shape[1] is not None and given.batch_size in (None, 1)
    if not fixed and given.target == "phone":
        raise ValueError(
            '`target="phone"`: phones give one waveform of a fixed number of samples. Received: '
            f"{tuple(model.inputs[0].shape)}, batch_size={given.batch_size}"
        )
    if not fixed or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        return None
    return SoundFile(rate, given.quantization in INTEGERS and ends_with_softmax(model))


def _picture(model, inputs, layers, description, rows, given) -> PictureFile | None:
    """Returns what a file for phones takes, `None` if none is to be written."""
    if any(row.for_phones for row in rows):
        names = ("include_preprocessing", "target", "outputs", "quantization", "integer_io")
        options = {name: getattr(given, name) for name in (*names, "batch_size")}
        return picture_file(model, inputs, layers, description, **options)
    if given.target == "phone" or given.outputs is not None:
        name = "target" if given.outputs is None else "outputs"
        raise ValueError(f'`{name}` needs "litert" among `formats`. Received: {given.formats!r}')
    return None


def _checked_formats(formats) -> tuple[Format, ...]:
    names = (formats,) if isinstance(formats, str) else tuple(formats)
    if not names:
        accepted = tuple(FORMATS)
        raise ValueError(f"`formats` must hold some of {accepted}. Received: formats={formats!r}")
    for name in names:
        _checks.choice("formats", name, tuple(FORMATS))
    return tuple(FORMATS[name] for name in dict.fromkeys(names))


def _checked_preprocessing(model, inputs, given, included, description) -> dict[str, Any]:
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
    """Returns the layer that scales pixels to the range that the model's weights expect."""
    layer = None if description is None else layer_of(description, next(iter(inputs.values())))
    if layer is None:
        raise ValueError(
            "`preprocessing` must be given with include_preprocessing=True if the scaling that the "
            f"weights expect is unknown, as for {model.name!r}, such as "
            "`layers.ImageNormalization()` for torchvision's weights or "
            "`weights.Preprocessing.from_mode('caffe')`. "
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
        size = counted(len(labels), "label") if valid else repr(labels)
        raise ValueError(
            "`labels` must be one name per output of the model, or a file with one per line: "
            f"{' or '.join(map(str, counts))} of them. Received: {size}"
        )
    return labels
