from typing import Any

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.blur_pool import BlurPool
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.norm_activation import norm_activation_of
from keras_residual.layers.pooling import average_pool
from keras_residual.layers.registration import registered


@registered
class DenseTransition(BlockLayer):
    """Between two dense blocks: normalization, activation, 1×1 convolution, 2×2 average pooling.

    The pooling drops the last row of an odd size, as the published networks do.

    Args:
        compression: Fraction of the channels to keep, in `(0, 1]`. Defaults to `0.5`.
        strides: `2`, or `1` for no pooling. Defaults to `2`.
        blur_pool: Whether to downsample by a blur, to `ceil(spatial / 2)`. Defaults to `False`.
        **kwargs: Those of `BlockLayer`.

    Returns:
        `(batch, *floor(spatial / strides), floor(compression · channels))`.

    Raises:
        ValueError: If an argument is out of range, or a spatial size is smaller than `strides`.

    Example:

    >>> keras.ops.shape(DenseTransition()(keras.ops.ones((1, 5, 4, 8))))
    (1, 2, 2, 4)

    Reference:
        - [Huang et al., 2017](https://arxiv.org/abs/1608.06993)
    """

    def __init__(
        self, compression: float = 0.5, strides: int = 2, blur_pool: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.compression = _checks.real("compression", compression, 0.0, 1.0)
        if self.compression == 0.0:
            raise ValueError(
                f"`compression` must be greater than 0. Received: compression={compression!r}"
            )
        self.strides = _checks.choice("strides", strides, (1, 2))
        self.norm1 = norm_activation_of(self, "norm1")
        self.conv1 = None
        self.blur_pool = _checks.boolean("blur_pool", blur_pool)
        self.blur = None
        if self.blur_pool and self.strides > 1:
            self.blur = BlurPool(self.strides, name="blur", **self.sublayer_options())

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        if self.conv1 is None:
            width = max(1, int(channels * self.compression))
            self.conv1 = ConvNorm(width, 1, name="conv1", **self.bare_options())
        steps, shape = chain([self.norm1, self.conv1, self.blur], input_shape)
        if self.blur is not None:
            return steps, shape
        self.strided(shape, self.strides)
        spatial = [None if n is None else n // self.strides for n in self.spatial_of(shape)]
        return steps, self.shape_with(shape, spatial=spatial, channels=self.conv1.conv.filters)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.conv1(self.norm1(inputs, training=training), training=training)
        if self.strides == 1:
            return x
        if self.blur is not None:
            return self.blur(x)
        return average_pool(x, 2, 2, "valid", self.channels_first)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "compression": self.compression,
            "strides": self.strides,
            "blur_pool": self.blur_pool,
        }
