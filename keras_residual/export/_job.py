"""What the writer of a format needs to know."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_residual._description import Description
from keras_residual.export._signature import InputSpec
from keras_residual.export._sound import SoundFile
from keras_residual.export._target import PictureFile


@dataclass(frozen=True)
class Job:
    """One network to write, in one or several formats.

    Attributes:
        model: The model as it was given.
        network: The network to write: folded, with its preprocessing and batch size.
        inputs: Its inputs.
        outputs: Names of its outputs.
        samples: Batches of its inputs that decide the ranges of integers.
        data: Representative data, for formats that read them themselves.
        scratch: An empty folder, where a SavedModel of the network is kept once it is written.
        picture: What the network takes if it was made for phones, else `None`.
        sound: What the network takes of sound if it was made for phones, else `None`.
        parts: That network up to its spectrogram and from there on, of a network for sound.
        is_clip: Whether a file for phones takes the frames of one clip.
        is_logits: Whether its softmax is left to the file.
        mean: What is subtracted from the pixels of a picture.
        preprocessing: Layers before the model, by input.
        included: Whether the network has them inside.
        description: What is known of the file's inputs and outputs.
        quantization: As in `export`; so are the others.
    """

    model: keras.Model
    network: keras.Model
    inputs: dict[str, InputSpec]
    outputs: tuple[str, ...]
    samples: list[dict[str, np.ndarray]]
    data: dict[str, np.ndarray]
    scratch: Path
    picture: PictureFile | None
    sound: SoundFile | None
    parts: tuple[keras.Model, keras.Model] | None
    is_clip: bool
    is_logits: bool
    mean: tuple[float, ...]
    preprocessing: dict[str, keras.layers.Layer]
    included: bool
    quantization: str | None
    integer_io: bool
    opset: int | None
    labels: list[str] | None
    description: Description | None
    batch_size: int | None
