"""Initializers, regularizers, constraints and activations that Keras knows by name."""

from typing import Any

import keras


def from_keras(name: str, value: Any) -> Any:
    """Returns what Keras means by `value`; the last word of `name` says what kind it is of."""
    kind = name.rsplit("_", 1)[-1]
    try:
        return getattr(keras, f"{kind}s").get(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`{name}` must be a Keras {kind}: a name, a config, an instance, a callable or None. "
            f"Received: {name}={value!r}"
        ) from error
