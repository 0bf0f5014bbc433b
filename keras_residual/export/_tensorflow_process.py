"""The process that rebuilds a model of another backend on TensorFlow and exports it."""

import contextlib
import importlib
import pickle
import sys
from pathlib import Path

import keras
import numpy as np

from keras_residual._description import Description, describe
from keras_residual._words import first_line
from keras_residual.export._prepare import half_precision
from keras_residual.export._signature import named_outputs, structured
from keras_residual.export._tensorflow import ERRORS, STEP, NotRebuilt
from keras_residual.export.export import export as export_here

# Tolerance between two backends, relative to the norm of the outputs.
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 0.1


def _rebuilt(folder, job):
    for name in job.pop("modules"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    description = job.pop("description")
    inputs, expected = job.pop("compared"), job.pop("expected")
    try:
        model = keras.saving.load_model(folder / "model.keras", compile=False)
        layers = job["preprocessing"].items()
        job["preprocessing"] = {
            name: keras.saving.deserialize_keras_object(layer) for name, layer in layers
        } or None
    except Exception as error:
        raise NotRebuilt(first_line(error)) from error
    found = named_outputs(model.predict(structured(model, inputs), verbose=0)).values()
    tolerance = _TOLERANCE if half_precision(model) is None else _HALF_TOLERANCE
    for ours, theirs in zip(found, expected, strict=True):
        length = max(float(np.linalg.norm(theirs)), 1e-6)
        if not np.linalg.norm(np.asarray(ours) - theirs) <= tolerance * length:
            raise NotRebuilt("its outputs differ on TensorFlow")
    if description is not None:
        describe(model, Description.from_json(description, "the model"))
    return model


def main(folder: Path) -> None:
    """Runs the job in a folder and writes the result there."""
    job = pickle.loads((folder / "job").read_bytes())
    try:
        model = _rebuilt(folder, job)
        report = export_here(model, progress=lambda step: print(f"{STEP}{step}", flush=True), **job)
        result = {"rows": report.rows, "folding": report.folding}
    except NotRebuilt as error:
        result = {"not_rebuilt": str(error)}
    except tuple(ERRORS.values()) as error:
        known = next(name for name, kind in ERRORS.items() if isinstance(error, kind))
        result = {"error": known, "message": str(error)}
    (folder / "result").write_bytes(pickle.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
