from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers import _normalization
from keras_residual.layers.average_pool import DOWNSAMPLING, downsampler
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.parametric_relu import learned
from keras_residual.layers.registration import registered
from keras_residual.layers.strides import check_equal, downsamples


@registered
class ConvNorm(BlockLayer):
    """Convolution → normalization → activation, over one to three spatial axes.

    y = act(norm(conv(x))). With `blur_pool` a strided convolution runs without strides and a
    `BlurPool` after the activation downsamples instead.

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Positive integer, or a tuple with one for each spatial axis.
        strides: Positive integer, or a tuple with one for each spatial axis. Defaults to `1`.
        dilation_rate: Positive integer. Defaults to `1`.
        groups: Positive integer that divides the input and output channels. Defaults to `1`.
        use_bias: Whether the convolution has a bias; `None` means only without normalization.
        normalization: `"batch"`; `"group"`, as many groups as the largest power of two up to 32
            that divides the channels; `"layer"`, over the channels of each position; `"evonorm"`,
            EvoNorm-S0, which includes an activation; `"none"`; or `"folded"`: a bias in place of a
            batch normalization that `export.fold` folded into the kernel. Defaults to `"batch"`.
        zero_gamma: Whether the normalization's scale starts at zero. Defaults to `False`.
        blur_pool: What downsamples in place of strides: `True`, a blur after the activation;
            `"average"` or `"average3"`, 2×2 or 3×3 average pooling there; or
            `"average3_before"`, the latter before the convolution. Defaults to `False`.
        space_to_depth: Whether a stride-2 convolution is computed over 2×2 blocks; not together
            with `blur_pool`.
        **kwargs: Those of `BlockLayer`.

    Returns:
        `(batch, *ceil(spatial / strides), filters)`.

    Raises:
        ValueError: If an argument is out of range, or `groups` does not divide the channels.

    Example:

    >>> keras.ops.shape(ConvNorm(8, 3, strides=2)(keras.ops.ones((1, 5, 5, 3))))
    (1, 3, 3, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...] = 3,
        strides: int | tuple[int, ...] = 1,
        dilation_rate: int = 1,
        groups: int = 1,
        use_bias: bool | None = None,
        zero_gamma: bool = False,
        blur_pool: bool = False,
        space_to_depth: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.use_bias = use_bias
        self.zero_gamma = _checks.boolean("zero_gamma", zero_gamma)
        self.blur_pool = _checks.choice("blur_pool", blur_pool, DOWNSAMPLING)
        kind = self.normalization
        _checks.effective(
            "zero_gamma", zero_gamma, False, kind != "none", "a normalization", normalization=kind
        )
        if _checks.boolean("space_to_depth", space_to_depth) and self.blur_pool:
            raise ValueError(
                "`space_to_depth` needs a strided convolution, which `blur_pool` replaces. "
                f"Received: space_to_depth={space_to_depth!r}, blur_pool={self.blur_pool!r}"
            )
        self.strides = _checks.per_axis("strides", strides)
        blurred = self.blur_pool is not False and downsamples(self.strides)
        if blurred:
            check_equal(self.strides, "blur_pool", self.blur_pool)
        folded = self.normalization == "folded"
        biased = self.normalization == "none" if use_bias is None else use_bias
        self.conv = Convolution(
            filters,
            kernel_size,
            strides=1 if blurred else self.strides,
            dilation_rate=dilation_rate,
            groups=groups,
            use_bias=folded or biased,
            space_to_depth=space_to_depth,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            weight_standardization=self.weight_standardization,
            name="conv",
            **self.sublayer_options(),
        )
        gamma = {"gamma_initializer": "zeros"} if self.zero_gamma else {}
        self.norm = None
        if not folded:
            self.norm = self.make_norm(self.conv.filters, **gamma)
        self.prelu = learned(self.activation, **self.sublayer_options())
        self.blur = downsampler(self.blur_pool, self.strides, **self.sublayer_options())

    def plan(self, input_shape: Shape) -> Plan:
        if self._blurs_first:
            return chain([self.blur, self.conv, self.norm, self.prelu], input_shape)
        return chain([self.conv, self.norm, self.prelu, self.blur], input_shape)

    @property
    def _blurs_first(self):
        return self.blur is not None and self.blur_pool == "average3_before"

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.conv(self.blur(inputs) if self._blurs_first else inputs)
        if self.norm is not None:
            x = _normalization.apply(self.norm, x, training, self.activation)
        x = self.activate(x)
        return x if self.blur is None or self._blurs_first else self.blur(x)

    def part_name(self, part: keras.layers.Layer) -> str:
        return "" if part is self.conv else part.name

    def get_config(self) -> dict[str, Any]:
        conv = self.conv.get_config()
        inherited = (
            "filters",
            "kernel_size",
            "dilation_rate",
            "groups",
            "space_to_depth",
        )
        return {
            **super().get_config(),
            **{key: conv[key] for key in inherited},
            "strides": self.strides,
            "use_bias": self.use_bias,
            "zero_gamma": self.zero_gamma,
            "blur_pool": self.blur_pool,
        }
