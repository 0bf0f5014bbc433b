from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers.channel_gate import ChannelGate
from keras_residual.layers.composite import Plan, chain, checked_activation, fresh_initializer
from keras_residual.layers.registration import registered


@registered
class SqueezeExcite(ChannelGate):
    """Scales each channel by a gate computed from all channels' means.

    y = x · gate(W2 · act(W1 · mean(x) + b1) + b2), the mean taken over all positions.

    Args:
        ratio: Width of the inner layer as a fraction of the channels, in `(0, 1]`. Defaults to
            `1/16`.
        divisor: Positive integer; the inner width is rounded to a multiple of it. Defaults to `1`.
        width: Positive integer, the inner width itself, in place of both. Defaults to `None`.
        activation: Activation of the inner layer. Defaults to `"relu"`.
        gate_activation: Activation of the gate. Defaults to `"sigmoid"`.
        **kwargs: Those of `ChannelGate`.

    Reference:
        - [Hu et al., 2018](https://arxiv.org/abs/1709.01507)
    """

    def __init__(
        self,
        ratio: float = 1 / 16,
        divisor: int = 1,
        width: int | None = None,
        activation: Identifier | None = "relu",
        gate_activation: Identifier | None = "sigmoid",
        kernel_initializer: Identifier | None = None,
        kernel_regularizer: Identifier | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(kernel_initializer, kernel_regularizer, data_format, **kwargs)
        self.ratio = _checks.real("ratio", ratio, 0.0, 1.0)
        if self.ratio == 0.0:
            raise ValueError(f"`ratio` must be greater than 0. Received: ratio={ratio!r}")
        self.divisor = _checks.integer("divisor", divisor)
        self.width = width if width is None else _checks.integer("width", width)
        self.activation = checked_activation(activation)
        self.gate_activation = checked_activation(gate_activation, "gate_activation")
        self.reduce = self.expand = None

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        if self.reduce is None:
            steps = round(channels * self.ratio / self.divisor)
            width = self.width or max(1, steps) * self.divisor
            self.reduce = self._dense("reduce", width, self.activation, 0)
            self.expand = self._dense("expand", channels, self.gate_activation, 1)
        steps, _ = chain([self.reduce, self.expand], (input_shape[0], channels))
        return steps, input_shape

    def _dense(self, name, units, activation, index):
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=fresh_initializer(self.kernel_initializer, index),
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )

    def gate(self, means: Tensor) -> Tensor:
        return self.expand(self.reduce(means))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ratio": self.ratio,
            "divisor": self.divisor,
            "width": self.width,
            "activation": keras.activations.serialize(self.activation),
            "gate_activation": keras.activations.serialize(self.gate_activation),
        }
