"""The model that is exported: folded, in float32, with its preprocessing, its batch size fixed."""

from dataclasses import replace

import keras
import numpy as np

from keras_residual.export._arguments import Request
from keras_residual.export._signature import input_specs, new_inputs, structured
from keras_residual.export.errors import ExportError
from keras_residual.export.rewrite.rewrite import Folding, Rewrite
from keras_residual.layers.lstm.residual_lstm import ResidualLSTM

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


def is_sequence_model(model) -> bool:
    """Returns whether a model has a `ResidualLSTM`."""
    return any(isinstance(layer, ResidualLSTM) for layer in model.layers)


def half_precision(model) -> str | None:
    """Returns the half-precision type that some layer computes in."""
    types = set(_compute_types(model))
    return next((half for half in _HALVES if half in types), None)


def _compute_types(model):
    for layer in model.layers:
        yield layer.compute_dtype
        if isinstance(layer, keras.Model):
            yield from _compute_types(layer)


def prepared(model: keras.Model, request: Request) -> tuple[keras.Model, Folding | None]:
    """Returns the model to export, and what was folded."""
    rewrite = Rewrite(fold=request.fold, float32=True, unrolled=request.formats != ("saved_model",))
    new = rewrite(model)
    return with_input(new, request), rewrite.folding() if request.fold else None


def with_input(model: keras.Model, request: Request) -> keras.Model:
    """Returns a model with the preprocessing and the batch size asked for."""
    layers = request.preprocessing if request.include_preprocessing else {}
    if not layers and request.batch_size is None:
        return model
    inputs = new_inputs(model, request.batch_size)
    prepared = {name: layers[name](x) if name in layers else x for name, x in inputs.items()}
    for name, spec in input_specs(model).items():
        if tuple(prepared[name].shape[1:]) != spec.shape[1:]:
            raise ExportError(
                f"`preprocessing` must keep the input's shape. Received: a layer that turns "
                f"{tuple(inputs[name].shape)} into {tuple(prepared[name].shape)}"
            )
    outputs = model(structured(model, prepared.values()))
    return keras.Model(structured(model, inputs.values()), outputs, name=model.name)


def without_batch_size(model: keras.Model, request: Request) -> keras.Model:
    """Returns a model with the preprocessing asked for, for any batch size."""
    return with_input(model, replace(request, batch_size=None))
