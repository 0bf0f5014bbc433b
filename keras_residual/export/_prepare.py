"""The model that is exported: folded, in float32, with its preprocessing, its batch size fixed."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from keras_residual._description import Description
from keras_residual.export._job import Job
from keras_residual.export._signature import input_specs, named_outputs, new_inputs, structured
from keras_residual.export._sound import front_and_rest, spectrogram_of
from keras_residual.export.errors import ExportError
from keras_residual.export.rewrite.picture import picture_network, without_softmax
from keras_residual.export.rewrite.quantization_aware import is_quantization_aware, pixel_range
from keras_residual.export.rewrite.rewrite import Rewrite

_HALVES = ("bfloat16", "float16")


def functional(model, data) -> keras.Model:
    """Returns a model with known inputs, or raises a ValueError.

    A subclassed model gets them from the shapes of the data: an array, or several in a tuple or a
    dict.
    """
    if isinstance(model, keras.Model) and getattr(model, "inputs", None):
        return model
    is_array = not isinstance(data, (tuple, dict)) and np.ndim(data) > 1
    if not isinstance(model, keras.Model) or not (is_array or isinstance(data, (tuple, dict))):
        raise ValueError(
            "`model` must be a built Keras model; a subclassed one needs `representative_data`. "
            f"Received: {model!r}"
        )
    if isinstance(data, dict):
        inputs = {name: _input_like(value, name) for name, value in data.items()}
    else:
        inputs = keras.tree.map_structure(_input_like, data)
    return keras.Model(inputs, model(inputs), name=model.name)


def _input_like(data, name=None):
    data = np.asarray(data)
    kind = "float32" if data.dtype.kind == "f" else data.dtype.name
    return keras.Input(data.shape[1:], dtype=kind, name=name)


def half_precision(model) -> str | None:
    """Returns the half-precision type that some layer computes in."""
    types = set(_compute_types(model))
    return next((half for half in _HALVES if half in types), None)


def _compute_types(model):
    for layer in model.layers:
        yield layer.compute_dtype
        if isinstance(layer, keras.Model):
            yield from _compute_types(layer)


def jobs(model: keras.Model, request, formats, scratch: Path):
    """Returns each format to write with its job, and what was folded."""
    names = tuple(row.name for row in formats)
    rewrite = Rewrite(fold=request.fold, float32=True, unrolled=names != ("saved_model",))
    network = rewrite(model)
    folding = rewrite.folding() if request.fold else None
    made, found = {}, []
    for row in formats:
        picture = request.picture_for(row)
        sound = request.sound_for(row)
        clip = request.is_clip and row.for_phones
        key = (picture, sound, clip)
        if key not in made:
            make = _server_job if picture is None else _phone_job
            make = make if sound is None else _sound_job
            folder = scratch / f"{len(made)}"
            folder.mkdir()
            make = _clip_job if clip else make
            made[key] = make(model, network, request, folder, sound or picture)
        quantization = row.quantization(request.quantization)
        found.append((row, replace(made[key], quantization=quantization)))
    return found, folding


def _server_job(model, network, request, folder, _):
    network = with_input(network, request)
    samples = request.samples(request.representative_data, request.batch_size)
    return _job(model, network, request, folder, samples)


def _clip_job(model, network, request, folder, _):
    network = of_one(with_input(network, request, fixed=False))
    samples = request.samples(request.representative_data, 1)
    return replace(_job(model, network, request, folder, samples), is_clip=True)


def _sound_job(model, network, request, folder, sound):
    """One waveform; where the file has integers, its softmax is left to floating point."""
    logits = sound.float_softmax
    parts = None
    if spectrogram_of(network) is not None:
        front, rest = front_and_rest(network)
        parts = front, of_one(without_softmax(rest, network) if logits else rest)
    made = of_one(without_softmax(network) if logits else network)
    samples = request.samples(request.representative_data, 1)
    described = request.description_for(None) or Description(class_names=request.labels)
    return replace(
        _job(model, made, request, folder, samples),
        sound=sound,
        parts=parts,
        is_logits=logits,
        description=replace(described, sampling_rate=sound.sampling_rate),
    )


def of_one(network):
    """Returns a network with a batch size of one."""
    return _beginning_with(network, {}, 1, input_specs(network))


def _phone_job(model, network, request, folder, picture):
    size = request.batch_size or 1
    (name,) = request.inputs
    logits = picture.float_softmax and not is_quantization_aware(model)
    made = picture_network(network, picture.scaling, size, logits)
    data = {
        name: picture.pixels.pixels_of("representative_data", request.representative_data[name])
    }
    samples = request.samples(data, size)
    fields = {"picture": picture, "is_logits": made.is_logits, "mean": made.mean}
    fields["description"] = request.description_for(picture)
    return replace(_job(model, made.network, request, folder, samples), **fields)


def _job(model, network, request, folder, samples):
    return Job(
        model=model,
        network=network,
        inputs=input_specs(network),
        outputs=tuple(named_outputs(network.output)),
        samples=samples,
        data=request.representative_data,
        scratch=folder,
        picture=None,
        sound=None,
        parts=None,
        is_clip=False,
        is_logits=False,
        mean=(),
        preprocessing=request.preprocessing,
        included=request.include_preprocessing,
        quantization=None,
        integer_io=request.integer_io,
        opset=request.opset,
        labels=request.labels,
        description=request.description_for(None),
        batch_size=request.batch_size,
    )


def ranged(model: keras.Model, job: Job) -> keras.Model:
    """Returns a quantization-aware model in the converter's form with a job's beginning."""
    if job.picture is not None:
        network = picture_network(model, job.picture.scaling).network
        picture = new_inputs(network, 1)
        return keras.Model(picture, network(pixel_range(*picture.values())), name=model.name)
    return _beginning_with(
        model, job.preprocessing if job.included else {}, job.batch_size, input_specs(model)
    )


def with_input(model: keras.Model, request, fixed: bool = True) -> keras.Model:
    """Returns a model with the preprocessing and the batch size asked for.

    Args:
        model: A functional model.
        request: What to write.
        fixed: Whether the batch size is fixed, if one was asked for.
    """
    layers = request.preprocessing if request.include_preprocessing else {}
    size = request.batch_size if fixed else None
    return _beginning_with(model, layers, size, request.inputs)


def _beginning_with(model, layers, batch_size, specs):
    if not layers and batch_size is None:
        return model
    inputs = new_inputs(model, batch_size, specs)
    prepared = {name: layers[name](x) if name in layers else x for name, x in inputs.items()}
    for name, spec in specs.items():
        if tuple(prepared[name].shape[1:]) != spec.shape[1:]:
            raise ExportError(
                f"`preprocessing` must keep the input's shape. Received: a layer that turns "
                f"{tuple(inputs[name].shape)} into {tuple(prepared[name].shape)}"
            )
    outputs = model(structured(model, prepared.values()))
    return keras.Model(structured(model, inputs.values()), outputs, name=model.name)
