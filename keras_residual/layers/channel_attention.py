import math
from typing import Any

from keras import ops

from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers.channel_gate import ChannelGate
from keras_residual.layers.composite import Plan
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.registration import registered


@registered
class EfficientChannelAttention(ChannelGate):
    """Scales each channel by a gate computed from the means of its neighbours (ECA).

    y = x · sigmoid(conv1d(mean(x))), the convolution running over the channels with a kernel of
    |log2(channels) + 1| / 2 steps, the next odd number, at least 3.

    Args:
        **kwargs: Those of `ChannelGate`.

    Reference:
        - [Wang et al., 2020](https://arxiv.org/abs/1910.03151)
    """

    def __init__(
        self,
        kernel_initializer: Identifier | None = None,
        kernel_regularizer: Identifier | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(kernel_initializer, kernel_regularizer, data_format, **kwargs)
        self.conv = None

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        if self.conv is None:
            steps = int(abs(math.log2(channels) + 1) / 2)
            self.conv = Convolution(
                1,
                max(steps + 1 - steps % 2, 3),
                kernel_initializer=self.kernel_initializer,
                kernel_regularizer=self.kernel_regularizer,
                data_format="channels_last",
                dtype=self.dtype_policy,
                name="conv",
            )
        return [(self.conv, (input_shape[0], channels, 1))], tuple(input_shape)

    def gate(self, means: Tensor) -> Tensor:
        return ops.sigmoid(self.conv(ops.expand_dims(means, -1)))
