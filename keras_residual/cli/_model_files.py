"""Models in files of any format, loaded by one function."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from keras_residual import _description, export, inference

# 224 of 256 pixels, as in the usual evaluation on ImageNet.
_USUAL_CROP = 224 / 256


def load_predictor(path: Path) -> tuple[Callable[[np.ndarray], np.ndarray], tuple]:
    """Returns a function from images to outputs, and the input shape without batch.

    Args:
        path: A `.keras` file, a `.tflite` or `.onnx` file, the folder of a SavedModel or that of a
            training.
    """
    if (path / "model.keras").is_file():
        path = path / "model.keras"
    if path.is_dir() or path.suffix in (".tflite", ".onnx"):
        artefact = export.load(path)
        return _of_waves(artefact.predict, artefact.predict_shape[1:])
    model = load_keras(path, "a .keras, .tflite or .onnx file, or the folder of a SavedModel")
    return _of_waves(model.predict_on_batch, tuple(model.input_shape[1:]))


def _of_waves(predict, shape):
    """Makes a model for waveforms also accept batches with a channel axis of size 1."""
    if len(shape) != 1:
        return predict, shape
    return lambda batch: predict(batch[..., 0] if np.ndim(batch) == 3 else batch), shape


def description_of(path: Path) -> _description.Description | None:
    """Returns what a model's inputs and outputs mean, `None` if its file does not say."""
    if (path / "model.keras").is_file():
        path = path / "model.keras"
    if path.suffix == ".keras" and zipfile.is_zipfile(path):
        return _description.read_from(path)
    if path.is_dir() or path.suffix in (".tflite", ".onnx"):
        return export.load(path).description
    return None


def test_crop_of(description: _description.Description | None) -> float:
    """Returns the side of the centre crop that a model expects, as a share of the shorter side."""
    return _USUAL_CROP if description is None or description.fit != "crop" else description.crop


def load_keras(
    path: Path, accepted: str = "a .keras file, or the folder of a training"
) -> keras.Model:
    """Returns the model in a `.keras` file with its description, or raises a ValueError.

    Args:
        path: The file.
        accepted: What the command takes, for error messages.
    """
    if not path.exists():
        raise ValueError(f"{path} does not exist. Accepted: {accepted}.")
    if path.suffix != ".keras":
        raise ValueError(
            f"{path} is not a model file that this command takes. Accepted: {accepted}."
        )
    return inference.load_keras(path)
