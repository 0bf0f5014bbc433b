"""An exported file or folder, run in its own runtime."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual._description import Description
from keras_residual.export._pixels import Pixels
from keras_residual.export._signature import InputSpec, arrays_by_name, count_of, rows_of
from keras_residual.export.errors import ExportError
from keras_residual.export.formats_table import FORMATS

# A card has a few thousand bytes for each file.
_LARGEST_CARD = 1 << 24


class Artefact:
    """An exported model: its path, size, inputs, and predictions in its own runtime.

    `load` makes one.

    Attributes:
        path: The file or folder.
        format: `"saved_model"`, `"litert"`, `"onnx"`, `"jax"` or `"coreml"`.
        inputs: Shape and type of each input of the file by name, in order: the model's own, except
            in files of `jax.export`, which sort by name, and in files for phones, which take
            pictures.
        facts: The facts that this package stored in a LiteRT file.
        pixels: The map from pixels 0…255 to the inputs of `predict`, for a file that takes
            pictures; `None` for others.

    Example:

    >>> load("runs/quickstart/model_int8.tflite").predict(images).shape  # doctest: +SKIP
    (360, 10)
    """

    def __init__(self, path: Path, runtime: Any):
        self.path, self.format = path, runtime.format
        self._runtime = runtime
        self.inputs: dict[str, Any] = dict(runtime.inputs)
        self.facts: dict[str, Any] = _checked_facts(path, getattr(runtime, "facts", {}))
        self.pixels = _pixels(path, self.facts)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of its only input; `None` for sizes that may vary."""
        return self._only_input.shape

    @property
    def input_type(self) -> str:
        """Name of the type of its only input."""
        return self._only_input.type

    @property
    def _only_input(self):
        if len(self.inputs) > 1:
            raise ValueError(f"{self.path} has several inputs: {', '.join(self.inputs)}.")
        return next(iter(self.inputs.values()))

    @property
    def fixed_batch(self) -> int | None:
        """The fixed batch size, `None` for any."""
        return next((spec.shape[0] for spec in self.inputs.values() if spec.shape[0]), None)

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return size_of(self.path)

    @property
    def labels(self) -> list[str] | None:
        """The labels stored in a LiteRT or ONNX file, if any."""
        return self._runtime.labels()

    def operations(self) -> dict[str, int]:
        """Returns how often each operation of the format occurs."""
        return self._runtime.operations()

    @property
    def description(self) -> Description | None:
        """The description of inputs and outputs, from the file or the card beside it.

        For a file that takes pictures it refers to uint8 pixels 0…255.
        """
        found = self.facts.get("description")
        if found is None:
            found = _of_card(self.path)
        if found is None:
            return None
        names = found.get("class_names") or self.labels
        return Description.from_json(json.dumps({**found, "class_names": names}), str(self.path))

    @property
    def takes_sound(self) -> bool:
        """Whether it is a LiteRT file that takes waveforms."""
        found = self.facts.get("description") or {}
        return self.format == "litert" and found.get("sampling_rate") is not None

    @property
    def predict_shape(self) -> tuple[int | None, ...]:
        """Shape of the inputs of `predict`: for a file for phones, that of the model."""
        shape = self.input_shape
        return shape if self.pixels is None else (*shape[:-1], self.pixels.channels)

    def tensors(self) -> dict[str, Any]:
        """Describes the file's tensors: types, scales, zero points, pictures."""
        sides = {"inputs": self.inputs, "outputs": getattr(self._runtime, "outputs", {})}
        quantized = getattr(self._runtime, "quantized", {})
        found = {
            side: [_tensor(name, spec, quantized.get(name)) for name, spec in specs.items()]
            for side, specs in sides.items()
        }
        if self.pixels is not None:
            found["inputs"][0] |= {
                "range": [0, 255],
                "colours": "RGB",
                "layout": "NHWC",
                "fit": self.facts.get("fit", "stretch"),
                "crop": self.facts.get("crop", 1.0),
            }
        return found

    def sha256(self) -> str:
        """Returns the hash of the file, or of all files of a folder sorted by name."""
        digest = hashlib.sha256()
        for file in _files(self.path):
            digest.update(file.relative_to(self.path).as_posix().encode())
            digest.update(file.read_bytes())
        return digest.hexdigest() if self.path.is_dir() else _sha256(self.path)

    def __call__(self, batch: Any) -> Any:
        """Returns the outputs for one batch, in a single run."""
        outputs = self._runtime(self.file_inputs("batch", batch))
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def predict(self, inputs: Any, batch_size: int = 32) -> Any:
        """Returns the outputs for `inputs`, computed in batches.

        Args:
            inputs: `(n, ...)`, for several inputs a tuple in their order or a dict by name;
                floating point also for a file that computes in integers. For a file that takes
                pictures these are what the model takes, or uint8 pixels of pictures.
            batch_size: Positive integer. A file with a fixed batch size uses that instead.

        Returns:
            `(n, ...)`, or a dict of such where the model has several outputs.

        Raises:
            ValueError: If the inputs are not of the artefact's shape.
        """
        arrays = self.file_inputs("inputs", inputs)
        parts = []
        for batch, used in self.batches(arrays, batch_size):
            part = self._runtime(batch)
            parts.append({name: value[:used] for name, value in part.items()})
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def batches(
        self, arrays: dict[str, Any], batch_size: int = 32
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yields batches of the file's inputs, with the number of rows that are not padding."""
        size = self.fixed_batch or _checks.integer("batch_size", batch_size)
        count = count_of(arrays)
        for start in range(0, count, size):
            used = min(size, count - start)
            yield rows_of(arrays, start, start + (size if self.fixed_batch else used)), used

    def quantized_input(self, name: str, values: np.ndarray) -> np.ndarray:
        """Returns values quantized to the type of a LiteRT file's input."""
        return self._runtime.quantized_input(name, values)

    def output_values(self, name: str, values: np.ndarray) -> np.ndarray:
        """Dequantizes the values of a LiteRT file's output."""
        return self._runtime.output_values(name, values)

    def file_inputs(self, argument: str, inputs: Any) -> dict[str, np.ndarray]:
        """Converts inputs of `predict` to the file's inputs, arrays by name."""
        if self.pixels is None:
            return arrays_by_name(argument, self.inputs, inputs)
        ((name, spec),) = self.inputs.items()
        if isinstance(inputs, dict) and set(inputs) == {name}:
            inputs = inputs[name]
        array = np.asarray(inputs)
        if array.dtype == np.uint8:
            array = np.repeat(array, 3, -1) if array.ndim == 4 and array.shape[-1] == 1 else array
            return arrays_by_name(argument, self.inputs, array)
        model = {name: InputSpec(self.predict_shape, "float32")}
        array = arrays_by_name(argument, model, array)[name]
        return {name: self.pixels.pixels_of(argument, array, spec.type == "uint8")}


def _of_card(path):
    """Returns the entry of a file in the card beside it, `None` if it is about another file."""
    entry = entries_of_card(path.parent / "card.json").get(path.name)
    if not isinstance(entry, dict) or entry.get("bytes") != size_of(path):
        return None
    described = entry.get("description")
    return described if isinstance(described, dict) else None


def entries_of_card(path: Path, weights: str | None = None) -> dict[str, Any]:
    """Returns the entries of a card by the names of their files, none if it is damaged.

    Args:
        path: A `card.json`.
        weights: Hash of a model's weights; a card of other weights has no entries then.
    """
    try:
        if path.stat().st_size > _LARGEST_CARD:
            return {}
        card = json.loads(path.read_text(encoding="utf-8"))
        other = weights is not None and card["model"]["weights_sha256"] != weights
        return {} if other else dict(card["artefacts"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _checked_facts(path, facts) -> dict[str, Any]:
    """Returns the facts that a file stores about itself, after checking their types."""
    described = facts.get("description") if isinstance(facts, dict) else facts
    if not isinstance(facts, dict) or not isinstance(described, dict | None):
        raise ExportError(f"{path} is damaged: its facts are {str(facts)[:80]!r}.")
    return dict(facts)


def _pixels(path, facts) -> Pixels | None:
    found = facts.get("pixels")
    if found is None:
        return None
    try:
        matrix = np.asarray(found["matrix"], np.float64)
        mean = np.asarray(found["mean"], np.float64)
        # Files take RGB; the rows are the channels of the model.
        if matrix.ndim != 2 or matrix.shape[1] != 3 or mean.shape != (3,):
            raise ValueError(f"their shapes are {matrix.shape} and {mean.shape}")
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{path} is damaged: its facts about pixels ({error}).") from error
    return Pixels(tuple(map(tuple, matrix.tolist())), tuple(mean.tolist()))


def _tensor(name, spec, quantized):
    described = {"name": name, "shape": list(spec.shape), "type": spec.type}
    if quantized is not None:
        described |= {"scale": quantized[0], "zero_point": quantized[1]}
    return described


def load(path: str | os.PathLike[str], threads: int = 1) -> Artefact:
    """Loads an exported file or folder into its own runtime.

    Args:
        path: A SavedModel's folder, a `.tflite`, `.onnx` or `.jax` file.
        threads: Positive integer, number of threads. TensorFlow and JAX manage their own.

    Returns:
        An `Artefact`.

    Raises:
        ExportError: If there is nothing at `path`, or nothing that can be read.
        ImportError: If the runtime is not installed.
    """
    path = Path(path)
    _checks.integer("threads", threads)
    return Artefact(path, FORMATS[format_of(path)].open(path, threads))


def format_of(path: Path) -> str:
    """Returns the format of an exported file or folder, or raises an `ExportError`."""
    if not path.exists():
        raise ExportError(f"{path} does not exist.")
    formats = {row.suffix: row.name for row in FORMATS.values() if row.suffix}
    if path.suffix not in formats and path.is_dir():
        return "saved_model"
    if path.suffix not in formats:
        accepted = ", ".join(formats)
        raise ExportError(f"{path} must be the folder of a SavedModel or one of {accepted}.")
    return formats[path.suffix]


def size_of(path: Path) -> int:
    """Returns the size of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in _files(path))


def _files(path):
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
