"""An exported file or folder, run in its own runtime."""

import hashlib
import os
from pathlib import Path

import numpy as np

from keras_residual import _checks
from keras_residual.export.errors import ExportError
from keras_residual.export.jax_file import JaxRuntime
from keras_residual.export.litert import LiteRTRuntime
from keras_residual.export.onnx_file import OnnxRuntime
from keras_residual.export.saved_model import SavedModelRuntime

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "jax": ".jax"}


class Artefact:
    """An exported model: where it lies, how large it is, what it computes.

    `load` makes one.

    Attributes:
        path: The file or folder.
        format: `"saved_model"`, `"litert"`, `"onnx"` or `"jax"`.
        input_shape: Shape of its input; `None` for sizes that may vary.
        input_type: Name of the type of its input.

    Example:

    >>> load("runs/quickstart/model_int8.tflite").predict(images).shape  # doctest: +SKIP
    (360, 10)
    """

    def __init__(self, path: Path, runtime):
        self.path, self.format = path, runtime.format
        self._runtime = runtime
        self.input_shape, self.input_type = runtime.input_shape, runtime.input_type

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

    def __call__(self, batch: np.ndarray):
        """Returns the outputs for one batch, computed in one run."""
        outputs = self._runtime(batch)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def predict(self, inputs: np.ndarray, batch_size: int = 32):
        """Returns the outputs for `inputs`, computed in batches.

        Args:
            inputs: `(n, ...)` floating point, also for a file that computes in integers.
            batch_size: Positive integer. A file with a fixed batch takes that.

        Returns:
            `(n, ...)`, or a dict of such where the model has several outputs.

        Raises:
            ValueError: If the inputs are not of the artefact's shape.
        """
        inputs = np.asarray(inputs)
        self._check(inputs)
        size = self._runtime.fixed_batch or _checks.integer("batch_size", batch_size)
        parts = []
        for start in range(0, len(inputs), size):
            batch = inputs[start : start + size]
            missing = size - len(batch) if self._runtime.fixed_batch else 0
            padded = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
            part = self._runtime(padded)
            parts.append({name: value[: len(batch)] for name, value in part.items()})
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def _check(self, inputs):
        expected, received = self.input_shape, inputs.shape
        fits = len(expected) == len(received) and all(
            size is None or size == given
            for size, given in zip(expected[1:], received[1:], strict=True)
        )
        if not fits or not len(inputs):
            shape = ("n", *("any" if size is None else size for size in expected[1:]))
            accepted = ", ".join(map(str, shape))
            raise ValueError(f"`inputs` must be ({accepted}). Received: shape {received}")


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
