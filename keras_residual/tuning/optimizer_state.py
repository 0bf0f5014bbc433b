"""Saves and restores the optimizer state that belongs to inherited weights."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_residual.training.schedules import Later
from keras_residual.training.updates import slots_of

_KIND, _STEPS = "optimizer/kind", "optimizer/iterations"
# Power of the gradient that each slot averages.
_POWERS = {"momentum": 1, "velocity": 2}


def state_of(model: keras.Model, weights: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Returns the kind, the step and the moments of an optimizer as arrays by name.

    Args:
        model: A network; an untrained one has no state.
        weights: Its weights by name.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return {}
    state = {
        _KIND: np.array(type(optimizer).__name__),
        _STEPS: keras.ops.convert_to_numpy(optimizer.iterations),
    }
    slots = slots_of(optimizer, weights.values())
    for name, variable in weights.items():
        for slot, value in slots.get(id(variable), {}).items():
            state[f"optimizer/{slot}/{name}"] = keras.ops.convert_to_numpy(value)
    return state


def is_state(name: str) -> bool:
    """Returns whether an array of this name belongs to the optimizer's state."""
    return name.startswith("optimizer/")


class Continues(keras.callbacks.Callback):
    """Restores the moments of the parent's optimizer when training begins.

    The learning-rate schedule starts from the beginning, while the step count used for bias
    correction continues. An optimizer of another kind starts fresh.

    Args:
        state: The state of the parent's optimizer, from `state_of`.
        weights: The weights of the network by name, with their inherited values.
        carried: A function of `(name, arrays, power)` that returns the parent's array for a weight
            in the shape of the new weight, see `Inheritance.carried`.
    """

    def __init__(
        self,
        state: Mapping[str, np.ndarray],
        weights: Mapping[str, keras.Variable],
        carried: Callable[[str, Mapping[str, np.ndarray], int], np.ndarray],
    ):
        super().__init__()
        self.state, self.weights, self.carried = state, weights, carried
        self.is_continued = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        steps = int(self.state.get(_STEPS, 0))
        if not steps or str(self.state[_KIND]) != type(optimizer).__name__:
            return
        slots = slots_of(optimizer, self.weights.values())
        if not slots:
            return
        for name, variable in self.weights.items():
            for slot, target in slots.get(id(variable), {}).items():
                target.assign(self._value(slot, name, variable))
        schedule = optimizer.get_config()["learning_rate"]
        if isinstance(schedule, Mapping):
            schedule = keras.optimizers.schedules.deserialize(schedule)
            optimizer.learning_rate = Later(schedule, steps)
        optimizer.iterations.assign(steps)
        self.is_continued = True

    def _value(self, slot, name, variable):
        if slot not in _POWERS:
            # The weights of a trained network are the averaged ones.
            return variable
        prefix = f"optimizer/{slot}/"
        arrays = {key.removeprefix(prefix): value for key, value in self.state.items()}
        return self.carried(name, arrays, _POWERS[slot])
