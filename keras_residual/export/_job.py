"""The input of the writers of all formats."""

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
        samples: Batches of its inputs that determine the quantization ranges.
        data: Representative data, for formats that read them themselves.
        scratch: An empty folder; it caches the network's SavedModel.
        picture: The picture input of a network for phones, else `None`.
        sound: The sound input of a network for phones, else `None`.
        parts: For sound, that network split after its spectrogram.
        is_clip: Whether a file for phones takes the frames of one clip.
        is_logits: Whether its softmax is added to the file later.
        mean: The mean that is subtracted from the pixels of a picture.
        preprocessing: Layers before the model, by input.
        included: Whether the network contains them.
        description: The description of the file's inputs and outputs.
        quantization: As in `export`, like all others.
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
