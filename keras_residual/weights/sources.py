"""The table of published weights: addresses, hashes, preprocessing, licences."""

import collections.abc
import csv
import dataclasses
import functools
import importlib.resources
import importlib.resources.abc
import json
import re
import types
import weakref

import keras

from keras_residual import _checks
from keras_residual._description import Description, noted
from keras_residual.weights import _digests
from keras_residual.weights.preprocessing import Preprocessing

LAYOUTS = ("torchvision", "timm", "keras.applications", "keras_residual", "basicsr")


@dataclasses.dataclass(frozen=True)
class WeightSource:
    """One published set of weights.

    Attributes:
        model: Name of the model that it fits, as in `keras_residual.list_models()`.
        tag: Name that distinguishes it from the model's other weights.
        location: The URL, `hf://owner/name` for a Hugging Face repository, or `package:NAME` for
            a file included in this package.
        layout: Layout of the file: `"torchvision"`, `"timm"`, `"keras.applications"`,
            `"keras_residual"` or `"basicsr"`.
        preprocessing: The preprocessing that the weights expect.
        digest: `"sha256:…"` or `"md5:…"`, possibly shortened; `None` if none is published.
        classes: Name of the class list, e.g. `"imagenet"`; for super-resolution the dataset.
        top1: Published top-1 accuracy in percent with this preprocessing, `None` if unknown; for
            Kinetics-400 that of videos, with five clips per video.
        licence: SPDX identifier, `None` if the publisher states none.
        options: Architecture options that differ from the model's defaults.
        note: Further information for users.
    """

    model: str
    tag: str
    location: str
    layout: str
    preprocessing: Preprocessing
    digest: str | None = None
    classes: str = "imagenet"
    top1: float | None = None
    licence: str | None = None
    options: collections.abc.Mapping[str, object] = dataclasses.field(
        default_factory=dict, hash=False
    )
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("model", "tag", "location", "classes"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ValueError(f"`{name}` must be a text. Received: {name}={value!r}")
        _checks.choice("layout", self.layout, LAYOUTS)
        if not isinstance(self.preprocessing, Preprocessing):
            raise ValueError(
                "`preprocessing` must be a Preprocessing. "
                f"Received: preprocessing={self.preprocessing!r}"
            )
        if self.digest is not None:
            _digests.check_form(self.digest)
        if self.top1 is not None:
            _checks.real("top1", self.top1, 0.0, 100.0)
        if not isinstance(self.options, collections.abc.Mapping):
            raise ValueError(f"`options` must be a dict. Received: options={self.options!r}")
        object.__setattr__(self, "options", types.MappingProxyType(dict(self.options)))

    @property
    def name(self) -> str:
        """The model and tag in one string, e.g. `"ResNet18.IMAGENET1K_V1"`."""
        return f"{self.model}.{self.tag}"

    @property
    def file_name(self) -> str:
        """The name of the file in the cache."""
        return "model.safetensors" if self.is_hub else re.split("[/:]", self.location)[-1]

    @property
    def is_hub(self) -> bool:
        return self.location.startswith("hf://")

    @property
    def is_shipped(self) -> bool:
        """Whether the file is included in this package."""
        return self.location.startswith("package:")

    @property
    def task(self) -> str:
        """The task of the network: `"classification"` or `"super_resolution"`."""
        return "super_resolution" if self.layout == "basicsr" else "classification"

    @property
    def forbids_commerce(self) -> bool:
        """Whether the licence forbids commercial use."""
        return forbids_commerce(self.licence)

    @property
    def input_size(self) -> int | None:
        """The side of the square images with which the accuracy was measured."""
        return self.preprocessing.crop


# Licences of published weights that allow only research, without NonCommercial in their name.
_RESEARCH_ONLY = ("seer", "research", "non-commercial", "noncommercial")


def forbids_commerce(licence: str | None) -> bool:
    """Returns whether a licence, by its SPDX identifier or name, forbids commercial use.

    >>> forbids_commerce("CC-BY-NC-4.0"), forbids_commerce("Apache-2.0")
    (True, False)
    """
    text = (licence or "").lower()
    return "nc" in text.split("-") or any(word in text for word in _RESEARCH_ONLY)


_NORMALIZATIONS = {
    # Pixels in 0…1, as in super-resolution.
    "unit": Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "torch": Preprocessing(),
    "caffe": Preprocessing.from_mode("caffe"),
    "tf": Preprocessing.from_mode("tf"),
    "dpn": Preprocessing((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3),
    "kinetics": Preprocessing((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    "half": Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # Standard deviations over all pixels; those below are averages over images, as commonly used.
    "cifar10_pixels": Preprocessing((0.4915, 0.4823, 0.4467), (0.2471, 0.2435, 0.2617)),
    "cifar10": Preprocessing((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.201)),
    "cifar100": Preprocessing((0.507, 0.4865, 0.4409), (0.2673, 0.2564, 0.2761)),
}


def _parsed(row: dict[str, str]) -> WeightSource:
    """Returns the source of one row of the table."""
    resize = tuple(int(size) for size in row.pop("resize").split("x") if size)
    preprocessing = dataclasses.replace(
        _NORMALIZATIONS[row.pop("normalization")],
        resize=resize if len(resize) == 2 else next(iter(resize), None),
        # If height and width are given, as for clips, torchvision does not antialias.
        antialias=len(resize) != 2,
        crop=int(row.pop("crop") or 0) or None,
        interpolation=row.pop("interpolation"),
    )
    options, top1 = json.loads(row.pop("options") or "{}"), row.pop("top1")
    text = {name: value for name, value in row.items() if value}
    return WeightSource(
        preprocessing=preprocessing, options=options, top1=float(top1) if top1 else None, **text
    )


def asset(name: str) -> importlib.resources.abc.Traversable:
    """Returns a file included in the package."""
    return importlib.resources.files("keras_residual.weights") / "assets" / name


@functools.cache
def _table() -> dict[str, tuple[WeightSource, ...]]:
    """Returns the sources by lowercase model name, starting with the one for "imagenet"."""
    file = asset("sources.csv")
    table: dict[str, list[WeightSource]] = {}
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        table.setdefault(row["model"].lower(), []).append(_parsed(row))
    return {model: tuple(sources) for model, sources in table.items()}


def list_sources(model: str | None = None) -> tuple[WeightSource, ...]:
    """Returns the known weights of a model, or of all models.

    Args:
        model: Name of a model, in any case. Defaults to `None`, all models.

    Raises:
        ValueError: If no weights are known for `model`; the message names the nearest models.
    """
    if model is None:
        return tuple(source for sources in _table().values() for source in sources)
    names = {key: sources[0].model for key, sources in _table().items()}
    name = names.get(model.lower(), model) if isinstance(model, str) else model
    return _table()[_checks.known("model with published weights", name, names.values()).lower()]


def find(model: str, tag: str = "imagenet") -> WeightSource:
    """Returns the source of a model's weights.

    Args:
        model: Name of a model, in any case, e.g. `"ResNet50"`.
        tag: Name of the weights, in any case, e.g. `"IMAGENET1K_V2"`, `"a1_in1k"` or `"keras"`; or
            the name of a class list, `"imagenet"`, `"cifar10"`, `"cifar100"` or `"kinetics400"`,
            for the best-known weights of these classes: those included in the package, or
            torchvision's first ones, if there are any. Defaults to `"imagenet"`.

    Raises:
        ValueError: If there is none; the message names the nearest models, or the model's tags.

    Example:

    >>> find("ResNet50", "IMAGENET1K_V2").top1
    80.858
    """
    sources = list_sources(model)
    for source in sources:
        names = (source.tag.lower(), *([] if source.forbids_commerce else [source.classes]))
        if isinstance(tag, str) and tag.lower() in names:
            return source
    free = [source.classes for source in sources if not source.forbids_commerce]
    tags = ", ".join(dict.fromkeys(free))
    tags = ", ".join([*([tags] if tags else []), *(source.tag for source in sources)])
    raise ValueError(f"Unknown weights of {sources[0].model}: {tag!r}. Known: {tags}")


def find_named(name: str) -> WeightSource | None:
    """Returns the source by `name`: `"Model"`, `"Model.tag"`, its URL or `hf://` address."""
    for source in list_sources():
        if name in (source.location, source.location + "/" + source.file_name):
            return source
    model, _, tag = name.partition(".")
    if model.lower() not in _table() or re.search(r"[/:]", name):
        return None
    return find(model, tag or _table()[model.lower()][0].tag)


_SOURCES: weakref.WeakKeyDictionary[keras.Model, WeightSource] = weakref.WeakKeyDictionary()
# The preprocessing that the weights expect, and the description that the model had then.
_SCALINGS: weakref.WeakKeyDictionary[keras.Model, tuple[Preprocessing, Description | None]] = (
    weakref.WeakKeyDictionary()
)


def remember(
    model: keras.Model, source: WeightSource | None, preprocessing: Preprocessing | None = None
) -> None:
    """Records the source of a model's weights, if known, and their preprocessing.

    Args:
        model: The model.
        source: The published weights, `None` for others.
        preprocessing: What the weights expect. Defaults to that of `source`, or unknown.
    """
    if source is not None and preprocessing is None:
        preprocessing = source.preprocessing
    scaling = None if preprocessing is None else (preprocessing, noted(model))
    for notes, value in ((_SOURCES, source), (_SCALINGS, scaling)):
        if value is None:
            notes.pop(model, None)
        else:
            notes[model] = value


def source_of(model: keras.Model) -> WeightSource | None:
    """Returns the source whose weights were loaded into `model`, `None` if it is unknown."""
    return _SOURCES.get(model)


def scaling_of(model: keras.Model) -> Preprocessing | None:
    """Returns the preprocessing of the weights loaded into `model`, `None` if it is unknown.

    A description that was attached later, such as that of a training, replaces it.
    """
    scaling, description = _SCALINGS.get(model, (None, None))
    return scaling if noted(model) is description else None
