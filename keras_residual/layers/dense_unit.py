from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.norm_activation import norm_activation_of
from keras_residual.layers.registration import registered


@registered
class DenseUnit(BlockLayer):
    """One step of a dense block: the new features computed from all earlier ones.

    F(x) = conv3×3(act(norm(conv1×1(act(norm(x)))))), the 1×1 convolution narrowing to
    `bottleneck · growth_rate` channels.

    Args:
        growth_rate: Positive integer, number of new channels.
        bottleneck: Non-negative integer, width of the 1×1 convolution in growth rates; `0` leaves
            it out. Defaults to `4`.
        dropout_rate: Dropout of the new features, in `[0, 1)`. Defaults to `0`.
        dilation_rate: Positive integer, dilation of the 3×3 convolution. Defaults to `1`.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether batch normalization uses batch statistics and dropout acts.

    Returns:
        `(batch, *spatial, growth_rate)`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Huang et al., 2017](https://arxiv.org/abs/1608.06993)
    """

    def __init__(
        self,
        growth_rate: int,
        bottleneck: int = 4,
        dropout_rate: float = 0.0,
        dilation_rate: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.growth_rate = _checks.integer("growth_rate", growth_rate)
        self.bottleneck = _checks.integer("bottleneck", bottleneck, minimum=0)
        self.dropout_rate = _checks.real("dropout_rate", dropout_rate, 0, 1, open_end=True)
        self.dilation_rate = _checks.integer("dilation_rate", dilation_rate)
        self.norm1 = norm_activation_of(self, "norm1")
        self.conv1 = None
        if self.bottleneck:
            width = self.bottleneck * self.growth_rate
            self.conv1 = ConvNorm(width, 1, name="conv1", **self.block_options())
        self.conv2 = ConvNorm(
            self.growth_rate,
            3,
            dilation_rate=self.dilation_rate,
            name="conv2",
            **self.bare_options(1),
        )
        self.dropout = None
        if self.dropout_rate:
            self.dropout = keras.layers.Dropout(
                self.dropout_rate, dtype=self.dtype_policy, name="dropout"
            )

    def plan(self, input_shape: Shape) -> Plan:
        return chain([self.norm1, self.conv1, self.conv2], input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.norm1(inputs, training=training)
        if self.conv1 is not None:
            x = self.conv1(x, training=training)
        x = self.conv2(x, training=training)
        return x if self.dropout is None else self.dropout(x, training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "growth_rate": self.growth_rate,
            "bottleneck": self.bottleneck,
            "dropout_rate": self.dropout_rate,
            "dilation_rate": self.dilation_rate,
        }
