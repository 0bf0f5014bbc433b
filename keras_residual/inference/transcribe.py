"""Transcripts of recordings in files."""

import os
from collections.abc import Callable, Iterable

import keras
import numpy as np

from keras_residual import _checks
from keras_residual.data import DatasetError
from keras_residual.inference.decoding import decode_beam, decode_greedy
from keras_residual.inference.picture_list import recording_paths
from keras_residual.inference.predict import refuse_damaged, run_padded
from keras_residual.inference.predictor import Predictor, load_predictor


def transcribe(
    model: keras.Model | str | os.PathLike[str] | Predictor,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    beam_width: int = 1,
    skip_damaged: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[str, str]]:
    """Returns a model's transcript of each sound file.

    Args:
        model: A transcription model, as `training.fit` saves it: a Keras model, a `.keras` file,
            the folder of a training, or what `load_predictor` returned.
        paths: A WAV, FLAC or OGG file, a folder of such, or several of both.
        beam_width: Positive integer: `1` for greedy decoding, more for a beam search.
        skip_damaged: Whether unreadable recordings are left out. Otherwise an error lists all of
            them.
        progress: Called after each recording with the number of finished ones and of all.

    Returns:
        `(path, text)` of each file, in their order.

    Raises:
        ValueError: If there is no such model or file, or the model does not transcribe.
        DatasetError: If a recording is damaged, empty, stereo or of another sampling rate.

    Example:

    >>> keras_residual.inference.transcribe("runs/digits", "message.wav")  # doctest: +SKIP
    [('message.wav', '371')]
    """
    _checks.integer("beam_width", beam_width)
    _checks.boolean("skip_damaged", skip_damaged)
    predictor = model if isinstance(model, Predictor) else load_predictor(model)
    if predictor.description.task != "transcription" or not predictor.takes_sound:
        raise ValueError(
            f"`model` must be one for transcripts of recordings. Received: {predictor.name}, a "
            f"model for {predictor.description.task}"
        )
    files, found, damaged = recording_paths(paths), [], []
    for number, path in enumerate(files, start=1):
        try:
            found.append((str(path), _transcript(predictor, path, beam_width)))
        except DatasetError as error:
            damaged.append(str(error))
        if progress is not None:
            progress(number, len(files))
    if not skip_damaged or not found:
        refuse_damaged(damaged, len(files))
    return found


def _transcript(predictor, path, beam_width) -> str:
    waves = predictor.waves(path)
    if len(waves) > 1:
        raise DatasetError(
            f"{path} is longer than the {waves.shape[1]:,} samples that {predictor.name} takes; in "
            "pieces its words would be cut."
        )
    outputs = run_padded(predictor, waves.reshape((1, -1, *predictor.input_shape[1:])), 1)
    if beam_width == 1:
        (answer,) = decode_greedy(outputs)
    else:
        answer = decode_beam(outputs, beam_width=beam_width)[0][0]
    names = predictor.description.class_names
    if names is None or len(names) != np.shape(outputs)[-1] - 1:
        raise ValueError(
            f"{predictor.name} must name each of {np.shape(outputs)[-1] - 1} characters in its "
            f"description. Received: class_names={names!r}"
        )
    return answer.text(names)
