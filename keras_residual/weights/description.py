"""Descriptions of a model's inputs and outputs, from its training or its published weights."""

import dataclasses

import keras
import numpy as np

from keras_residual._description import Description, described
from keras_residual.layers.image_normalization import ImageNormalization
from keras_residual.weights._scaling import of_description
from keras_residual.weights.inference import named_preprocessing
from keras_residual.weights.labels import CLASS_COUNTS, CLASS_LISTS, class_names
from keras_residual.weights.preprocessing import Preprocessing
from keras_residual.weights.sources import WeightSource, scaling_of, source_of


def description_of(model: keras.Model) -> Description | None:
    """Returns the description of a model's inputs and outputs, `None` if there is none.

    A model trained by this package contains it; a model with published weights has their classes,
    scaling and size.

    Args:
        model: A Keras model.

    Example:

    >>> model = keras_residual.ResNet8(weights="cifar10")
    >>> description_of(model).class_names[:2]
    ('airplane', 'automobile')
    """
    stored = described(model)
    if stored is not None:
        return stored
    source, steps = source_of(model), scaling_of(model)
    if source is not None:
        return described_by(source, model)
    return None if steps is None else Description(**_pixels(steps, model))


def described_by(source: WeightSource, model: keras.Model) -> Description:
    """Returns the description of a model with the weights of `source`."""
    if source.task == "super_resolution":
        return Description(task=source.task, weights=source.name, licence=source.licence)
    return Description(
        class_names=_names(source, model),
        weights=source.name,
        licence=source.licence,
        **_pixels(source.preprocessing, model),
    )


def described_as(model: keras.Model, preprocessing: Preprocessing | str) -> Description:
    """Returns the description of a model whose weights expect a given preprocessing.

    Args:
        model: A model for images.
        preprocessing: What `preprocess` takes instead of a model, such as `"caffe"`.

    Raises:
        ValueError: If there is no such preprocessing.
    """
    found = named_preprocessing(preprocessing)
    if found is None:
        raise ValueError(
            "`preprocessing` must be a mode ('caffe', 'tf' or 'torch'), the name of published "
            "weights such as 'ResNet50.IMAGENET1K_V2' or a weights.Preprocessing. "
            f"Received: preprocessing={preprocessing!r}"
        )
    before = description_of(model) or Description()
    return dataclasses.replace(before, **_pixels(found, model))


def rescaled(before: Description, steps: Preprocessing, model: keras.Model) -> Description:
    """Returns a model's description with the preprocessing of weights that were loaded later."""
    if of_description(before).scales_like(steps):
        return before
    return dataclasses.replace(before, **_pixels(steps, model))


def _pixels(steps: Preprocessing, model: keras.Model) -> dict[str, object]:
    """Returns the parts of a description about the preprocessing of pictures."""
    inside = any(isinstance(layer, ImageNormalization) for layer in model.layers)
    cropped = steps.resize is not None and steps.crop is not None
    return {
        "white": 255.0 if inside else None,
        "preprocessing": None if inside else dataclasses.asdict(steps),
        "fit": "crop" if cropped else "stretch",
        "crop": min(1.0, steps.crop / np.min(steps.resize)) if cropped else 1.0,
        "interpolation": steps.interpolation,
    }


def _names(source, model):
    """Returns the names of the source's classes if the model still has a classifier for them."""
    outputs = model.outputs
    count = CLASS_COUNTS.get(source.classes)
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[-1] != count:
        return None
    if source.classes not in CLASS_LISTS:
        return None
    return tuple(name for _, name in class_names(source.classes))
