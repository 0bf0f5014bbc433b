"""Files that a training writes when it ends."""

import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_residual import _description
from keras_residual._files import replacing, write_text
from keras_residual._words import counted

_PACKAGES = ("keras_residual", "keras", "tensorflow", "jax", "torch", "numpy")


def files_in(output: Path, pictures: Sequence[str] = ()) -> str:
    """Returns a line that lists the existing files of a training."""
    names = ("model.keras", "result.json", *pictures, "log.csv", "checkpoint.keras")
    there = [name for name in names if (output / name).exists()]
    return f"{output}/ holds {', '.join(there)}"


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a model, replacing an existing one."""
    with replacing(path) as partial:
        model.save(partial)
        if description := _description.described(model):
            _description.write_into(partial, description)


def write(path: Path, result: dict) -> None:
    """Writes a result with the date, the versions and the machine."""
    everything = {
        **result,
        "date": datetime.date.today().isoformat(),
        "backend": keras.backend.backend(),
        "machine": machine(),
        "versions": versions(),
    }
    write_text(path, json.dumps(everything, indent=2) + "\n")


def machine() -> str:
    """Returns a description of the accelerators, if any, and the number of CPU cores."""
    return ", ".join([*_accelerators(), counted(os.cpu_count(), "core"), platform.machine()])


def _accelerators():
    if keras.backend.backend() == "torch":
        cuda = sys.modules["torch"].cuda
        return [cuda.get_device_name(number) for number in range(cuda.device_count())]
    if keras.backend.backend() == "jax":
        devices = sys.modules["jax"].devices()
        return [device.device_kind for device in devices if device.platform != "cpu"]
    return [device for device in keras.distribution.list_devices() if "cpu" not in device]


def versions() -> dict[str, str]:
    """Returns the versions of the packages that a result depends on."""
    loaded = {name: sys.modules[name].__version__ for name in _PACKAGES if name in sys.modules}
    return {"python": platform.python_version(), **loaded}
