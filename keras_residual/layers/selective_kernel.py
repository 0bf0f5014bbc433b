import functools
from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.branches import BranchedConvolution
from keras_residual.layers.composite import Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.registration import registered


@registered
class SelectiveKernel(BranchedConvolution):
    """3×3 convolutions of growing dilation, combined by attention channel by channel.

    y = Σ s_i · act(norm(conv_i(x))), where s = softmax(W2 · act(norm(W1 · mean(Σ …)))) has one
    weight for each branch and channel.

    Args:
        filters: Positive integer, number of output channels.
        ratio: Inner width of the selection as a fraction of `filters`. Defaults to `1/16`.
        divisor: The inner width is rounded to a multiple of it. Defaults to `1`.
        split_input: Whether the input channels are split over the branches, as in timm's
            SK-ResNet-18 and 34. Defaults to `False`.
        **kwargs: Those of `BranchedConvolution`.

    Raises:
        ValueError: If an argument is out of range, or `split_input` does not divide the channels.

    Example:

    >>> keras.ops.shape(SelectiveKernel(8, strides=2)(keras.ops.ones((1, 6, 6, 4))))
    (1, 3, 3, 8)

    Reference:
        - [Li et al., 2019](https://arxiv.org/abs/1903.06586)
    """

    def __init__(
        self,
        filters: int,
        branches: int = 2,
        ratio: float = 1 / 16,
        divisor: int = 1,
        split_input: bool = False,
        **kwargs: Any,
    ):
        super().__init__(filters, branches, **kwargs)
        self.ratio = _checks.real("ratio", ratio, 0.0, 1.0, open_start=True)
        self.divisor = _checks.integer("divisor", divisor)
        self.split_input = _checks.boolean("split_input", split_input)
        paths = [self.branch(i, self.filters, dilation=i + 1) for i in range(self.branches)]
        self.add_to_row("paths", paths)
        width = max(1, round(self.filters * self.ratio / self.divisor)) * self.divisor
        self.reduce = ConvNorm(width, 1, name="reduce", **self.block_options(self.branches))
        self.select = Convolution(
            self.filters * self.branches,
            1,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            name="select",
            **self.sublayer_options(),
        )

    @property
    def paths(self) -> list[ConvNorm]:
        """The branches in order."""
        return self.row("paths")

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        if self.split_input:
            if channels % self.branches:
                raise ValueError(
                    f"`split_input` needs channels that the {self.branches} branches divide. "
                    f"Received: split_input={self.split_input}, input_shape={input_shape}"
                )
            input_shape = self.shape_with(input_shape, channels=channels // self.branches)
        steps = [(path, input_shape) for path in self.paths]
        shape = tuple(self.paths[0].compute_output_shape(input_shape))
        ones = self.shape_with(shape, spatial=(1,) * (len(shape) - 2), channels=self.filters)
        return [*steps, *chain([self.reduce, self.select], ones)[0]], shape

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        parts = [inputs] * self.branches
        if self.split_input:
            parts = ops.split(inputs, self.branches, axis=self.channel_axis)
        parts = [
            path(part, training=training) for path, part in zip(self.paths, parts, strict=True)
        ]
        inner = self.reduce(self.means(functools.reduce(self.add, parts)), training=training)
        shares = self.shares(self.select(inner))
        parts = [part * share for part, share in zip(parts, shares, strict=True)]
        return functools.reduce(self.add, parts)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ratio": self.ratio,
            "divisor": self.divisor,
            "split_input": self.split_input,
        }
