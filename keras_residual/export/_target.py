"""What a LiteRT file for phones takes and gives, and which models become one."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras

from keras_residual import weights
from keras_residual._description import Description
from keras_residual.export._pixels import STANDARDIZE, WHITE, Pixels, takes_raw_pixels
from keras_residual.export._signature import InputSpec
from keras_residual.export.rewrite.graph import is_recurrent
from keras_residual.export.rewrite.picture import ends_with_softmax, first_layer

TARGETS = ("phone", "server")
OUTPUTS = ("uint8", "float32")


@dataclass(frozen=True)
class PictureFile:
    """What a LiteRT file for phones takes: one picture, RGB, pixels 0…255.

    Attributes:
        size: Height and width.
        pixels: How pixels become what `Artefact.predict` and the comparison take.
        scaling: How pixels become the model's input.
        input_type: `"uint8"` or `"float32"`.
        output_type: `"uint8"` or `"float32"`.
        float_softmax: Whether softmax is computed in floating point behind integers.
        fit: How the weights' accuracy was measured: `"stretch"` or `"crop"`.
        crop: With `"crop"`, the side that is kept as a share of the shorter side.
        task: What MediaPipe's task is: `"classifier"`, `"embedder"` or `"segmenter"`.
    """

    size: tuple[int, int]
    pixels: Pixels
    scaling: Pixels
    input_type: str
    output_type: str
    float_softmax: bool
    fit: str
    crop: float
    task: str


def picture_file(
    model: keras.Model,
    inputs: dict[str, InputSpec],
    preprocessing: dict[str, Any],
    description,
    *,
    include_preprocessing: bool | None,
    target: str | None,
    outputs: str | None,
    quantization: str | None,
    integer_io: bool,
    batch_size: int | None,
) -> PictureFile | None:
    """Returns what a model's LiteRT file for phones takes, `None` where it takes what the model
    does.

    Raises:
        ValueError: If such a file is asked for and cannot be.
    """
    if target == "server" or (target is None and include_preprocessing is False):
        return _refused("server", outputs)
    found = _scaling(model, inputs, preprocessing, description)
    if batch_size not in (None, 1):
        found = f"phones take one picture. Received: batch_size={batch_size}."
    if isinstance(found, str):
        if target == "phone":
            raise ValueError(f'`target="phone"`: {found}')
        return _refused(found, outputs)
    spec = next(iter(inputs.values()))
    softmax = ends_with_softmax(model)
    whole = quantization == "int8" and integer_io
    output_type = outputs or "float32"
    if output_type == "uint8" and quantization != "int8":
        raise ValueError(
            f'`outputs="uint8"` needs quantization="int8". Received: quantization={quantization!r}'
        )
    return PictureFile(
        size=tuple(spec.shape[1:3]),
        pixels=Pixels.of_channels(spec.shape[-1]) if include_preprocessing else found,
        scaling=found,
        input_type="uint8" if whole else "float32",
        output_type=output_type,
        float_softmax=whole and softmax and output_type == "float32",
        fit="stretch" if description is None else description.fit,
        crop=1.0 if description is None else description.crop,
        task=_task(model, description),
    )


def takes_clip(model: keras.Model, given: Any) -> bool:
    """Returns whether a file for phones is asked for that takes the frames of one clip.

    Args:
        model: The model.
        given: The arguments of `export`.

    Raises:
        ValueError: If it is asked for what such a file does not have.
    """
    shape = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else ()
    clip = given.target == "phone" and len(shape) == 5
    if clip and (None in shape[1:] or given.batch_size not in (None, 1)):
        raise ValueError(
            '`target="phone"`: phones give one clip of a fixed size. Received: '
            f"{shape}, batch_size={given.batch_size}"
        )
    if clip and given.outputs is not None:
        raise ValueError(f"`outputs` is for models that take pictures. Received: {given.outputs!r}")
    return clip


def description_of_file(
    description: Description | None, picture: PictureFile | None, labels, included: bool
) -> Description | None:
    """Returns the description of a file's inputs and outputs, `None` if they are unknown.

    Args:
        description: The description of the model.
        picture: The picture that the file takes in place of the model's input, if it does.
        labels: Names of its outputs.
        included: Whether the file scales pixels 0…255 itself.
    """
    if description is None and (picture is None or picture.task == "embedder"):
        return None
    found = description or Description(
        task="segmentation" if picture.task == "segmenter" else "classification"
    )
    if labels:
        found = dataclasses.replace(found, class_names=tuple(labels))
    if picture is not None or included:
        found = dataclasses.replace(found, white=WHITE, preprocessing=None)
    return found


def _refused(reason, outputs):
    if outputs is not None:
        raise ValueError(f"`outputs` is for files for phones ({reason}). Received: {outputs!r}")


def _scaling(model, inputs, preprocessing, description) -> Pixels | str:
    """Returns how pixels become a model's input, or why no file for phones can be made."""
    if len(inputs) != 1 or len(model.outputs) != 1:
        return "the model must have one input and one output."
    ((name, spec),) = inputs.items()
    shape, output = spec.shape, model.outputs[0].shape
    if is_recurrent(model):
        return "the model must take pictures."
    if len(shape) != 4 or shape[-1] not in (1, 3) or not spec.is_floating:
        return f"the model must take (n, height, width, 1 or 3) pictures. Received: {spec}."
    if None in shape[1:] or len(output) not in (2, 4):
        return "the model must have a fixed size of its input, and an output of rank 2 or 4."
    if description is not None and description.task == "super_resolution":
        return "the model must not output pictures."
    pixels = Pixels.of_channels(shape[-1])
    if name in preprocessing:
        layers = [preprocessing[name]]
    else:
        layers = _described_layers(model, spec, description)
    if layers is None:
        return (
            f"the scaling of pixels is unknown for {model.name!r}; give `preprocessing`, such as "
            "`keras.layers.Rescaling(1 / 255)` or a `weights.Preprocessing`."
        )
    for layer in layers:
        pixels = pixels.then(layer)
        if pixels is None:
            return f"`preprocessing` must scale channels. Received: {layer!r}."
    return pixels


def layer_of(description, spec: InputSpec):
    """Returns the scaling in a description as a layer, `None` if it has none."""
    if description.white is not None:
        return keras.layers.Rescaling(description.white / 255.0, name="scaling")
    steps = weights.Preprocessing.from_dict(description.preprocessing)
    return steps.with_channels(spec.shape[-1]).layer(name="preprocessing")


def _described_layers(model, spec, description):
    if description is not None:
        return [layer_of(description, spec)]
    first = first_layer(model)
    if takes_raw_pixels(first):
        return []
    if type(first) is keras.layers.Normalization and first.name == STANDARDIZE:
        return [keras.layers.Rescaling(1 / 255)]
    return None


def _task(model, description):
    if len(model.outputs[0].shape) == 4:
        return "segmenter"
    is_classifier = description is not None and description.class_names is not None
    return "classifier" if is_classifier or ends_with_softmax(model) else "embedder"


def names_of_outputs(labels, description: Description | None) -> list[str] | None:
    """Returns the names of a model's outputs for the card; of a transcriber with the blank."""
    names = None if description is None else description.class_names
    if labels or not names or description.task != "transcription":
        return labels
    return [*names, "and the blank"]
