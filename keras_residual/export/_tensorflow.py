"""Exports models of another backend through TensorFlow, in a separate process.

Converters work on the backend's graph: those of JAX and PyTorch give files that are several times
as large and slow, or fail to convert. A model with a configuration can be rebuilt on TensorFlow
with the same weights, so that its files are the same from every backend.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_residual._words import first_line
from keras_residual.export._signature import named_outputs, rows_of, structured
from keras_residual.export.errors import ExportError
from keras_residual.weights import description_of

_COMPARED = 4
_PROCESS = "keras_residual.export._tensorflow_process"
ERRORS = {error.__name__: error for error in (ExportError, ValueError, ImportError, OSError)}


class NotRebuilt(Exception):
    """Raised when a model cannot be rebuilt on TensorFlow from its configuration."""


def needed(request) -> bool:
    """Returns whether a requested format needs TensorFlow while Keras runs on another backend."""
    elsewhere = keras.backend.backend() != "tensorflow"
    return elsewhere and any(row.needs_tensorflow for row in request.formats)


def export(model: keras.Model, request, arguments: dict[str, Any], directory: Path, progress):
    """Exports a model through TensorFlow and returns the report's rows and folding.

    Args:
        model: A functional model.
        request: What to write.
        arguments: The arguments of `export` that are passed on unchanged.
        directory: An empty folder for the files.
        progress: Called with a description of each step.

    Raises:
        NotRebuilt: If the model has no configuration, or its outputs differ on TensorFlow.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_job(model, request, arguments, folder, directory)
        command = [sys.executable, "-P", "-m", _PROCESS, str(folder)]
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        with (
            (folder / "errors").open("w+") as errors,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            ) as process,
        ):
            try:
                for line in process.stdout:
                    if line.startswith(STEP):
                        progress(line.removeprefix(STEP).rstrip("\n"))
            except BaseException:
                process.kill()
                raise
        return _result(folder)


STEP = "step: "


def _result(folder):
    result = folder / "result"
    if not result.exists():
        lines = (folder / "errors").read_text(errors="replace").strip().splitlines()
        raise ExportError(f"The export on TensorFlow ended ({(lines or ['no message'])[-1]}).")
    found = pickle.loads(result.read_bytes())
    if "not_rebuilt" in found:
        raise NotRebuilt(found["not_rebuilt"])
    if "error" in found:
        raise ERRORS.get(found["error"], ExportError)(found["message"])
    return found["rows"], found["folding"]


def _write_job(model, request, arguments, folder, directory):
    try:
        model.save(folder / "model.keras")
        layers = {
            name: keras.saving.serialize_keras_object(layer)
            for name, layer in request.preprocessing.items()
        }
    except Exception as error:
        raise NotRebuilt(first_line(error)) from error
    data = rows_of(request.representative_data, 0, _COMPARED)
    outputs = model.predict(structured(model, data.values()), verbose=0)
    description = description_of(model)
    job = {
        **arguments,
        "directory": directory,
        "formats": [row.name for row in request.formats if row.needs_tensorflow],
        "representative_data": request.representative_data,
        "evaluation_data": arguments["evaluation_data"]
        if request.fits
        else request.evaluation_data,
        "preprocessing": layers,
        "labels": request.labels,
        "compared": list(data.values()),
        "expected": [np.asarray(value) for value in named_outputs(outputs).values()],
        "description": None if description is None else description.to_json(),
        "modules": sorted(_modules(model)),
    }
    (folder / "job").write_bytes(pickle.dumps(job))


def _modules(model):
    """Yields the modules of third-party layers, whose import registers the layers."""
    for layer in model.layers:
        module = type(layer).__module__
        if module.split(".")[0] not in ("keras", "keras_residual", "__main__"):
            yield module
        if isinstance(layer, keras.Model):
            yield from _modules(layer)
