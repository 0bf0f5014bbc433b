from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.average_pool import DOWNSAMPLING
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.norm_activation import norm_activation_of
from keras_residual.layers.registration import registered


@registered
class DualPathUnit(BlockLayer):
    """One step of a dual path block: residual on the first channels, dense on the others.

    The input is [r, d], `filters` channels of a residual path r and the channels d of a dense path.
    F(x) = [f, g] is a pre-activation bottleneck of 1×1, grouped 3×3 and 1×1 convolutions, f with
    `filters` channels and g with `growth_rate`; the output is [r + f, d, g]. With `projection` the
    paths [r, d] start again from conv1×1(act(norm(x))) with `filters + 2 · growth_rate` channels.

    Args:
        filters: Positive integer, channels of the residual path.
        growth_rate: Positive integer, channels that the dense path grows by.
        width: Positive integer, channels inside F.
        cardinality: Positive integer, groups of the 3×3 convolution. Defaults to `1`.
        strides: Positive integer, strides of the 3×3 convolution and of the projection. Defaults to
            `1`.
        dilation_rate: Positive integer, dilation of the 3×3 convolution. Defaults to `1`.
        projection: Whether both paths begin here. Defaults to `False`.
        split_last: Whether f and g have separate last convolutions: the same function with two
            kernels (DPN-68b). Defaults to `False`.
        dropout_rate: Dropout before the last convolution, in `[0, 1)`. Defaults to `0`.
        blur_pool: What downsamples in place of strides, see `ConvNorm`. Defaults to `False`.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether normalization uses batch statistics and dropout acts.

    Returns:
        `(batch, *ceil(spatial / strides), channels + growth_rate)`; with `projection`
        `(…, filters + 3 · growth_rate)`.

    Raises:
        ValueError: If an argument is out of range, or the input has fewer channels than `filters`.

    Example:

    >>> unit = DualPathUnit(8, growth_rate=2, width=4, cardinality=2)
    >>> keras.ops.shape(unit(keras.ops.ones((1, 4, 4, 12))))
    (1, 4, 4, 14)

    Reference:
        - [Chen et al., 2017](https://arxiv.org/abs/1707.01629)
    """

    def __init__(
        self,
        filters: int,
        growth_rate: int,
        width: int,
        cardinality: int = 1,
        strides: int = 1,
        dilation_rate: int = 1,
        projection: bool = False,
        split_last: bool = False,
        dropout_rate: float = 0.0,
        blur_pool: bool | str = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.growth_rate = _checks.positive(filters=filters, growth_rate=growth_rate)
        self.width, self.cardinality = _checks.positive(width=width, cardinality=cardinality)
        self.strides, self.dilation_rate = _checks.positive(
            strides=strides, dilation_rate=dilation_rate
        )
        self.projects = _checks.boolean("projection", projection)
        self.split_last = _checks.boolean("split_last", split_last)
        self.dropout_rate = _checks.real("dropout_rate", dropout_rate, 0, 1, open_end=True)
        self.blur_pool = _checks.choice("blur_pool", blur_pool, DOWNSAMPLING)
        if self.width % self.cardinality:
            raise ValueError(
                "`cardinality` must divide `width`. "
                f"Received: cardinality={self.cardinality}, width={self.width}"
            )
        if self.strides > 1 and not self.projects:
            raise ValueError(
                "`strides` above 1 need projection=True: both paths change their size. "
                f"Received: strides={self.strides}, projection={projection!r}"
            )
        self._make_sublayers()

    def _make_sublayers(self):
        self.norm1 = norm_activation_of(self, "norm1")
        self.conv1 = ConvNorm(self.width, 1, name="conv1", **self.block_options())
        self.conv2 = ConvNorm(
            self.width,
            3,
            self.strides,
            self.dilation_rate if self.strides == 1 else 1,
            self.cardinality,
            blur_pool=self.blur_pool,
            name="conv2",
            **self.block_options(1),
        )
        self.conv3 = self.residual_conv = self.dense_conv = None
        if self.split_last:
            self.residual_conv = self._bare("residual_conv", self.filters, 2)
            self.dense_conv = self._bare("dense_conv", self.growth_rate, 3)
        else:
            self.conv3 = self._bare("conv3", self.filters + self.growth_rate, 2)
        self.projection_norm = self.projection = None
        if self.projects:
            self.projection_norm = norm_activation_of(self, "projection_norm")
            self.projection = self._bare(
                "projection",
                self.filters + 2 * self.growth_rate,
                4,
                strides=self.strides,
                blur_pool=self.blur_pool,
            )
        self.dropout = None
        if self.dropout_rate:
            self.dropout = keras.layers.Dropout(
                self.dropout_rate, dtype=self.dtype_policy, name="dropout"
            )

    def _bare(self, name, filters, index, **options):
        return ConvNorm(filters, 1, name=name, **options, **self.bare_options(index))

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        if channels < self.filters and not self.projects:
            raise ValueError(
                f"`filters` must not exceed the {channels} channels of the input without a "
                f"projection. Received: filters={self.filters}"
            )
        steps, shape = chain([self.norm1, self.conv1, self.conv2], input_shape)
        steps += [(layer, shape) for layer in self._last()]
        more, paths = chain([self.projection_norm, self.projection], input_shape)
        width = self.channels_of(paths) + self.growth_rate
        return steps + more, self.shape_with(shape, channels=width)

    def _last(self):
        return [self.residual_conv, self.dense_conv] if self.split_last else [self.conv3]

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        paths = inputs
        if self.projects:
            paths = self.projection_norm(inputs, training=training)
            paths = self.projection(paths, training=training)
        x = self.norm1(inputs, training=training)
        x = self.conv2(self.conv1(x, training=training), training=training)
        if self.dropout is not None:
            x = self.dropout(x, training=training)
        if self.split_last:
            new, grown = self.residual_conv(x), self.dense_conv(x)
        else:
            new, grown = self._parted(self.conv3(x))
        residual, dense = self._parted(paths)
        return self.joined(self.add(residual, new), dense, grown)

    def _parted(self, x):
        """Returns the first `filters` channels and the others."""
        # Slices, because most LiteRT delegates do not support splits into unequal parts.
        return self.channels_from(x, 0, self.filters), self.channels_from(x, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "growth_rate": self.growth_rate,
            "width": self.width,
            "cardinality": self.cardinality,
            "strides": self.strides,
            "dilation_rate": self.dilation_rate,
            "projection": self.projects,
            "split_last": self.split_last,
            "dropout_rate": self.dropout_rate,
            "blur_pool": self.blur_pool,
        }
