"""The weights of one layer of a recurrent highway network."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_residual._types import Shape, Tensor
from keras_residual.layers.composite import fresh_initializer


class RecurrentHighwayCell(keras.layers.Layer):
    """Holds a kernel of the inputs, and a recurrent kernel and a bias for each level of a step.

    In each the candidate, the transform gate and, if it is not coupled, the carry gate stand side
    by side. `RecurrentHighway` computes with them and documents the arguments.
    """

    def __init__(
        self,
        units: int,
        recurrence_depth: int,
        coupled: bool,
        transform_bias: float,
        use_bias: bool,
        dtype: Any = None,
        name: str | None = None,
        **of_keras: Any,
    ):
        super().__init__(dtype=dtype, name=name)
        self.units, self.recurrence_depth, self.coupled = units, recurrence_depth, coupled
        self.transform_bias, self.use_bias = transform_bias, use_bias
        self._of_keras = tuple(of_keras)
        for argument, value in of_keras.items():
            setattr(self, argument, value)

    def build(self, input_shape: Shape) -> None:
        width = self.units * (2 if self.coupled else 3)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], width),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        for level in range(self.recurrence_depth):
            kernel = self.add_weight(
                name=f"recurrent_kernel_{level}",
                shape=(self.units, width),
                initializer=fresh_initializer(self.recurrent_initializer, 100 * level),
                regularizer=self.recurrent_regularizer,
                constraint=self.recurrent_constraint,
            )
            setattr(self, f"recurrent_kernel_{level}", kernel)
        for level in range(self.recurrence_depth if self.use_bias else 0):
            bias = self.add_weight(
                name=f"bias_{level}",
                shape=(width,),
                initializer=self._bias_values,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            setattr(self, f"bias_{level}", bias)

    def _bias_values(self, shape: Shape, dtype: Any = None) -> Tensor:
        starts = (0.0, self.transform_bias, -self.transform_bias)[: shape[0] // self.units]
        starts = ops.convert_to_tensor(np.repeat(starts, self.units), dtype)
        return starts + self.bias_initializer(shape, dtype)

    @property
    def recurrent_kernels(self) -> tuple[keras.Variable, ...]:
        """The recurrent kernels, level by level."""
        return tuple(getattr(self, f"recurrent_kernel_{i}") for i in range(self.recurrence_depth))

    @property
    def biases(self) -> tuple[keras.Variable, ...]:
        """The biases, level by level; none without `use_bias`."""
        levels = range(self.recurrence_depth if self.use_bias else 0)
        return tuple(getattr(self, f"bias_{level}") for level in levels)

    def get_config(self) -> dict[str, Any]:
        plain = ("units", "recurrence_depth", "coupled", "transform_bias", "use_bias")
        config = {name: getattr(self, name) for name in plain}
        for name in self._of_keras:
            module = getattr(keras, f"{name.rsplit('_', 1)[-1]}s")
            config[name] = module.serialize(getattr(self, name))
        return {**super().get_config(), **config}
