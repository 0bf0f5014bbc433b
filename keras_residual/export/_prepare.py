"""The model that is exported: folded, in float32, with its preprocessing, its batch size fixed."""

import keras
import numpy as np

from keras_residual.export._arguments import Request
from keras_residual.export._rewrite import Folding, Rewrite
from keras_residual.export.errors import ExportError
from keras_residual.layers.residual_lstm import ResidualLSTM

_HALVES = ("bfloat16", "float16")


def functional(model, data) -> keras.Model:
    """Returns a model with known inputs, or raises a ValueError.

    A subclassed model gets them from the shape of the data.
    """
    known = isinstance(model, keras.Model) and getattr(model, "inputs", None)
    if (
        isinstance(model, keras.Model)
        and not known
        and data is not None
        and len(np.shape(data)) > 1
    ):
        data = np.asarray(data)
        inputs = keras.Input(data.shape[1:], dtype=_input_type(data))
        return keras.Model(inputs, model(inputs), name=model.name)
    if not known:
        raise ValueError(
            "`model` must be a built Keras model of one input; a subclassed one needs "
            f"`representative_data`. Received: {model!r}"
        )
    if len(model.inputs) > 1:
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise ValueError(
            "`model` must be a built Keras model of one input; export its parts, models of one "
            f"input each. Received: {model.name!r} with inputs {names}"
        )
    return model


def _input_type(data):
    return "float32" if data.dtype.kind == "f" else data.dtype.name


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
    if not request.include_preprocessing and request.batch_size is None:
        return model
    (tensor,) = model.inputs
    inputs = keras.Input(
        batch_shape=(request.batch_size, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name
    )
    x = request.preprocessing(inputs) if request.include_preprocessing else inputs
    if tuple(x.shape[1:]) != tuple(tensor.shape[1:]):
        raise ExportError(
            f"`preprocessing` must keep the input's shape. Received: a layer that turns "
            f"{tuple(inputs.shape)} into {tuple(x.shape)}"
        )
    outputs = model(keras.tree.map_structure(lambda _: x, model.input))
    return keras.Model(inputs, outputs, name=model.name)
