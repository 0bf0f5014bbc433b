"""Every residual network in Keras 3: built, loaded, trained, searched and shipped."""

import importlib

from keras_residual import _needs, _startup

__version__ = "0.1.0"

_LAZY = ("analysis", "data", "export", "inference", "training", "tuning", "weights")

_LATER = {
    "preprocess": "weights",
    "decode_predictions": "weights",
    "predict": "inference",
    "Description": "_description",
}


def _public_names():
    models = importlib.import_module("keras_residual.models")
    return sorted([*models.__all__, *_LAZY, *_LATER, "layers", "models"])


def __getattr__(name):
    if name in _LAZY or name in ("layers", "models"):
        return importlib.import_module(f"keras_residual.{name}")
    if name in _LATER:
        return getattr(importlib.import_module(f"keras_residual.{_LATER[name]}"), name)
    if name == "__all__":
        return _public_names()
    if _startup.IS_COMMAND and not name.startswith("_") and name != "cli":
        models = importlib.import_module("keras_residual.models")
        if name in models.__all__:
            return getattr(models, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_public_names(), "__version__"]


# The command imports Keras when it needs it, so that `--help` answers at once. A program gets the
# layers registered with Keras by `import keras_residual`, and can load their files.
if not _startup.IS_COMMAND:
    try:
        import keras  # noqa: F401
    except ImportError as error:
        raise ImportError(_needs.explained(error), name=error.name) from error
    from keras_residual import layers, models  # noqa: F401
    from keras_residual.layers.saved_objects import register_saved_objects
    from keras_residual.models import *  # noqa: F403

    register_saved_objects()

    __all__ = _public_names()
