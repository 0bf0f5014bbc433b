"""One interface to models in any format: how to prepare inputs, run, and read the outputs."""

import dataclasses
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_residual import _needs, export, models, weights
from keras_residual._description import Description, describe, described, read_from
from keras_residual._words import counted, first_line, name_of
from keras_residual.data import DatasetError, Picture, read_clip, read_picture
from keras_residual.data.batches.resizing import resize_and_crop
from keras_residual.inference.recordings import read_waves
from keras_residual.weights import Preprocessing
from keras_residual.weights.description import described_as

_ACCEPTED = (
    "a Keras model, a .keras file, the folder of a training, the name of a network with `weights`, "
    "or an exported .tflite, .onnx, .jax or .mlpackage file or SavedModel"
)
TRAINED = "model.keras"
_EXPORTED = (".tflite", ".onnx", ".jax", ".mlpackage")
_DEFAULT_SIDE = 224
_USUAL_FRAMES = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A model for pictures, clips or recordings, in any format.

    `load_predictor` makes one.

    Attributes:
        name: What it was loaded from.
        input_shape: `(height, width, channels)` of its input, with the frames in front of them for
            a model that takes clips, or `(samples,)`; sizes are `None` where they may vary.
        description: What its inputs and outputs mean.
        model: The Keras model, `None` for an exported file.
        run: From a batch of inputs to the outputs.
        batch: The batch size that the model is limited to, `None` for any.
    """

    name: str
    input_shape: tuple[int | None, ...]
    description: Description
    model: keras.Model | None
    run: Callable[[np.ndarray], np.ndarray]
    batch: int | None = None

    @property
    def takes_sound(self) -> bool:
        """Whether it takes recordings in place of pictures."""
        return self.description.sampling_rate is not None

    def waves(self, path: Path) -> np.ndarray:
        """Returns a recording split into waveforms of the model's length, `(n, samples)`."""
        whole = self.description.task == "transcription"
        return read_waves(path, self.description.sampling_rate, self.input_shape[0], whole)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width to which pictures are resized."""
        height, width = self.input_shape[-3:-1]
        if height is not None and width is not None:
            return height, width
        crop = (self.description.preprocessing or {}).get("crop") or _DEFAULT_SIDE
        return height or crop, width or crop

    @property
    def takes_clips(self) -> bool:
        """Whether its inputs are clips, `(frames, height, width, channels)`."""
        return len(self.input_shape) == 4

    @property
    def noun(self) -> str:
        """Singular noun for one of its inputs."""
        if self.takes_sound:
            return "recording"
        return "clip" if self.takes_clips else "picture"

    def read(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Returns the picture or clip in a file at the size of the model's input, 0…255.

        A clip is cut to as many frames as the model takes, from its middle.

        Raises:
            DatasetError: If it cannot be read, or has fewer frames.
        """
        if not self.takes_clips:
            return self.fitted(read_picture(path))
        clip, stride = read_clip(path), self.description.stride
        needed = ((self.input_shape[0] or _USUAL_FRAMES) - 1) * stride + 1
        if len(clip) < needed:
            raise DatasetError(
                f"{path} has {counted(len(clip), 'frame')}, fewer than the {needed} that "
                f"{self.name} takes."
            )
        start = (len(clip) - needed) // 2
        taken = clip[start : start + needed : stride]
        return np.stack([self.fitted(Picture(frame)) for frame in taken])

    def fitted(self, picture: Picture) -> np.ndarray:
        """Returns a picture at the size of the model's input, `(height, width, 3)`, 0…255."""
        pixels = _of_channels(picture, 3)
        if self.description.fit == "stretch":
            return _stretched(pixels, self.size, self.description.interpolation)
        steps = self.description.preprocessing
        if steps is not None and self.size == (steps["crop"], steps["crop"]):
            return _preprocessing(steps).fit([pixels])[0]
        return np.asarray(resize_and_crop(pixels, self.size, self.description.crop))

    def inputs(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Returns a batch of fitted pictures in the range and layout that the model expects."""
        batch = np.stack(pictures).astype("float32")
        if self.input_shape[-1] == 1:
            batch = _luminance(batch)
        if self.description.white is not None:
            return batch * np.float32(self.description.white / 255)
        return _preprocessing(self.description.preprocessing).normalize(batch)


def load_predictor(
    model: keras.Model | str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    preprocessing: Preprocessing | str | None = None,
    description: Description | None = None,
) -> Predictor:
    """Returns a model of any kind as a `Predictor`.

    Args:
        model: A Keras model, a `.keras` file, the folder of a training, the name of a network, or
            an exported `.tflite`, `.onnx` or `.jax` file or SavedModel.
        weights: With the name of a network, what its factory takes as `weights`.
        preprocessing: With `weights` that do not state the scaling of pixels that they expect:
            `"caffe"`, `"tf"`, `"torch"`, the name of published weights or a
            `weights.Preprocessing`.
        description: What the model's inputs and outputs mean, where it does not say so itself.

    Raises:
        ValueError: If there is no such model, it does not take pictures, or the range of pixels
            that it expects is unknown.
    """
    if preprocessing is not None and weights is None:
        raise ValueError(
            "`preprocessing` is for the name of a network with `weights`. "
            f"Received: preprocessing={preprocessing!r}, weights=None"
        )
    if isinstance(model, keras.Model):
        found = _from_keras(model, model.name)
    elif not isinstance(model, str | os.PathLike):
        raise ValueError(f"`model` must be {_ACCEPTED}. Received: model={model!r}")
    else:
        found = _from_path_or_name(model, weights, preprocessing)
    if description is not None:
        found = dataclasses.replace(found, description=description)
    return _checked(found)


def _from_path_or_name(model, named_weights, preprocessing) -> Predictor:
    path = Path(model)
    if path.is_dir() and (path / TRAINED).is_file():
        path = path / TRAINED
    if path.suffix == ".keras":
        return _from_keras(load_keras(path), str(path))
    if path.is_dir() or path.suffix in _EXPORTED:
        return _from_export(path)
    if path.exists() or re.search(r"[/\\]", str(model)):
        raise ValueError(f"`model` must be {_ACCEPTED}. Received: model={str(model)!r}")
    if named_weights is None:
        raise ValueError(
            f"`weights` must name the weights of {str(model)!r}, such as 'imagenet' or a file; "
            "without them its answers would be random. Received: weights=None"
        )
    network = models.get_model(str(model), weights=named_weights)
    if preprocessing is not None:
        describe(network, described_as(network, preprocessing))
    return _from_keras(network, str(model))


def load_keras(path: str | os.PathLike[str]) -> keras.Model:
    """Returns the model in a `.keras` file and attaches the description that the file holds.

    Export, explanation and prediction then know its class names and scaling of pixels. A model
    that was made without a name, which Keras calls `functional_1` or the like, is named after the
    file, or after its folder if the file is a training's `model.keras`.

    Args:
        path: A `.keras` file.

    Raises:
        ValueError: If there is no such file, or it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist. Accepted: {_ACCEPTED}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is truncated or no .keras file. Accepted: {_ACCEPTED}.")
    try:
        model = keras.saving.load_model(path, compile=False)
    # Damaged bytes make zipfile, h5py and Keras raise a dozen kinds of exception.
    except Exception as error:
        reason = first_line(error, 200)
        raise ValueError(f"{path} cannot be read as a Keras model ({reason}).") from error
    description = read_from(path) or described(model)
    model.name = name_of(model, _name_for(path))
    describe(model, description)
    return model


def _name_for(path):
    """Returns a name that every backend accepts for a model in a file."""
    words = path.resolve().parent.name if path.name == TRAINED else path.stem
    return re.sub(r"^[^A-Za-z0-9]+|[^\w.-]", "_", words, flags=re.ASCII).lstrip("_") or "model"


def _from_keras(model, name):
    description = described(model) or weights.description_of(model)
    shape = tuple(model.input_shape[1:]) if len(model.inputs) == 1 else ()
    return Predictor(name, shape, description, model, model.predict_on_batch)


def _from_export(path):
    artefact = export.load(path)
    if len(artefact.inputs) != 1:
        raise ValueError(f"{path} takes several inputs: {', '.join(artefact.inputs)}.")

    def of_pixels(batch):
        return artefact.predict(np.clip(np.round(batch), 0, 255).astype(np.uint8))

    return Predictor(
        str(path),
        tuple(artefact.input_shape[1:]),
        artefact.description,
        None,
        artefact.predict if artefact.pixels is None else of_pixels,
        artefact.fixed_batch,
    )


def _checked(predictor: Predictor) -> Predictor:
    shape, description = predictor.input_shape, predictor.description
    if description is not None and description.sampling_rate is not None:
        if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
            return predictor
        raise ValueError(
            f"{predictor.name} must take waveforms (samples,). Received: inputs {shape}"
        )
    if len(shape) not in (3, 4) or shape[-1] not in (1, 3):
        raise ValueError(
            f"{predictor.name} must take pictures (height, width, 1 or 3), or clips, with frames "
            f"in front of these. Received: inputs {shape}"
        )
    if predictor.description is None:
        raise ValueError(
            f"{predictor.name} does not say which range of pixels it takes, nor the names of its "
            "classes. Give `preprocessing`, such as 'torch', with `weights` of a network, or else "
            "`description=Description(white=1.0, class_names=…)`; `white` is the value of a white "
            "pixel in its input, 255.0 for a model that scales pixels itself."
        )
    return predictor


def _preprocessing(steps: dict[str, Any]) -> Preprocessing:
    return Preprocessing.from_dict(steps)


def _of_channels(picture: Picture, channels: int) -> np.ndarray:
    """Returns a picture's pixels as float32 0…255 on white, with one or three channels."""
    pixels = picture.pixels.astype("float32") * np.float32(255 / picture.white)
    if picture.alpha is not None:
        share = picture.alpha[..., None].astype("float32") / 255
        pixels = pixels * share + 255 * (1 - share)
    return np.broadcast_to(pixels, (*pixels.shape[:2], channels))


def _luminance(batch: np.ndarray) -> np.ndarray:
    """Returns grey pictures by ITU-R BT.601, as JPEG and Pillow have it."""
    return (batch @ np.array([0.299, 0.587, 0.114], "float32"))[..., None]


def _stretched(pixels, size, interpolation):
    _needs.tensorflow("Stretching pictures to the size of a model's input")
    import tensorflow as tf

    method = {"lanczos": "lanczos3"}.get(interpolation, interpolation)
    return np.asarray(tf.image.resize(pixels, size, method=method, antialias=True))
