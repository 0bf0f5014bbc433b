import functools
from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.average_pool import downsampler
from keras_residual.layers.branches import BranchedConvolution
from keras_residual.layers.composite import Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.registration import registered

# The inner width is rounded to a multiple of the first and is at least the second.
_DIVISOR, _MINIMUM = 8, 32


@registered
class SplitAttention(BranchedConvolution):
    """A 3×3 convolution into several branches, combined by attention over them (ResNeSt).

    y = Σ s_i · x_i, where x_1, … are the splits of act(norm(conv(x))) and the weights are s =
    softmax(W2 · act(norm(W1 · mean(Σ x_i) + b1)) + b2), or a sigmoid for a single branch.

    Args:
        filters: Positive integer, number of output channels.
        branches: Positive integer, the radix. Defaults to `2`.
        ratio: Inner width of the attention as a fraction of the input channels of all branches,
            rounded to a multiple of 8, at least 32. Defaults to `1/4`.
        **kwargs: Those of `BranchedConvolution`.

    Raises:
        ValueError: If an argument is out of range, or `groups` does not divide the channels.

    Example:

    >>> keras.ops.shape(SplitAttention(8, strides=2)(keras.ops.ones((1, 6, 6, 4))))
    (1, 3, 3, 8)

    Reference:
        - [Zhang et al., 2020](https://arxiv.org/abs/2004.08955)
    """

    def __init__(self, filters: int, branches: int = 2, ratio: float = 1 / 4, **kwargs: Any):
        super().__init__(filters, branches, **kwargs)
        self.ratio = _checks.real("ratio", ratio, 0.0, 1.0, open_start=True)
        pools = self.blur_pool is not False
        self.blur = downsampler(self.blur_pool, self.strides, **self.sublayer_options())
        self.features = ConvNorm(
            self.filters * self.branches,
            3,
            1 if pools else self.strides,
            self.dilation_rate,
            self.groups * self.branches,
            name="features",
            **self.block_options(),
        )
        self.reduce = None
        self.select = Convolution(
            self.filters * self.branches,
            1,
            groups=self.groups,
            use_bias=True,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            name="select",
            **self.sublayer_options(),
        )

    @property
    def _blurs_first(self):
        return self.blur_pool == "average3_before"

    def plan(self, input_shape: Shape) -> Plan:
        if self.reduce is None:
            width = self.channels_of(input_shape) * self.branches * self.ratio
            width = max(_MINIMUM, int(width + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
            self.reduce = ConvNorm(
                width, 1, groups=self.groups, use_bias=True, name="reduce", **self.block_options(1)
            )
        before, after = (self.blur, None) if self._blurs_first else (None, self.blur)
        steps, shape = chain([before, self.features], input_shape)
        shape = self.shape_with(shape, channels=self.filters)
        ones = self.shape_with(shape, spatial=(1,) * (len(shape) - 2), channels=self.filters)
        attention, _ = chain([self.reduce, self.select], ones)
        last, shape = chain([after], shape)
        return [*steps, *attention, *last], shape

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.blur(inputs) if self.blur is not None and self._blurs_first else inputs
        x = self.features(x, training=training)
        parts = ops.split(x, self.branches, axis=self.channel_axis)
        inner = self.reduce(self.means(functools.reduce(self.add, parts)), training=training)
        shares = self.shares(self.select(inner), self.groups)
        parts = [part * share for part, share in zip(parts, shares, strict=True)]
        x = functools.reduce(self.add, parts)
        return x if self.blur is None or self._blurs_first else self.blur(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio}
