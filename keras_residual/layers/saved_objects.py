"""What saved files may hold besides layers, found by Keras before its room is imported.

`import keras_residual` registers the layers. Losses, metrics, learning rates and optimizers live in
rooms that are imported on first use; a file saved with one of them imports its room.
"""

import importlib
from typing import Any

import keras

from keras_residual.layers.registration import PACKAGE

CLASSES = {
    "training.ctc": ("CTC",),
    "training.error_rates": ("CharacterErrorRate", "WordErrorRate"),
    "training.layerwise": ("LayerwiseAdamW", "LayerwiseLamb", "LayerwiseSGD"),
    "training.losses": ("Accuracy", "CrossEntropy"),
    "training.schedules": ("Later", "OneCycle", "Steps"),
    "export.rewrite.fake_quantization": ("FakeQuantize", "QuantizedKernel"),
}
FUNCTIONS = {"analysis.image_quality": {"psnr": "batch_psnr"}}


def register_saved_objects() -> None:
    """Registers everything that is not imported yet; the real objects replace it when they are."""
    known = keras.saving.get_custom_objects()
    for module, names in CLASSES.items():
        for name in names:
            known.setdefault(f"{PACKAGE}>{name}", _class(module, name))
    for module, functions in FUNCTIONS.items():
        for title, name in functions.items():
            if f"{PACKAGE}>{title}" not in known:
                keras.saving.register_keras_serializable(PACKAGE, title)(_function(module, name))


def _found(module, name):
    return getattr(importlib.import_module(f"keras_residual.{module}"), name)


def _class(module, name):
    def from_config(config: dict[str, Any], **options: Any) -> Any:
        return _found(module, name).from_config(config, **options)

    return type(name, (), {"from_config": staticmethod(from_config)})


def _function(module, name):
    def later(*args: Any, **options: Any) -> Any:
        return _found(module, name)(*args, **options)

    later.__name__ = later.__qualname__ = name
    return later
