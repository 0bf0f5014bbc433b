"""The state of an optimizer, which goes along with inherited weights."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_residual.training.schedules import Later
from keras_residual.training.updates import slots_of

_KIND, _STEPS = "optimizer/kind", "optimizer/iterations"
# By what power of a weight's factor its slot shrinks: a gradient by the first, its square by the
# second.
_POWERS = {"momentum": 1, "velocity": 2}


def state_of(model: keras.Model, weights: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Returns the kind, the step and the moments of an optimizer as arrays by name.

    Args:
        model: A network; of one that has not been trained there is no state.
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
    """Whether an array's name is one of `state_of`."""
    return name.startswith("optimizer/")


class Continues(keras.callbacks.Callback):
    """Lets an optimizer go on with the moments of another when the training begins.

    The learning rate begins its schedule anew; the step that corrects the moments and the averages
    of weights for their start goes on. Another kind of optimizer begins anew.

    Args:
        state: What `state_of` returned for the network before.
        weights: The weights of the network by name, with their inherited values.
        carried: A function of `(name, arrays, power)` that returns an array of a weight before, of
            `arrays` by name, in the shape of the weight now: zero where nothing is inherited,
            divided by the weight's own factor to a power.
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
            # A trained network holds its averaged weights.
            return variable
        prefix = f"optimizer/{slot}/"
        arrays = {key.removeprefix(prefix): value for key, value in self.state.items()}
        return self.carried(name, arrays, _POWERS[slot])
