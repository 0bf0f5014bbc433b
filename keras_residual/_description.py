"""The meaning of a model's inputs and outputs, attached to it and stored in its `.keras` file."""

import dataclasses
import json
import os
import sys
import weakref
import zipfile
from typing import Any

ENTRY = "keras_residual.json"
TASKS = (
    "classification",
    "multilabel",
    "regression",
    "segmentation",
    "super_resolution",
    "tagging",
    "transcription",
)
FITS = ("stretch", "crop")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
# A description holds a few names and numbers; this package never writes a larger entry.
_MOST_BYTES = 2**22


@dataclasses.dataclass(frozen=True)
class Description:
    """How to prepare a model's inputs, and what its outputs mean.

    Attributes:
        task: `"classification"`, `"multilabel"`, `"regression"`, `"segmentation"`,
            `"super_resolution"`, `"tagging"` or `"transcription"`.
        class_names: One name for each output; for a regression those of the numbers. `None` if
            unknown.
        white: The value of a white pixel in the model's input: `1.0` for a model trained by this
            package, `255.0` for one that scales pixels itself. `None` where `preprocessing` must be
            applied first.
        preprocessing: The arguments of the `weights.Preprocessing` to apply before the model, or
            `None` if the model takes pixels in the range that `white` gives.
        fit: How a picture of another size is fitted to the model's input: `"stretch"` (resized
            without keeping the aspect ratio) or `"crop"` (the shorter side is resized, then the
            centre is cropped).
        crop: With `fit="crop"`, the side of the centre crop as a share of the shorter side,
            in (0, 1].
        sampling_rate: Sampling rate in Hz of a model that takes mono waveforms in [-1, 1]; `None`
            for other models.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"` or `"lanczos"`.
        stride: Distance between the frames of a clip, for a model for clips.
        dataset: Name of the dataset that the model was trained on, `None` if unknown.
        weights: Name of the published weights that training started from, `None` for none.
        licence: SPDX identifier of the weights' licence, `None` if unknown.
    """

    task: str = "classification"
    class_names: tuple[str, ...] | None = None
    white: float | None = 1.0
    preprocessing: dict[str, Any] | None = None
    fit: str = "stretch"
    crop: float = 1.0
    interpolation: str = "bilinear"
    stride: int = 1
    dataset: str | None = None
    weights: str | None = None
    licence: str | None = None
    sampling_rate: int | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"`task` must be one of {TASKS}. Received: task={self.task!r}")
        for name, accepted in (("fit", FITS), ("interpolation", INTERPOLATIONS)):
            if (value := getattr(self, name)) not in accepted:
                raise ValueError(f"`{name}` must be one of {accepted}. Received: {name}={value!r}")
        names = self.class_names
        if names is not None:
            valid = isinstance(names, list | tuple) and all(isinstance(n, str) for n in names)
            if not valid or not names:
                raise ValueError(
                    "`class_names` must be a sequence of strings, one for each output. "
                    f"Received: class_names={names!r}"
                )
            object.__setattr__(self, "class_names", tuple(names))
        rate = self.sampling_rate
        if rate is not None and (not isinstance(rate, int) or isinstance(rate, bool) or rate < 1):
            raise ValueError(
                f"`sampling_rate` must be a positive integer. Received: sampling_rate={rate!r}"
            )
        for name, limit in (("white", sys.float_info.max), ("crop", 1.0)):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and 0 < value <= limit) and not (name == "white" and value is None):
                raise ValueError(
                    f"`{name}` must be a positive number{' up to 1' if name == 'crop' else ''}. "
                    f"Received: {name}={value!r}"
                )
        if type(self.stride) is not int or self.stride < 1:
            raise ValueError(
                f"`stride` must be a positive integer. Received: stride={self.stride!r}"
            )
        steps = isinstance(self.preprocessing, dict)
        if steps == (self.white is not None) or not (steps or self.preprocessing is None):
            raise ValueError(
                "Exactly one of `white` and `preprocessing`, a dict, must be given. "
                f"Received: white={self.white!r}, preprocessing={self.preprocessing!r}"
            )

    def to_json(self) -> str:
        """Returns the description as a JSON object."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> "Description":
        """Returns the description in a JSON object.

        Args:
            text: The JSON object; unknown keys, from later versions, are ignored.
            where: The source of the text in error messages, such as the file.

        Raises:
            ValueError: If the text is not a description; the message says why.
        """
        try:
            content = json.loads(text)
            if not isinstance(content, dict):
                raise ValueError(f"it holds a {type(content).__name__}")
            known = {field.name for field in dataclasses.fields(cls)}
            return cls(**{name: value for name, value in content.items() if name in known})
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{where} holds no description of a model ({error}).") from error


_DESCRIPTIONS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def describe(model, description: Description | None) -> None:
    """Attaches a description to a model, for as long as the model lives.

    It is saved with the model if one of its layers belongs to this package.

    Args:
        model: A Keras model.
        description: Its description, or `None` to remove it.
    """
    if description is None:
        _DESCRIPTIONS.pop(model, None)
    elif isinstance(description, Description):
        _DESCRIPTIONS[model] = description
    else:
        raise ValueError(
            f"`description` must be a Description or None. Received: description={description!r}"
        )
    keep(model, description)


def described(model) -> Description | None:
    """Returns the description attached to a model, also before it was saved; `None` without one."""
    if model in _DESCRIPTIONS:
        return _DESCRIPTIONS[model]
    for layer in _keepers(model):
        for entry in layer.kept_descriptions():
            if entry["model"] == _identity(model):
                return Description.from_json(json.dumps(entry["description"]), layer.name)
    return None


def noted(model) -> Description | None:
    """Returns the description attached since the model was made or loaded, `None` without one."""
    return _DESCRIPTIONS.get(model)


def keep(model, description: Description | None) -> None:
    """Stores a description in a layer that saves it with the model, if there is one.

    Args:
        model: A Keras model.
        description: Its description, or `None` to remove it.
    """
    layer = next(_keepers(model), None)
    if layer is not None:
        fields = None if description is None else dataclasses.asdict(description)
        layer.keep_description(_identity(model), fields)


def _keepers(model):
    """Yields the layers of a functional model that keep descriptions."""
    if not getattr(model, "inputs", None):
        return
    for layer in model.layers:
        if hasattr(layer, "kept_descriptions"):
            yield layer
        elif hasattr(layer, "layers"):
            yield from _keepers(layer)


def _identity(model) -> dict[str, Any]:
    """Returns what distinguishes a model from others that share some of its layers."""
    sides = {"inputs": model.inputs, "outputs": model.outputs}
    shapes = {side: [list(tensor.shape) for tensor in tensors] for side, tensors in sides.items()}
    return {"name": model.name, "last": model.layers[-1].name, **shapes}


def write_into(path: str | os.PathLike[str], description: Description) -> None:
    """Adds a description to a `.keras` file that Keras has just written.

    Keras ignores the entry. Call it on the partial file, before it is renamed.

    Raises:
        ValueError: If the file holds a description already.
    """
    with zipfile.ZipFile(path, "a") as archive:
        if ENTRY in archive.namelist():
            raise ValueError(f"{path} holds a description already.")
        archive.writestr(ENTRY, description.to_json())


def read_from(path: str | os.PathLike[str]) -> Description | None:
    """Returns the description inside a `.keras` file, `None` if it has none.

    Raises:
        ValueError: If the entry is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if ENTRY not in archive.namelist():
            return None
        if archive.getinfo(ENTRY).file_size > _MOST_BYTES:
            raise ValueError(f"{path}: {ENTRY} is larger than {_MOST_BYTES} bytes.")
        return Description.from_json(archive.read(ENTRY), f"{path}: {ENTRY}")
