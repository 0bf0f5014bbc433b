from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.registration import registered
from keras_residual.layers.sub_spectral_normalization import SubSpectralNormalization


@registered
class BroadcastedResidualBlock(BlockLayer):
    """A residual block that does most of its work along time, on the mean over frequencies.

    y = act(x + f2(x) + broadcast(f1(mean(f2(x))))): f2 is a depthwise convolution along the
    frequencies with sub-spectral normalization; f1 a depthwise one along time, a normalization, a
    Swish, a 1×1 convolution and dropout of whole channels. The result of f1 is added at every
    frequency. Where the shape changes, x itself is not added, and a 1×1 convolution changes the
    number of channels first. `normalization` applies to all convolutions but the one along the
    frequencies.

    Args:
        filters: Positive integer, number of output channels.
        strides: Positive integer, strides of the frequencies. Defaults to `1`.
        dilation_rate: Positive integer, dilation along time. Defaults to `1`.
        sub_bands: Positive integer that divides the output's frequencies. Defaults to `5`.
        dropout_rate: Dropout of f1's channels, in `[0, 1)`. Defaults to `0.1`.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, time, frequencies, channels)`, floating point.
        training: Whether normalization uses batch statistics and dropout acts.

    Returns:
        `(batch, time, ceil(frequencies / strides), filters)`.

    Raises:
        ValueError: If an argument is out of range, or `sub_bands` does not divide the frequencies.

    Reference:
        - [Kim et al., 2021](https://arxiv.org/abs/2106.04140)

    Example:

    >>> keras.ops.shape(BroadcastedResidualBlock(8, 2)(keras.ops.ones((1, 9, 20, 4))))
    (1, 9, 10, 8)
    """

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        dilation_rate: int = 1,
        sub_bands: int = 5,
        dropout_rate: float = 0.1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = _checks.integer("filters", filters)
        self.strides = _checks.integer("strides", strides)
        self.dilation_rate = _checks.integer("dilation_rate", dilation_rate)
        self.sub_bands = _checks.integer("sub_bands", sub_bands)
        self.dropout_rate = _checks.real("dropout_rate", dropout_rate, 0, 1, open_end=True)
        self.prelu = None
        self.expand = None
        depthwise = {"groups": self.filters}
        self.frequency_conv = ConvNorm(
            self.filters,
            (1, 3),
            strides=(1, self.strides),
            name="frequency_conv",
            **depthwise,
            **{**self.bare_options(1), "use_bias": False},
        )
        self.sub_spectral = SubSpectralNormalization(
            self.sub_bands,
            self.norm_momentum,
            self.norm_epsilon,
            name="sub_spectral",
            **self.sublayer_options(),
        )
        self.time_conv = ConvNorm(
            self.filters,
            (3, 1),
            dilation_rate=self.dilation_rate,
            name="time_conv",
            **depthwise,
            **{**self.block_options(2), "activation": "silu"},
        )
        self.pointwise = ConvNorm(
            self.filters,
            1,
            name="pointwise",
            **{**self.bare_options(3), "use_bias": False},
        )
        self.dropout = None
        if self.dropout_rate:
            self.dropout = keras.layers.SpatialDropout2D(
                self.dropout_rate, name="dropout", **self.sublayer_options()
            )

    @property
    def _frequency_axis(self):
        return 3 if self.channels_first else 2

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        if len(input_shape) != 4:
            raise ValueError(
                f"BroadcastedResidualBlock {self.name!r} takes spectrograms, (batch, time, "
                f"frequencies, channels). Received: input_shape={input_shape}"
            )
        if channels != self.filters and self.expand is None:
            self.expand = ConvNorm(self.filters, 1, name="expand", **self.block_options())
        steps, shape = chain([self.expand, self.frequency_conv, self.sub_spectral], input_shape)
        mean = [*shape]
        mean[self._frequency_axis] = 1
        return [*steps, *chain([self.time_conv, self.pointwise], tuple(mean))[0]], shape

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = inputs if self.expand is None else self.expand(inputs, training=training)
        x = self.frequency_conv(x)
        x = self.sub_spectral(x, training=training)
        y = ops.mean(x, axis=self._frequency_axis, keepdims=True)
        y = self.pointwise(self.time_conv(y, training=training))
        if self.dropout is not None:
            y = self.dropout(y, training=training)
        x = self.add(x, y)
        if self.expand is None and self.strides == 1:
            x = self.add(x, inputs)
        return self.activate(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "dilation_rate": self.dilation_rate,
            "sub_bands": self.sub_bands,
            "dropout_rate": self.dropout_rate,
        }
