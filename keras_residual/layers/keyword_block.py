from typing import Any

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.norm_activation import norm_activation_of
from keras_residual.layers.registration import registered


@registered
class KeywordBlock(BlockLayer):
    """The residual block of Tang and Lin's networks, which normalizes after the addition.

    y = x + act(conv(norm(act(conv(norm(x)))))); the normalizations have no scale and no offset, and
    the convolutions no bias.

    Args:
        filters: Positive integer, the number of channels, which the input has too.
        dilation_rates: The dilations of both convolutions. Defaults to `(1, 1)`.
        normalize_input: Whether the input of the first convolution is normalized. Defaults to
            `True`.
        **kwargs: Those of `BlockLayer`.

    Returns:
        Same shape as the inputs.

    Raises:
        ValueError: If an argument is out of range, or the input has other channels.

    Reference:
        - [Tang and Lin, 2018](https://arxiv.org/abs/1710.10361)

    Example:

    >>> keras.ops.shape(KeywordBlock(4)(keras.ops.ones((1, 9, 8, 4))))
    (1, 9, 8, 4)
    """

    def __init__(
        self,
        filters: int,
        dilation_rates: tuple[int, int] = (1, 1),
        normalize_input: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = _checks.integer("filters", filters)
        self.dilation_rates = _checks.integers("dilation_rates", dilation_rates)
        if len(self.dilation_rates) != 2:
            raise ValueError(
                "`dilation_rates` must hold one integer for each of two convolutions. "
                f"Received: dilation_rates={dilation_rates!r}"
            )
        self.normalize_input = _checks.boolean("normalize_input", normalize_input)
        self.prelu = None
        self.norm1 = bare_norm(self, "norm1") if self.normalize_input else None
        self.conv1 = self._convolution(0)
        self.norm2 = bare_norm(self, "norm2")
        self.conv2 = self._convolution(1)

    def _convolution(self, index):
        options = {**self.bare_options(index), "activation": self.activation}
        return ConvNorm(
            self.filters,
            3,
            dilation_rate=self.dilation_rates[index],
            name=f"conv{index + 1}",
            **options,
        )

    def plan(self, input_shape: Shape) -> Plan:
        if self.channels_of(input_shape) != self.filters:
            raise ValueError(
                "`filters` must be the number of the input's channels. "
                f"Received: filters={self.filters}, input_shape={input_shape}"
            )
        return chain([self.norm1, self.conv1, self.norm2, self.conv2], input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = inputs if self.norm1 is None else self.norm1(inputs, training=training)
        x = self.norm2(self.conv1(x), training=training)
        return self.add(inputs, self.conv2(x))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "dilation_rates": self.dilation_rates,
            "normalize_input": self.normalize_input,
        }


def bare_norm(block: BlockLayer, name: str):
    """Returns a batch normalization without scale and offset."""
    return norm_activation_of(block, name, activation=None, affine=False)
