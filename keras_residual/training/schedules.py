"""Learning rate schedules that Keras does not have."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.registration import registered


@registered
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises linearly to its peak and falls linearly to 0.

    Args:
        peak: The maximal rate.
        steps: Total number of steps.
        rising: Number of steps in which the rate rises.

    Reference:
        - [Smith and Topin, 2018](https://arxiv.org/abs/1708.07120)
    """

    def __init__(self, peak: float, steps: int, rising: int):
        super().__init__()
        self.peak = _checks.real("peak", peak, 0, 1e6)
        self.steps = _checks.integer("steps", steps)
        self.rising = _checks.integer("rising", rising, 0, self.steps)

    def __call__(self, step: int | Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        up = (step + 1) / (self.rising + 1)
        down = (self.steps - step) / max(1, self.steps - self.rising)
        return self.peak * ops.clip(ops.minimum(up, down), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps, "rising": self.rising}


@registered
class Later(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that starts after some steps, for an optimizer whose step count continues.

    Args:
        schedule: The schedule.
        after: Number of steps before its first.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, after: int):
        super().__init__()
        self.schedule, self.after = schedule, after

    def __call__(self, step: int | Tensor) -> Tensor:
        return self.schedule(step - self.after)

    def get_config(self) -> dict[str, Any]:
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "after": self.after}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Later":
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["after"])


@registered
class Steps(keras.optimizers.schedules.PiecewiseConstantDecay):
    """Keras' piecewise constant rate after a constant or linear warmup.

    Args:
        boundaries: The steps after which the next value holds.
        values: The rates, one more than boundaries.
        warmup_steps: Number of steps of the warmup.
        warmup_rate: The rate of the first step.
        constant: Whether that rate is kept throughout the warmup, as by He et al.
        name: Name of the operation.
    """

    def __init__(
        self,
        boundaries: Sequence[int],
        values: Sequence[float],
        warmup_steps: int,
        warmup_rate: float,
        constant: bool = False,
        name: str = "Steps",
    ):
        boundaries = [
            _checks.integer("boundaries", item, 0)
            for item in _checks.items("boundaries", boundaries)
        ]
        values = _checks.reals("values", values, 0, 1e6)
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                "`values` must hold one number more than `boundaries`. "
                f"Received: values={values}, boundaries={boundaries}"
            )
        super().__init__(boundaries, values, name=name)
        self.warmup_steps = _checks.integer("warmup_steps", warmup_steps)
        self.warmup_rate = _checks.real("warmup_rate", warmup_rate, 0, 1e6)
        self.constant = _checks.boolean("constant", constant)

    def __call__(self, step: int | Tensor) -> Tensor:
        fraction = ops.cast(step, "float32") / self.warmup_steps
        risen = 0.0 if self.constant else fraction * (self.values[0] - self.warmup_rate)
        return ops.where(fraction < 1.0, self.warmup_rate + risen, super().__call__(step))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "warmup_steps": self.warmup_steps,
            "warmup_rate": self.warmup_rate,
            "constant": self.constant,
        }
