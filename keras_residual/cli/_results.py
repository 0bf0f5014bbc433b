"""What a training says of itself when it is done."""

import datetime
import json
import os
import platform
import sys
from pathlib import Path

import keras
import numpy as np

from keras_residual import data
from keras_residual._files import replacing, write_text
from keras_residual.cli import _classifier

_PACKAGES = ("keras_residual", "keras", "tensorflow", "jax", "torch", "numpy")


def test_accuracy(model: keras.Model, dataset: data.Dataset, *options) -> float:
    """Returns the share of the dataset's test images that the model classifies rightly.

    Args:
        *options: As in `_classifier.held_out_batches`.
    """
    batches = _classifier.held_out_batches(dataset, *options)
    hits = [
        model.predict_on_batch(images).argmax(-1) == labels
        for images, labels in batches.as_numpy_iterator()
    ]
    return float(np.concatenate(hits).mean())


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a model, which takes the place of one that is there."""
    with replacing(path) as partial:
        model.save(partial)


def write(path: Path, result: dict) -> None:
    """Writes a result with the date, the versions and the machine it came from."""
    everything = {
        **result,
        "date": datetime.date.today().isoformat(),
        "backend": keras.backend.backend(),
        "machine": machine(),
        "versions": versions(),
    }
    write_text(path, json.dumps(everything, indent=2) + "\n")


def machine() -> str:
    """Returns the accelerators if there are any, and the number of cores."""
    return ", ".join([*_accelerators(), f"{os.cpu_count()} cores", platform.machine()])


def _accelerators():
    if keras.backend.backend() == "torch":
        cuda = sys.modules["torch"].cuda
        return [cuda.get_device_name(number) for number in range(cuda.device_count())]
    if keras.backend.backend() == "jax":
        devices = sys.modules["jax"].devices()
        return [device.device_kind for device in devices if device.platform != "cpu"]
    return [device for device in keras.distribution.list_devices() if "cpu" not in device]


def versions() -> dict[str, str]:
    """Returns the versions of the packages that computed."""
    loaded = {name: sys.modules[name].__version__ for name in _PACKAGES if name in sys.modules}
    return {"python": platform.python_version(), **loaded}
