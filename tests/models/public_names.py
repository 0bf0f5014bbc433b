"""The stubs that show the names of all models to type checkers and editors.

The names themselves come from the tables of variants, when the package is imported.
"""

import inspect
import re
from pathlib import Path

import keras_residual
from keras_residual import models
from keras_residual.models import factories, super_resolution
from keras_residual.models.registry import BUILDERS, VARIANTS

PACKAGE = Path(keras_residual.__file__).parent
_HEADER = "# Written by `python tests/write_tables.py`; do not edit.\n"
_TYPES = {"classifier": "Factory", "super_resolution": "UpscalerFactory"}


def _builder(name, function) -> str:
    """Returns the line that declares a builder: in full where a decorator adds arguments to it."""
    if not hasattr(function, "__signature__"):
        return f"from {function.__module__} import {name} as {name}"
    signature = inspect.signature(function).replace(return_annotation=inspect.Signature.empty)
    # What `typing` is called differs between versions of Python.
    arguments = str(signature).replace("Optional[Any]", "Any | None")
    arguments = re.sub(r"(?<![\w.])Any\b", "typing.Any", arguments)
    return f"def {name}{arguments} -> keras.Model: ..."


def _models_stub() -> str:
    lines = ["import collections.abc", "import typing", "", "import keras", ""]
    lines += [
        _builder(name, function)
        for name, function in sorted(BUILDERS.items(), key=lambda item: item[1].__module__)
    ]
    lines += [
        f"from {owner.__name__} import {name} as {name}"
        for owner, name in ((factories, "Factory"), (super_resolution, "UpscalerFactory"))
    ]
    lines += [
        f"from {models.get_model.__module__} import {name} as {name}"
        for name in ("get_model", "list_models")
    ]
    lines += [
        f"from {getattr(models, name).__module__} import {name} as {name}"
        for name in ("flat_view", "model_for", "pretrained_classifier")
    ]
    lines += [f"{name}: {_TYPES[variant.kind]}" for name, variant in sorted(VARIANTS.items())]
    return "\n".join([_HEADER, *lines, "", f"__all__ = {models.__all__}", ""])


def _package_stub() -> str:
    rooms = sorted(["layers", "models", *keras_residual._LAZY])
    lines = [f"from keras_residual import {room} as {room}" for room in rooms]
    lines += [f"from keras_residual.models import {name} as {name}" for name in models.__all__]
    lines += [
        f"from keras_residual.{room} import {name} as {name}"
        for name, room in sorted(keras_residual._LATER.items())
    ]
    lines += ["", "__version__: str"]
    return "\n".join([_HEADER, *lines, "", f"__all__ = {keras_residual.__all__}", ""])


def stubs() -> dict[Path, str]:
    """Returns the text of every stub by its path."""
    return {
        PACKAGE / "models" / "__init__.pyi": _models_stub(),
        PACKAGE / "__init__.pyi": _package_stub(),
    }
