"""Loads the model, class names and data that `keras-residual export` is given."""

from pathlib import Path

import keras
import numpy as np

import keras_residual
from keras_residual import _description, data
from keras_residual import weights as library_weights
from keras_residual.cli._fit import load_for
from keras_residual.cli._model_files import load_keras

_CALIBRATION_IMAGES = 200


def load_model(source: str, weights: str | None, preprocessing: str | None = None):
    """Returns the model, and the layer that scales images for it, or `None` without one.

    Args:
        source: A `.keras` file, the folder of a training, or the name of a network.
        weights: What `weights.load` takes, for a network given by name.
        preprocessing: The scaling that the weights expect, as `include_preprocessing` of a factory
            takes it; `None` to read it from the weights.
    """
    path = Path(source)
    if (path / "model.keras").is_file():
        path = path / "model.keras"
    if path.exists() or path.suffix or "/" in source:
        if weights is not None:
            raise ValueError(f"`--weights` is for networks given by name. Received: {source}")
        model = load_keras(path)
    else:
        model = keras_residual.get_model(source, weights=weights)
    # Networks that output images take pixels in [0, 1].
    if preprocessing is None and (weights is None or len(model.output_shape) == 4):
        return model, None
    steps = _steps(model, weights, preprocessing).with_channels(model.input_shape[-1])
    return model, steps.layer(name="preprocessing")


def _steps(model, weights, preprocessing) -> library_weights.Preprocessing:
    try:
        return library_weights.preprocessing_of(preprocessing or model)
    except ValueError as error:
        accepted = "caffe, tf, torch or the name of published weights"
        if preprocessing is not None:
            raise ValueError(
                f"`--preprocessing` must be {accepted}. Received: {preprocessing}"
            ) from error
        raise ValueError(
            f"The scaling of pixels that the weights {weights} expect is unknown: give it as "
            f"`--preprocessing` ({accepted})."
        ) from error


def load_labels(name: str) -> list[str]:
    """Returns the class names in a file, one per line, or those of a named class list."""
    path = Path(name)
    if path.is_file():
        return path.read_text(encoding="utf-8").splitlines()
    try:
        return [label for _, label in library_weights.class_names(name)]
    except ValueError as error:
        raise ValueError(
            f"`--labels` must be a file with a class name a line, or a class list. {error}"
        ) from error


def load_data(
    name: str | None, model: keras.Model, count: int | None, raw: bool, phone: bool = False
) -> dict:
    """Returns the arguments of `export.export` that come from a dataset.

    Args:
        name: The dataset; `None` for none.
        model: The model, which decides the size of the images.
        count: Number of held-out images, `None` for all.
        raw: Whether pixels are in [0, 255] instead of [0, 1].
        phone: Whether a file for phones is written, which is measured on original photographs.
    """
    if name is None:
        if count is not None:
            raise ValueError(f"`--images` has no effect without `--data`. Received: {count}")
        return {}
    shape = model.input_shape[1:]
    dataset = load_for(shape, name, _description.described(model))
    size = None if None in shape[:-1] or dataset.examples != "images" else shape[:-1]
    waves = len(shape) == 1
    calibration = _images(dataset.train, size, _CALIBRATION_IMAGES, raw, waves)[0]
    held_out = _images(dataset.test, size, count, raw, waves)
    if dataset.label_kind == "text":
        return _of_transcripts(model, dataset, calibration, held_out)
    fits = model.output_shape[-1] == dataset.num_classes
    if phone and fits and len(model.output_shape) == 2:
        held_out = _photographs(dataset.test, size, count) or held_out
    return {
        "representative_data": calibration,
        "evaluation_data": held_out if fits else None,
        "labels": dataset.class_names if fits else None,
    }


def _of_transcripts(model, dataset, calibration, held_out):
    """Returns the same for transcripts, as labels of the model; unknown characters are mistakes."""
    description, blank = _description.described(model), model.output_shape[-1] - 1
    known = dataset.class_names if description is None else description.class_names
    if known is None or len(known) != blank or len(model.output_shape) != 3:
        return {"representative_data": calibration}
    # No label is the blank.
    places = [known.index(name) if name in known else blank for name in dataset.class_names]
    inputs, labels = held_out
    labels = np.where(labels >= 0, np.array(places)[labels], -1)
    return {"representative_data": calibration, "evaluation_data": (inputs, labels)}


def _photographs(split, size, count):
    """Returns held-out photographs of other sizes than the model's, `None` if they are not such."""
    if split.label_kind != "classes" or len(split.image_shape) != 3 or size is None:
        return None
    if hasattr(split, "paths"):
        return [str(path) for path in split.paths[:count]], split.y[:count]
    x = getattr(split, "x", None)
    if x is None or x.dtype != np.uint8 or split.scale != 255 or x.shape[1:3] == tuple(size):
        return None
    return list(x[:count]), split.y[:count]


def _images(split, size, count, raw, waves):
    parts, total = [], 0
    batches = data.pipeline(split, batch_size=128, image_size=size)
    for images, labels in batches.as_numpy_iterator():
        parts.append((images, labels))
        total += len(images)
        if count is not None and total >= count:
            break
    images, labels = (np.concatenate(arrays)[:count] for arrays in zip(*parts, strict=True))
    if waves:
        # Without a channel axis, as the model takes them.
        images = images[..., 0]
    return (255 * images if raw else images), labels
