"""Optimizers with a learning rate factor for every variable."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.registration import registered

# Names of TensorFlow variables end with a number.
WITHOUT_DECAY = r"(gamma|beta|bias)(_\d+)?(:\d+)?$"


class _Layerwise:
    """Multiplies the learning rate of each variable, and with it the weight decay.

    Keras' optimizers have one rate for all variables. Adam, which normalizes gradients, would undo
    scaling them; so the rate itself is scaled in the update of a variable, which works for every
    optimizer and backend.
    """

    def __init__(self, *args: Any, factors: Sequence[Any] = (), decay: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.factors = [
            _checks.reals("factors", factor, 0, 1e6)
            if np.iterable(factor)
            else _checks.real("factors", factor, 0, 1e6)
            for factor in _checks.items("factors", factors)
        ]
        self.decay = _checks.real("decay", decay, 0, 1e6)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if not self.built and len(variables) != len(self.factors):
            raise ValueError(
                "`factors` must hold one number for each trainable variable. "
                f"Received: {len(self.factors)} factors for {len(variables)} variables"
            )
        super().build(variables)
        self._decays = [re.search(WITHOUT_DECAY, variable.name) is None for variable in variables]

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        index = self._get_variable_index(variable)
        rate = keras.ops.cast(learning_rate, variable.dtype) * self._factor(index, variable)
        if self.decay and self._decays[index]:
            self.assign_sub(variable, variable * (rate * self.decay))
        super().update_step(gradient, variable, rate)

    def _factor(self, index, variable):
        """Returns the factor of a variable, or one for each entry of its first axis."""
        factor = np.asarray(self.factors[index], "float32")
        if factor.ndim:
            factor = factor.reshape(-1, *[1] * (len(variable.shape) - 1))
        return keras.ops.cast(factor, variable.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factors": self.factors, "decay": self.decay}


@registered
class LayerwiseSGD(_Layerwise, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with a learning rate for each variable.

    Args:
        *args: Those of `keras.optimizers.SGD`, and its keyword arguments.
        factors: The factor of the learning rate for each trainable variable, in order: a number, or
            one for each entry of its first axis (for stacked blocks).
        decay: Decoupled weight decay of all variables except biases and the scales and shifts of
            normalizations; multiplied by the variable's learning rate.

    Example:

    >>> kernel = keras.Variable([1.0, 1.0], name="kernel")
    >>> optimizer = LayerwiseSGD(0.1, factors=[[1.0, 0.5]])
    >>> optimizer.apply([keras.ops.ones(2)], [kernel])
    >>> keras.ops.convert_to_numpy(kernel)
    array([0.9 , 0.95], dtype=float32)
    """


@registered
class LayerwiseAdamW(_Layerwise, keras.optimizers.Adam):
    """Adam with decoupled weight decay and a learning rate for each variable.

    Args:
        *args: Those of `keras.optimizers.Adam`, and its keyword arguments.
        factors: See `LayerwiseSGD`.
        decay: See `LayerwiseSGD`.
    """


@registered
class LayerwiseLamb(_Layerwise, keras.optimizers.Lamb):
    """`keras.optimizers.Lamb` with a learning rate for each variable.

    Args:
        *args: Those of `keras.optimizers.Lamb`, and its keyword arguments.
        factors: See `LayerwiseSGD`.
        decay: See `LayerwiseSGD`.
    """


LAYERWISE = {"sgd": LayerwiseSGD, "adamw": LayerwiseAdamW, "lamb": LayerwiseLamb}
