"""The name of this package in saved files; it never changes."""

from typing import TypeVar

import keras

PACKAGE = "keras_residual"
_Object = TypeVar("_Object")


def registered(value: _Object) -> _Object:
    """Registers a class or function with Keras, so that saved files find it; a decorator."""
    return keras.saving.register_keras_serializable(package=PACKAGE)(value)
