"""The writer of each format, which turns a `Job` into a file."""

import contextlib
import dataclasses
import shutil
from typing import Any

import numpy as np

from keras_residual._description import Description
from keras_residual._words import name_of
from keras_residual.export import _prepare
from keras_residual.export._job import Job
from keras_residual.export._signature import input_specs
from keras_residual.export.errors import ExportError
from keras_residual.export.formats import jax as jax_file
from keras_residual.export.formats import onnx as onnx_file
from keras_residual.export.formats import saved_model as saved_model_folder
from keras_residual.export.formats.coreml import coreml as coreml_package
from keras_residual.export.formats.litert import finish, four_axes, lstm
from keras_residual.export.formats.litert import litert as litert_file
from keras_residual.export.formats.litert.depthwise import with_depthwise_convolutions
from keras_residual.export.formats.litert.joining import joined
from keras_residual.export.formats.litert.metadata import InputMetadata, add_metadata
from keras_residual.export.proof.delegates import refusals
from keras_residual.export.quantizations import INTEGERS
from keras_residual.export.rewrite.graph import is_recurrent
from keras_residual.export.rewrite.quantization_aware import for_converter, is_quantization_aware
from keras_residual.layers.affine import affine_as_convolutions
from keras_residual.layers.image_normalization import ImageNormalization


def saved_model(job: Job, path) -> None:
    """Writes a SavedModel."""
    shutil.copytree(_source(job), path)


def onnx(job: Job, path) -> None:
    """Writes an ONNX file."""
    _check_sizes(job, "onnx")
    onnx_file.write(job.network, path, job.quantization, job.samples, job.opset, job.labels)


def jax(job: Job, path) -> None:
    """Writes a file of `jax.export`."""
    jax_file.write(job.network, path)


def coreml(job: Job, path) -> None:
    """Writes a Core ML package."""
    network = job.network
    if any(spec.shape[0] is None for spec in job.inputs.values()):
        network = _prepare.of_one(network)
    classifies = len(network.outputs) == 1 and len(network.outputs[0].shape) == 2
    coreml_package.write(
        network,
        path,
        job.quantization,
        inputs=input_specs(network),
        outputs=job.outputs,
        is_picture=job.picture is not None,
        labels=job.labels if classifies else None,
        facts=_facts(job),
    )


def litert(job: Job, path) -> tuple[Any, ...]:
    """Writes a LiteRT file and returns what delegates would not take of it."""
    _check_sizes(job, "litert")
    if is_recurrent(job.model):
        _sequences(job, path)
    elif is_quantization_aware(job.model):
        _learned_ranges(job, path)
    elif job.parts is not None and job.quantization is not None:
        _behind_spectrogram(job, path)
    else:
        source = _source(job, job.quantization)
        litert_file.write(source, path, job.quantization, job.samples, *_kinds(job))
    content = four_axes.with_four_axes(path.read_bytes(), fold_input=job.is_clip)
    content = with_depthwise_convolutions(content)
    if job.picture is not None and job.picture.input_type == "uint8":
        if job.picture.output_type == "uint8":
            content = finish.with_whole_pixels(content)
        else:
            content = finish.with_float_mean(content, job.mean)
    if job.is_logits:
        content = finish.with_softmax(content)
    path.write_bytes(_with_metadata(job, content))
    # Quantized files lose the names of layers in the line above.
    found = refusals(content)
    if job.sound is None:
        return found
    # Integers throughout, the remedy for pictures, do not hold a spectrogram.
    return tuple(
        dataclasses.replace(each, remedy="") if "outputs=" in each.remedy else each
        for each in found
    )


def _behind_spectrogram(job, path):
    """Writes a quantized file with its spectrogram, whose range is too wide, in floating point."""
    front, rest = job.parts
    parts = []
    one = _prepare.of_one(front)
    for name, network, quantization in (("front", one, None), ("rest", rest, job.quantization)):
        folder, part = job.scratch / name, job.scratch / f"{name}.tflite"
        _write_for(quantization, network, folder)
        samples = None
        if quantization in INTEGERS:
            (key,) = input_specs(rest)
            given = [next(iter(sample.values())) for sample in job.samples]
            samples = [{key: np.asarray(front.predict_on_batch(wave))} for wave in given]
        litert_file.write(folder, part, quantization, samples)
        parts.append(part.read_bytes())
    path.write_bytes(joined(*parts))


def _source(job, quantization=None):
    """Returns a SavedModel of the network, written at the first call.

    With `quantization="int8"` in the form that loses least in 8 bits.
    """
    source = job.scratch / ("saved_model_int8" if quantization == "int8" else "saved_model")
    if not source.exists():
        _write_for(quantization, job.network, source)
    return source


def _write_for(quantization, network, folder):
    with affine_as_convolutions() if quantization == "int8" else contextlib.nullcontext():
        saved_model_folder.write(network, folder)


def _kinds(job):
    """Returns the data types of a LiteRT file's input and output, `None` for floating point."""
    if job.sound is not None:
        return None, None
    if job.picture is not None:
        kinds = (job.picture.input_type, job.picture.output_type)
        return tuple(None if kind == "float32" else kind for kind in kinds)
    floating = all(spec.is_floating for spec in job.inputs.values())
    if job.quantization not in INTEGERS or not job.integer_io or not floating:
        return None, None
    kind = "int8" if job.quantization == "int8" else "int16"
    return kind, kind


def _learned_ranges(job, path):
    if job.quantization != "int8":
        raise ExportError(
            'A quantization-aware model becomes a LiteRT file with quantization="int8" only. '
            f"Received: quantization={job.quantization!r}"
        )
    source = job.scratch / "ranges"
    saved_model_folder.write(_prepare.ranged(for_converter(job.model), job), source)
    litert_file.write(source, path, "int8", None, *_kinds(job))


def _sequences(job, path):
    if job.included:
        raise ExportError(
            "LiteRT files of LSTM models have no preprocessing. "
            "Received: include_preprocessing=True"
        )
    if len(job.inputs) > 1:
        raise ExportError(
            "LiteRT files of LSTM models have one input; export the parts, models of one input "
            f"each. Received: {job.model.name!r} with {', '.join(job.inputs)}"
        )
    (data,) = job.data.values()
    lstm.write(
        job.model,
        path,
        batch_size=job.batch_size or 1,
        steps=job.model.inputs[0].shape[1] or data.shape[1],
        quantization=job.quantization,
        representative_data=data,
    )


def _check_sizes(job, format):
    if job.quantization not in INTEGERS or is_recurrent(job.model):
        return
    for name, spec in job.inputs.items():
        if None in spec.shape[1:]:
            raise ExportError(
                f'quantization="{job.quantization}" needs a fixed input size in '
                f"{format}; build the model with one. Received: {name!r} of {spec}"
            )


def _with_metadata(job, content):
    return add_metadata(
        content,
        name_of(job.model),
        f"{name_of(job.model)}, exported by keras_residual",
        inputs=[_described(job, *item) for item in job.inputs.items()],
        outputs=job.outputs,
        labels=job.labels,
        keep_names=job.quantization not in INTEGERS,
        facts=_litert_facts(job),
    )


def _litert_facts(job):
    facts = _facts(job)
    if not job.is_clip:
        return facts
    (spec,) = job.inputs.values()
    return {**(facts or {}), "clip": list(spec.shape[1:])}


def _facts(job):
    """Returns the facts that this package stores in the file for itself, in few bytes."""
    facts, picture = {}, job.picture
    if job.description is not None:
        fields = dataclasses.asdict(job.description)
        if job.description.task != "transcription":
            # Labels, one for each output, are stored in a file of their own.
            fields["class_names"] = None
        usual = dataclasses.asdict(Description())
        facts["description"] = {k: v for k, v in fields.items() if v != usual[k]}
    described = job.description is not None and job.description.sampling_rate is not None
    if job.sound is not None or described:
        facts["name"] = name_of(job.model)
    if picture is not None:
        facts |= {"name": name_of(job.model), "task": picture.task, "fit": picture.fit}
        facts |= {"crop": picture.crop, "pixels": dataclasses.asdict(picture.pixels)}
    return facts or None


def _described(job, name, spec):
    if job.sound is not None:
        return InputMetadata(name, sampling_rate=job.sound.sampling_rate)
    if job.picture is not None:
        return InputMetadata(name, 3, (0.0,), (1.0,))
    channels = spec.shape[-1] if len(spec.shape) == 4 else None
    return InputMetadata(name, channels, *_normalization(job, name))


def _normalization(job, name):
    """Returns the mean and standard deviation to apply to the file's raw input."""
    layer = job.preprocessing.get(name)
    if not isinstance(layer, ImageNormalization):
        return None, None
    if job.included:
        return np.zeros(len(layer.mean)), np.ones(len(layer.mean))
    if layer.channels != "rgb":
        return None, None
    return np.multiply(layer.mean, layer.divisor), np.multiply(layer.std, layer.divisor)
