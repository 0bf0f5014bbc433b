from typing import Any

import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers import _normalization
from keras_residual.layers.average_pool import DOWNSAMPLING, downsampler
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.pooling import average_pool
from keras_residual.layers.registration import registered
from keras_residual.layers.strides import check_equal, downsamples, for_each_axis

KINDS = (
    "projection",
    "strided",
    "conv3",
    "pad",
    "pooled_pad",
    "pooled",
    "shifted",
    "half",
    "identity",
    "none",
)
_PADDED = ("pad", "pooled_pad")


@registered
class Shortcut(BlockLayer):
    """The shortcut of a residual block: the identity where shapes agree, else as `kind` says.

    - `"projection"`: a strided 1×1 convolution with normalization (option B of the paper).
    - `"strided"`: the same, and strided even with `blur_pool`.
    - `"conv3"`: a 3×3 convolution instead, if strided (SENet-154).
    - `"pad"`: every `strides`-th position, with new channels of zeros on both sides of the old
      ones (option A; no parameters).
    - `"pooled_pad"`: 2×2 average pooling, with new channels of zeros after the old ones
      (PyramidNet; no parameters).
    - `"pooled"`: 2×2 average pooling without padding, then a 1×1 convolution (ResNet-D).
    - `"shifted"`: two concatenated 1×1 convolutions of half the channels, one of every
      `strides`-th position and one of the positions before these, then a normalization
      (Shake-Shake).
    - `"half"`: only the first half of the channels has a shortcut, from the first half of the
      input's: the identity, or a strided 1×1 convolution where shapes differ (RiR).
    - `"identity"`: no shortcut where shapes differ (RegNetZ).
    - `"none"`: no shortcut at all (a plain network); called by itself it returns zeros.

    Args:
        filters: Positive integer, number of output channels.
        strides: Positive integer, or a tuple with one for each spatial axis. Defaults to `1`.
        kind: One of the above. Defaults to `"projection"`.
        activation: Activation after a projection. Defaults to `None`.
        normalize_identity: Whether an identity is normalized too, as in the time series network of
            Wang et al. Defaults to `False`.
        blur_pool: What downsamples for a `"projection"` in place of its strides, see `ConvNorm`;
            `"pad"` still takes every `strides`-th position, and `"pooled"` averages. Defaults to
            `False`.
        use_bias: Whether a projection has a bias. Defaults to `False`.
        **kwargs: Those of `BlockLayer`.

    Returns:
        `(batch, *ceil(spatial / strides), filters)`.

    Raises:
        ValueError: If `kind` is unknown, `"pad"` would have to shrink the channels, or `"pooled"`
            has strides above 2.

    Example:

    >>> keras.ops.shape(Shortcut(8, strides=2, kind="pad")(keras.ops.ones((1, 4, 4, 6))))
    (1, 2, 2, 8)

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385), section 3.3
        - [He et al., 2018](https://arxiv.org/abs/1812.01187), `"pooled"`
        - [Gastaldi, 2017](https://arxiv.org/abs/1705.07485), `"shifted"`
        - [Targ et al., 2016](https://arxiv.org/abs/1603.08029), `"half"`
        - [Wang et al., 2017](https://arxiv.org/abs/1611.06455), `normalize_identity`
    """

    def __init__(
        self,
        filters: int,
        strides: int | tuple[int, ...] = 1,
        kind: str = "projection",
        normalize_identity: bool = False,
        blur_pool: bool = False,
        use_bias: bool = False,
        activation: Identifier | None = None,
        **kwargs: Any,
    ):
        super().__init__(activation=activation, **kwargs)
        self.filters = _checks.integer("filters", filters)
        self.strides = _checks.per_axis("strides", strides)
        self._strided = downsamples(self.strides)
        self.kind = _checks.choice("kind", kind, KINDS)
        if self.kind in ("pooled", "pooled_pad") and np.max(self.strides) > 2:
            raise ValueError(
                f'`strides` of a "{self.kind}" shortcut must be 1 or 2. '
                f"Received: strides={self.strides}, kind={self.kind!r}"
            )
        self.normalize_identity = _checks.boolean("normalize_identity", normalize_identity)
        self.blur_pool = _checks.choice("blur_pool", blur_pool, DOWNSAMPLING)
        if self._strided and self.blur_pool is not False and self.kind == "projection":
            check_equal(self.strides, "blur_pool", self.blur_pool)
        self.use_bias = _checks.boolean("use_bias", use_bias)
        self.blur = self.conv = self.shifted = self.norm = None

    def is_identity(self, input_shape: Shape) -> bool:
        """Returns whether the shortcut is the identity."""
        same = not self._strided and self.channels_of(input_shape) == self.filters
        return same and self.kind != "none" and not self.normalize_identity

    def is_absent(self, input_shape: Shape) -> bool:
        """Returns whether there is no shortcut, so that the block is its residual function."""
        same = not self._strided and self.channels_of(input_shape) == self.filters
        return self.kind == "none" or (self.kind == "identity" and not same)

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        output_shape = self.shape_with(
            input_shape, spatial=self.strided(input_shape, self.strides), channels=self.filters
        )
        if self.kind in _PADDED and channels > self.filters:
            raise ValueError(
                f'`shortcut="{self.kind}"` can only add channels. '
                f"Received: filters={self.filters} for an input with {channels} channels"
            )
        if self.kind == "half":
            return self._plan_half(input_shape, output_shape)
        if self.is_absent(input_shape) or self.is_identity(input_shape):
            return [], output_shape
        if not self._strided and channels == self.filters:
            self.norm = self.norm or self.make_norm(channels)
            return chain([self.norm], input_shape)
        if self.kind in _PADDED:
            return [], output_shape
        return self._plan_projection(input_shape, output_shape)

    def _plan_projection(self, input_shape, output_shape):
        if self.kind == "shifted":
            return self._plan_shifted(input_shape, output_shape)
        pooled = self.kind == "pooled" and self._strided
        if self.conv is None:
            if self.kind == "projection":
                self.blur = downsampler(self.blur_pool, self.strides, **self.sublayer_options())
            blurred = self.blur is not None
            self.conv = self._make_projection(1 if pooled or blurred else self.strides)
        if pooled:
            channels = self.channels_of(input_shape)
            spatial = self.spatial_of(output_shape)
            input_shape = self.shape_with(input_shape, spatial=spatial, channels=channels)
        return chain([self.blur, self.conv], input_shape)

    def _plan_half(self, input_shape, output_shape):
        channels = self.channels_of(input_shape)
        if channels % 2 or self.filters % 2:
            raise ValueError(
                '`shortcut="half"` needs even numbers of channels. '
                f"Received: filters={self.filters} for an input with {channels} channels"
            )
        if not self._strided and channels == self.filters:
            return [], output_shape
        if self.conv is None:
            self.conv = self._make_projection(self.strides, self.filters // 2)
        taken = self.shape_with(input_shape, channels=channels // 2)
        return chain([self.conv], taken)[0], output_shape

    def _plan_shifted(self, input_shape, output_shape):
        if self.conv is None:
            half = self.filters // 2
            bare = [{**self.bare_options(index), "use_bias": self.use_bias} for index in (0, 1)]
            self.conv = ConvNorm(self.filters - half, 1, name="conv", **bare[0])
            self.shifted = ConvNorm(half, 1, name="shifted", **bare[1]) if half else None
            self.norm = self.make_norm(self.filters)
        taken = self.shape_with(output_shape, channels=self.channels_of(input_shape))
        steps = [(layer, taken) for layer in (self.conv, self.shifted) if layer is not None]
        return steps + chain([self.norm], output_shape)[0], output_shape

    def _make_projection(self, strides, filters=None):
        return ConvNorm(
            filters or self.filters,
            kernel_size=3 if self.kind == "conv3" and downsamples(strides) else 1,
            strides=strides,
            use_bias=self.use_bias,
            name="conv",
            **self.block_options(),
        )

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self.is_absent(tuple(inputs.shape)):
            return ops.zeros(self._sizes(inputs), dtype=inputs.dtype)
        if self.kind == "half":
            x = self.channels_from(inputs, 0, inputs.shape[self.channel_axis] // 2)
            return self._pad(x if self.conv is None else self.conv(x, training=training))
        if self.conv is not None and self.kind == "shifted":
            return self._call_shifted(inputs, training)
        if self.conv is not None:
            if self.kind == "pooled" and self._strided:
                inputs = self._average(inputs)
            x = inputs if self.blur is None else self.blur(inputs)
            return self.conv(x, training=training)
        if self.norm is not None:
            return _normalization.apply(self.norm, inputs, training)
        if self.is_identity(tuple(inputs.shape)):
            return inputs
        if self.kind == "pooled_pad":
            return self._pad(self._average(inputs) if self._strided else inputs)
        return self._pad(self._subsample(inputs))

    def _call_shifted(self, inputs, training):
        x = self.conv(self._subsample(inputs))
        if self.shifted is not None:
            padding = [(0, 0)] * len(inputs.shape)
            window = [slice(None)] * len(inputs.shape)
            for axis, step in self._steps(inputs):
                padding[axis], window[axis] = (1, 0), slice(None, -1, step)
            x = self.joined(x, self.shifted(ops.pad(inputs, padding)[tuple(window)]))
        return x if self.norm is None else _normalization.apply(self.norm, x, training)

    def _sizes(self, inputs):
        sizes = list(ops.shape(inputs))
        for axis, step in self._steps(inputs):
            sizes[axis] = -(-sizes[axis] // step)
        sizes[self.channel_axis] = self.filters
        return sizes

    def _steps(self, inputs):
        """Returns each spatial axis with its strides."""
        axes = self.spatial_axes(len(inputs.shape))
        return zip(axes, for_each_axis(self.strides, len(axes)), strict=True)

    def _average(self, inputs):
        return average_pool(inputs, self.strides, self.strides, "same", self.channels_first)

    def _subsample(self, inputs):
        if not self._strided:
            return inputs
        window = [slice(None)] * len(inputs.shape)
        for axis, step in self._steps(inputs):
            window[axis] = slice(None, None, step)
        return inputs[tuple(window)]

    def _pad(self, inputs):
        missing = self.filters - inputs.shape[self.channel_axis]
        if missing == 0:
            return inputs
        padding = [(0, 0)] * len(inputs.shape)
        before = missing // 2 if self.kind == "pad" else 0
        padding[self.channel_axis] = (before, missing - before)
        return ops.pad(inputs, padding)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "kind": self.kind,
            "normalize_identity": self.normalize_identity,
            "blur_pool": self.blur_pool,
            "use_bias": self.use_bias,
        }
