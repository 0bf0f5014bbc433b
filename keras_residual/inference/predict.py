"""Predictions for pictures, clips and recordings in files."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._description import Description
from keras_residual._words import counted
from keras_residual.data import DatasetError
from keras_residual.inference.answers import Prediction, predictions
from keras_residual.inference.clip_list import clip_paths
from keras_residual.inference.picture_list import picture_paths, recording_paths
from keras_residual.inference.predictor import Predictor, load_predictor
from keras_residual.weights import Preprocessing


def predict(
    model: keras.Model | str | os.PathLike[str] | Predictor,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    top: int = 5,
    *,
    weights: str | os.PathLike[str] | None = None,
    preprocessing: Preprocessing | str | None = None,
    description: Description | None = None,
    batch_size: int = 32,
    skip_damaged: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Prediction]:
    """Returns a model's predictions for pictures, clips or recordings in files.

    Pictures are rotated by their EXIF orientation, resized or cropped as the model's description
    says, and scaled as the model expects. A recording must have the model's sampling rate; one that
    is longer than the model's input is split into pieces, each with a prediction of its own, and
    the last piece is padded with silence.

    Args:
        model: A Keras model, a `.keras` file, the folder of a training, the name of a network with
            `weights`, an exported `.tflite`, `.onnx` or `.jax` file or SavedModel, or what
            `inference.load_predictor` returned.
        paths: A PNG, JPEG or WebP file, a folder of such, or several of both. For a model that
            takes clips: videos, folders of frames (or of videos and such folders), or several. For
            a model for sound: WAV, FLAC or OGG files, or folders of such.
        top: Positive integer, number of classes to return, best first.
        weights: With the name of a network, what its factory takes as `weights`.
        preprocessing: The scaling that `weights` expect if they do not state it, such as `"torch"`,
            see `inference.load_predictor`.
        description: What the model's inputs and outputs mean, where it does not say so itself.
        batch_size: Positive integer, number of pictures per batch.
        skip_damaged: Whether unreadable pictures are left out. Otherwise an error lists all of
            them.
        progress: Called after each batch with the number of finished pictures and of all.

    Returns:
        A `Prediction` for each picture, in the order of the files.

    Raises:
        ValueError: If there is no such model or picture, or the model does not take pictures.
        DatasetError: If pictures cannot be read.

    Example:

    >>> for answer in keras_residual.predict("runs/photos", "holiday/"):  # doctest: +SKIP
    ...     print(answer)
    holiday/1.jpg: bee 98.2%, ant 1.8%
    """
    _checks.integer("top", top)
    _checks.integer("batch_size", batch_size)
    _checks.boolean("skip_damaged", skip_damaged)
    if not isinstance(model, Predictor):
        model = load_predictor(
            model, weights=weights, preprocessing=preprocessing, description=description
        )
    elif any(given is not None for given in (weights, preprocessing, description)):
        raise ValueError(
            "`weights`, `preprocessing` and `description` have no effect on a Predictor."
        )
    if model.takes_sound:
        return _predict_recordings(model, paths, top, skip_damaged, progress)
    files = paths_for(model, paths)
    kept, outputs, damaged = [], [], []
    for start in range(0, len(files), batch_size):
        batch = []
        for path in files[start : start + batch_size]:
            try:
                batch.append(model.read(path))
                kept.append(str(path))
            except DatasetError as error:
                damaged.append(str(error))
        if batch:
            outputs.append(run_padded(model, model.inputs(batch), min(batch_size, len(files))))
        if progress is not None:
            progress(min(start + batch_size, len(files)), len(files))
    if damaged and (not skip_damaged or not kept):
        raise DatasetError(
            f"{len(damaged)} of {counted(len(files), model.noun)} cannot be read "
            "(skip_damaged=True leaves "
            f"them out): {' '.join(damaged)}"
        )
    return predictions(kept, np.concatenate(outputs), model.description, top)


def _predict_recordings(model, paths, top, skip_damaged, progress) -> list[Prediction]:
    files = recording_paths(paths)
    kept, outputs, starts, damaged = [], [], [], []
    for number, path in enumerate(files, start=1):
        try:
            waves = model.waves(path)
        except DatasetError as error:
            damaged.append(str(error))
            continue
        # One at a time: recordings are short, and no new shape is traced.
        shape = (1, -1, *model.input_shape[1:])
        outputs += [run_padded(model, wave.reshape(shape), 1) for wave in waves]
        seconds = waves.shape[1] / model.description.sampling_rate
        kept += [str(path)] * len(waves)
        starts += [
            round(seconds * place, 3) if len(waves) > 1 else None for place in range(len(waves))
        ]
        if progress is not None:
            progress(number, len(files))
    if not skip_damaged or not kept:
        refuse_damaged(damaged, len(files))
    answers = predictions(kept, np.concatenate(outputs), model.description, top)
    return [replace(each, start=start) for each, start in zip(answers, starts, strict=True)]


def paths_for(
    model: Predictor, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
) -> list[Path]:
    """Returns the files, or folders of frames, of the kind that a model accepts.

    Args:
        model: What `load_predictor` returned.
        paths: As in `predict`.

    Raises:
        ValueError: If there are none, or a path is of another kind.
    """
    if model.takes_sound:
        return recording_paths(paths)
    return clip_paths(paths) if model.takes_clips else picture_paths(paths)


def refuse_damaged(damaged: list[str], count: int) -> None:
    """Raises a `DatasetError` that lists all unreadable recordings, if there are any.

    Args:
        damaged: One message per unreadable recording.
        count: Number of all recordings.
    """
    if damaged:
        raise DatasetError(
            f"{len(damaged)} of {count} recordings cannot be read (skip_damaged=True leaves them "
            f"out): {' '.join(damaged)}"
        )


def run_padded(model: Predictor, batch: np.ndarray, size: int) -> np.ndarray:
    """Returns a model's outputs; a smaller last batch is padded, so that nothing is retraced."""
    count = len(batch)
    if model.batch is None and count < size:
        batch = np.concatenate([batch, np.zeros((size - count, *batch.shape[1:]), batch.dtype)])
    outputs = model.run(batch)
    if isinstance(outputs, dict | list | tuple):
        raise ValueError(f"{model.name} must have one output. Received: {len(outputs)}")
    return np.asarray(outputs, "float32")[:count]
