"""Every residual network in Keras 3: built, loaded, trained, searched and shipped."""

import importlib

from keras_residual import _startup, layers, models  # noqa: F401
from keras_residual.models import *  # noqa: F403

__version__ = "0.1.0"

_LAZY = ("analysis", "data", "export", "inference", "training", "tuning", "weights")

_LATER = {
    "preprocess": "weights",
    "decode_predictions": "weights",
    "predict": "inference",
    "Description": "_description",
}


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"keras_residual.{name}")
    if name in _LATER:
        return getattr(importlib.import_module(f"keras_residual.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*__all__, "__version__"]


__all__ = sorted(
    [
        *models.__all__,
        *_LAZY,
        *_LATER,
        *("layers", "models"),
    ]
)
