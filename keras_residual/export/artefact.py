"""An exported file or folder, run in its own runtime."""

import os
from pathlib import Path

import numpy as np

from keras_residual import _checks
from keras_residual.export.errors import ExportError
from keras_residual.export.litert import LiteRTRuntime
from keras_residual.export.saved_model import SavedModelRuntime


class Artefact:
    """An exported model: where it lies, how large it is, what it computes.

    `load` makes one.

    Attributes:
        path: The file or folder.
        format: `"saved_model"` or `"litert"`.
        input_shape: Shape of its input; `None` for sizes that may vary.

    Example:

    >>> load("runs/quickstart/model_int8.tflite").predict(images).shape  # doctest: +SKIP
    (360, 10)
    """

    def __init__(self, path: Path, format: str, runtime):
        self.path, self.format = path, format
        self._runtime = runtime
        self.input_shape = runtime.input_shape

    @property
    def bytes(self) -> int:
        """Size on disk."""
        files = self.path.rglob("*") if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files if file.is_file())

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
        path: A SavedModel's folder or a `.tflite` file.
        threads: Positive integer, number of threads of LiteRT. TensorFlow manages its own.

    Returns:
        An `Artefact`.

    Raises:
        ExportError: If there is nothing at `path`, or nothing that can be read.
        ImportError: If the runtime is not installed.
    """
    path = Path(path)
    _checks.integer("threads", threads)
    if not path.exists():
        raise ExportError(f"{path} does not exist.")
    if path.is_dir():
        return Artefact(path, "saved_model", SavedModelRuntime(path))
    if path.suffix == ".tflite":
        return Artefact(path, "litert", LiteRTRuntime(path, threads))
    raise ExportError(f"{path} must be the folder of a SavedModel or a .tflite file.")
