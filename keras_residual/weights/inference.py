"""Preprocessing of images for a network, and decoding of its outputs to class names."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._description import described
from keras_residual._types import Tensor
from keras_residual.layers.image_normalization import ImageNormalization, white_of
from keras_residual.weights import _scaling, sources
from keras_residual.weights.labels import class_names
from keras_residual.weights.preprocessing import Preprocessing

MODES = ("caffe", "tf", "torch")
_WHITE = 255.0


def preprocess(images: Tensor, model_or_tag: keras.Model | str, resize: bool = True) -> np.ndarray:
    """Turns RGB images with values 0…255 into the inputs that a model's weights expect.

    The shorter side is resized with antialiasing and the centre square is cropped, as in the
    evaluation of the published accuracy; then the values are scaled. For a model that normalizes
    inside (`include_preprocessing=True`), values stay 0…255, or are scaled to its input range (0…1
    for `pretrained_classifier`).

    Args:
        images: A batch `(count, height, width, 3)`, or a list of images `(height, width, 3)` of any
            sizes; for networks for video clips, `(count, frames, height, width, 3)`, or a list of
            such. Integers or floats with values 0…255.
        model_or_tag: What determines the preprocessing:
            a model whose weights were loaded by this package, from published weights or from a
            file whose layout implies it (keras.applications, torchvision);
            the name of published weights: `"ResNet50"` (the ones that `weights="imagenet"` means),
            `"ResNet50.IMAGENET1K_V2"`, or their URL or `hf://` address;
            a mode of `keras.applications`: `"caffe"`, `"tf"` or `"torch"` (256 pixels, crop 224);
            or a `Preprocessing`.
        resize: Whether to resize and crop. If not, all images must have one size, which is kept.
            Defaults to `True`.

    Returns:
        A float32 NumPy array `(count, size, size, 3)`, of clips `(count, frames, size, size, 3)`.

    Raises:
        ValueError: If the images are not RGB with values 0…255, or the preprocessing of
            `model_or_tag` is unknown.

    Example:

    >>> photos = [np.zeros((480, 640, 3), "uint8"), np.zeros((300, 200, 3), "uint8")]
    >>> preprocess(photos, "ResNet50").shape
    (2, 224, 224, 3)
    """
    _checks.boolean("resize", resize)
    steps = preprocessing_of(model_or_tag)
    if not resize:
        steps = steps.without_resizing()
    fitted = steps.fit(images)
    white = white_of(model_or_tag) if isinstance(model_or_tag, keras.Model) else None
    if white is None:
        return steps.normalize(fitted)
    return fitted if white == _WHITE else fitted * np.float32(white / _WHITE)


def preprocessing_of(model_or_tag: keras.Model | str) -> Preprocessing:
    """Returns the preprocessing of a model, of published weights or of a mode; see `preprocess`."""
    if isinstance(model_or_tag, keras.Model):
        return _preprocessing_of_model(model_or_tag)
    found = named_preprocessing(model_or_tag)
    if found is not None:
        return found
    raise ValueError(
        "`model_or_tag` must be a model, the name or address of published weights such as "
        "'ResNet50.IMAGENET1K_V2', a mode ('caffe', 'tf' or 'torch') or a Preprocessing. "
        f"Received: model_or_tag={model_or_tag!r}"
    )


def named_preprocessing(what: object) -> Preprocessing | None:
    """Returns the preprocessing of a mode or of published weights, `None` if it is neither."""
    if isinstance(what, Preprocessing):
        return what
    if isinstance(what, sources.WeightSource):
        return what.preprocessing
    if isinstance(what, str) and what in MODES:
        return Preprocessing.from_mode(what)
    source = sources.find_named(what) if isinstance(what, str) else None
    return None if source is None else source.preprocessing


def checked_inclusion(include_preprocessing: object) -> bool | Preprocessing:
    """Returns a factory's argument `include_preprocessing` as a bool or a `Preprocessing`."""
    if isinstance(include_preprocessing, bool):
        return include_preprocessing
    found = named_preprocessing(include_preprocessing)
    if found is None:
        raise ValueError(
            "`include_preprocessing` must be True or False, a mode ('caffe', 'tf' or 'torch'), the "
            "name of published weights such as 'ResNet50.IMAGENET1K_V2' or a weights.Preprocessing."
            f" Received: include_preprocessing={include_preprocessing!r}"
        )
    return found


def preprocessing_for_factory(weights: object, variant: Any) -> Preprocessing:
    """Returns the preprocessing of the weights of a factory.

    Without weights it is ImageNet's mean and standard deviation.

    Raises:
        ValueError: If the preprocessing of the weights is unknown.
    """
    found = _scaling.for_factory(weights, variant)
    if found is None:
        what = "the state dict" if isinstance(weights, Mapping) else repr(weights)
        raise ValueError(
            f"`include_preprocessing` must name the scaling of pixels that the weights {what} "
            "expect, which they do not tell: 'caffe', 'tf' or 'torch', the name of published "
            "weights such as 'ResNet50.IMAGENET1K_V2', or a weights.Preprocessing. "
            "Received: include_preprocessing=True"
        )
    return found


def _preprocessing_of_model(model: keras.Model) -> Preprocessing:
    known = sources.scaling_of(model)
    if known is not None:
        return known
    description = described(model)
    if white_of(model) is not None:
        return _inside(model)
    if description is not None:
        return _scaling.of_description(description)
    # A model loaded from a file does not record the source of its weights, and its name does not
    # imply it: a wrong guess would silently cost accuracy.
    rows = [item for item in sources.list_sources() if item.model.lower() == model.name.lower()]
    hint = f"preprocess(images, {rows[0].name!r})" if rows else "preprocess(images, 'torch')"
    raise ValueError(
        f"`model_or_tag`: it is not known what the weights of the model {model.name!r} expect. "
        f"Name the weights, a mode ('caffe', 'tf' or 'torch') or a weights.Preprocessing instead, "
        f"for example {hint}."
    )


def _inside(model: keras.Model) -> Preprocessing:
    """Returns the scaling inside a model, with the size of its input."""
    layer = next(layer for layer in model.layers if isinstance(layer, ImageNormalization))
    sizes = [size for size in model.inputs[0].shape[1:] if size not in (None, 1, 3)]
    crop = min(sizes, default=224)
    scaling = {name: getattr(layer, name) for name in ("mean", "std", "divisor", "channels")}
    if len(scaling["mean"]) != 3:
        scaling = {}
    return Preprocessing(**scaling, resize=round(crop / 0.875), crop=crop)


def decode_predictions(probs: Tensor, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Names the best ImageNet classes of each prediction, like `keras.applications`.

    Args:
        probs: `(count, 1000)`, probabilities or any other scores.
        top: Integer in 1…1000, number of classes to name. Defaults to `5`.

    Returns:
        For each row a list of `top` tuples (WordNet id, name, score), best first.

    Raises:
        ValueError: If `probs` has another shape or holds NaN, or `top` is out of range.

    Example:

    >>> decode_predictions(np.eye(1000)[[207]], top=1)
    [[('n02099601', 'golden_retriever', 1.0)]]
    """
    probs = keras.ops.convert_to_numpy(probs)
    names = class_names("imagenet")
    if probs.ndim != 2 or probs.shape[1] != len(names):
        raise ValueError(
            f"`probs` must have the shape (count, {len(names)}). Received: shape={probs.shape}"
        )
    if np.isnan(probs).any():
        raise ValueError("`probs` must not hold NaN.")
    if _checks.integer("top", top) > len(names):
        raise ValueError(f"`top` must be at most {len(names)}. Received: top={top}")
    results = []
    for row in probs:
        best = row.argsort()[-top:][::-1]
        # Sorted again, stably, so that equal scores are in keras.applications' order.
        best = sorted(best, key=lambda index: row[index], reverse=True)
        results.append([(*names[index], row[index]) for index in best])
    return results
