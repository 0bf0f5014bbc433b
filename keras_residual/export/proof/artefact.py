"""An exported file or folder, run in its own runtime."""

import hashlib
import os
from pathlib import Path

import numpy as np

from keras_residual import _checks
from keras_residual.export._signature import arrays_by_name, count_of, rows_of
from keras_residual.export.errors import ExportError
from keras_residual.export.formats.jax import JaxRuntime
from keras_residual.export.formats.litert.litert import LiteRTRuntime
from keras_residual.export.formats.onnx import OnnxRuntime
from keras_residual.export.formats.saved_model import SavedModelRuntime

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "jax": ".jax"}


class Artefact:
    """An exported model: where it lies, how large it is, what it computes.

    `load` makes one.

    Attributes:
        path: The file or folder.
        format: `"saved_model"`, `"litert"`, `"onnx"` or `"jax"`.
        inputs: Shape and type of each input by name, in order: the model's own, except in files of
            `jax.export`, which sort by name.

    Example:

    >>> load("runs/quickstart/model_int8.tflite").predict(images).shape  # doctest: +SKIP
    (360, 10)
    """

    def __init__(self, path: Path, runtime):
        self.path, self.format = path, runtime.format
        self._runtime = runtime
        self.inputs = dict(runtime.inputs)

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
        """The batch size it takes; `None` for any."""
        return next((spec.shape[0] for spec in self.inputs.values() if spec.shape[0]), None)

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return size_of(self.path)

    @property
    def labels(self) -> list[str] | None:
        """The labels packed into a LiteRT or ONNX file, if there are any."""
        return self._runtime.labels()

    def operations(self) -> dict[str, int]:
        """Returns how often each operation of the format occurs."""
        return self._runtime.operations()

    def sha256(self) -> str:
        """Returns the hash of the file, or of all files of a folder in the order of their names."""
        digest = hashlib.sha256()
        for file in _files(self.path):
            digest.update(file.relative_to(self.path).as_posix().encode())
            digest.update(file.read_bytes())
        return digest.hexdigest() if self.path.is_dir() else _sha256(self.path)

    def __call__(self, batch):
        """Returns the outputs for one batch, computed in one run."""
        outputs = self._runtime(arrays_by_name("batch", self.inputs, batch))
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def predict(self, inputs, batch_size: int = 32):
        """Returns the outputs for `inputs`, computed in batches.

        Args:
            inputs: `(n, ...)`, for several inputs a tuple in their order or a dict by name;
                floating point also for a file that computes in integers.
            batch_size: Positive integer. A file with a fixed batch takes that.

        Returns:
            `(n, ...)`, or a dict of such where the model has several outputs.

        Raises:
            ValueError: If the inputs are not of the artefact's shape.
        """
        arrays = arrays_by_name("inputs", self.inputs, inputs)
        size = self.fixed_batch or _checks.integer("batch_size", batch_size)
        parts, count = [], count_of(arrays)
        for start in range(0, count, size):
            used = min(size, count - start)
            batch = rows_of(arrays, start, start + (size if self.fixed_batch else used))
            part = self._runtime(batch)
            parts.append({name: value[:used] for name, value in part.items()})
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def load(path: str | os.PathLike, threads: int = 1) -> Artefact:
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
    format = format_of(path)
    if format == "saved_model":
        return Artefact(path, SavedModelRuntime(path))
    if format == "jax":
        return Artefact(path, JaxRuntime(path))
    runtime = {"litert": LiteRTRuntime, "onnx": OnnxRuntime}[format]
    return Artefact(path, runtime(path, threads))


def format_of(path: Path) -> str:
    """Returns the format of an exported file or folder, or raises an `ExportError`."""
    if not path.exists():
        raise ExportError(f"{path} does not exist.")
    if path.is_dir():
        return "saved_model"
    formats = {suffix: format for format, suffix in SUFFIXES.items()}
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
