"""Base of basic and bottleneck blocks: options, order of operations, shortcut, sum."""

from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.average_pool import DOWNSAMPLING
from keras_residual.layers.block_parts import (
    ATTENTIONS,
    SPATIAL,
    check_parts,
    make_squeeze_excite,
    make_sublayers,
    set_cascade,
)
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.reversible_halves import branches_of_halves, make_halves, plan_of_halves
from keras_residual.layers.shortcut import KINDS
from keras_residual.layers.strides import downsamples

ORDERS = ("post", "pre", "inner", "pyramid", "leading", "outer")


class ResidualUnit(BlockLayer):
    """Base of the residual blocks: y = act(F(x) + shortcut(x)), or another order of activations.

    A subclass implements `convolutions()`, the arguments of each convolution of F in order.

    Args:
        filters: Positive integer, number of output channels.
        strides: Positive integer, or a tuple with one for each spatial axis. Defaults to `1`.
        dilation_rate: Positive integer, dilation of the convolutions. Defaults to `1`.
        first_dilation_rate: Dilation of the convolution that would take the strides, where it
            differs. Defaults to `None`.
        activation_order: `"post"` (v1), `"pre"` (v2), `"inner"`: like `"post"` without the
            activation after the sum (networks for super-resolution); `"pyramid"`: the same with a
            normalization before F (PyramidNet); `"leading"`: the same with an activation before
            F and before a projection (Shake-Shake); or `"outer"`: like `"post"` with the last
            normalization behind the sum, and none in the shortcut (RiR). Defaults to `"post"`.
        shortcut: Kind of the shortcut where shapes differ, see `Shortcut`. Defaults to
            `"projection"`.
        normalize_identity: Whether an identity shortcut is normalized; not with pre-activation.
            Defaults to `False`.
        share_preactivation: Whether an identity shortcut takes the normalized input too, as in the
            first unit of a pre-activation network; only with pre-activation. Defaults to `False`.
        se_ratio: Inner width of a squeeze-and-excitation as a fraction of the channels; `0` for
            none. Defaults to `0`.
        se_divisor: The inner width is rounded to a multiple of it; only with `se_ratio`. Defaults
            to `1`.
        drop_path_rate: Probability of dropping F for a sample, in `[0, 1)`. Defaults to `0`.
        dropout_rate: Dropout before the last convolution, in `[0, 1)`. Defaults to `0`.
        blur_pool: What downsamples in place of strided convolutions and projections, see
            `ConvNorm`; shortcuts other than `"projection"` are unchanged. Defaults to `False`.
        zero_init_residual: Whether F starts at zero. Defaults to `False`.
        residual_scale: Number in `[0, 1]` that F is multiplied by. Defaults to `1`.
        conv_bias: Whether convolutions without a normalization after them have a bias; only with
            pre-activation. Defaults to `False`.
        attention: What scales the channels of F: `"squeeze_excite"` with `se_ratio`, at the end;
            `"inner_squeeze_excite"`, before the last convolution and with `se_ratio` relative to
            the block's input (RegNet); or `"eca"`, an `EfficientChannelAttention`. Defaults to
            `"squeeze_excite"`.
        spatial: What a 3×3 convolution is. Defaults to `"plain"`.
        branches: Positive integer, branches of that layer. Defaults to `2`.
        shake_drop: Whether drop path scales F by random numbers instead, see `ShakeDrop`. Defaults
            to `False`.
        shake_shake: Whether F is two functions of the same form, mixed by `ShakeShake`; without
            attention and drop path. Defaults to `False`.
        reversible: Whether each half of the channels is added to a function of the other half:
            y₁ = x₁ + F(x₂), y₂ = x₂ + G(y₁), from which x can be recomputed (RevNet); only with
            pre-activation. The input of a block with `share_preactivation` is expected to be
            normalized and activated. Defaults to `False`.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether normalization uses batch statistics, and drop path and dropout act.
        drop_path_rate: Optional scalar that takes the place of the layer's rate in this call.

    Returns:
        `(batch, *ceil(spatial / strides), filters)`.
    """

    def __init__(
        self,
        filters: int,
        strides: int | tuple[int, ...] = 1,
        dilation_rate: int = 1,
        first_dilation_rate: int | None = None,
        activation_order: str = "post",
        shortcut: str = "projection",
        normalize_identity: bool = False,
        share_preactivation: bool = False,
        se_ratio: float = 0.0,
        se_divisor: int = 1,
        drop_path_rate: float = 0.0,
        dropout_rate: float = 0.0,
        blur_pool: bool = False,
        zero_init_residual: bool = False,
        residual_scale: float = 1.0,
        conv_bias: bool = False,
        attention: str = "squeeze_excite",
        spatial: str = "plain",
        branches: int = 2,
        shake_drop: bool = False,
        shake_shake: bool = False,
        reversible: bool = False,
        **kwargs: Any,
    ):
        # Only in a half of a reversible block, whose configuration is made anew.
        normalized = kwargs.pop("takes_normalized", False)
        super().__init__(**kwargs)
        self.takes_normalized = normalized
        self.shake_drop = _checks.boolean("shake_drop", shake_drop)
        self.shake_shake = _checks.boolean("shake_shake", shake_shake)
        self.reversible = _checks.boolean("reversible", reversible)
        self.attention = _checks.choice("attention", attention, ATTENTIONS)
        self.spatial = _checks.choice("spatial", spatial, tuple(SPATIAL))
        # `branches` is a method.
        self.branch_count = _checks.integer("branches", branches)
        self.filters = _checks.integer("filters", filters)
        self.strides = _checks.per_axis("strides", strides)
        self.dilation_rate = _checks.integer("dilation_rate", dilation_rate)
        self.first_dilation_rate = _checks.integer_or_none(
            "first_dilation_rate", first_dilation_rate
        )
        self.activation_order = _checks.choice("activation_order", activation_order, ORDERS)
        self.normalize_identity = _checks.boolean("normalize_identity", normalize_identity)
        self.share_preactivation = _checks.boolean("share_preactivation", share_preactivation)
        self.se_ratio = _checks.real("se_ratio", se_ratio, 0.0, 1.0)
        self.se_divisor = _checks.integer("se_divisor", se_divisor)
        self.drop_path_rate = _checks.real("drop_path_rate", drop_path_rate, 0, 1, open_end=True)
        self.dropout_rate = _checks.real("dropout_rate", dropout_rate, 0, 1, open_end=True)
        self.blur_pool = _checks.choice("blur_pool", blur_pool, DOWNSAMPLING)
        self.zero_init_residual = _checks.boolean("zero_init_residual", zero_init_residual)
        self.residual_scale = _checks.real("residual_scale", residual_scale, 0.0, 1.0)
        self.conv_bias = _checks.boolean("conv_bias", conv_bias)
        self.shortcut_kind = _checks.choice("shortcut", shortcut, KINDS)
        check_parts(self)

    def convolutions(self) -> list[dict[str, Any]]:
        """Returns the arguments of each convolution of F: filters, kernel_size, strides, …"""
        raise TypeError(f"{type(self).__name__} must implement `convolutions`.")

    def strided_options(self) -> dict[str, Any]:
        """Returns strides and dilation of the convolution that takes the strides."""
        dilation = self.first_dilation_rate or self.dilation_rate
        return {
            "strides": self.strides,
            "dilation_rate": 1 if downsamples(self.strides) else dilation,
        }

    @property
    def preactivated(self) -> bool:
        return self.activation_order == "pre"

    def _make_sublayers(self):
        """Creates the sublayers; a subclass calls it after setting its own arguments."""
        make = make_halves if self.reversible else make_sublayers
        make(self)

    @property
    def squeezes(self) -> bool:
        return self.se_ratio > 0 and not self.spatial.startswith("selective")

    @property
    def squeezes_inside(self) -> bool:
        return self.squeezes and self.attention == "inner_squeeze_excite"

    def plan(self, input_shape: Shape) -> Plan:
        if self.reversible:
            return plan_of_halves(self, input_shape)
        if self.squeeze_excite is None and self.squeezes_inside:
            channels = self.channels_of(input_shape)
            # A gate has no activation with weights of its own.
            activation = "relu" if self.activation == "prelu" else self.activation
            self.squeeze_excite = make_squeeze_excite(self, channels, activation=activation)
        self.shortcut.plan(input_shape)
        *convs, last = [getattr(self, name) for name in self.conv_names]
        second = [getattr(self, name) for name in self.second_names]
        set_cascade([*convs, *second], self.shortcut.is_identity(input_shape))
        inside = [self.squeeze_excite, self.inner_norm] if self.squeezes_inside else []
        outside = [self.eca] if self.squeezes_inside else [self.squeeze_excite, self.eca]
        layers = [self.norm1, *convs, *inside, last, *outside]
        steps, output_shape = chain(layers, input_shape)
        steps += chain(second, input_shape)[0]
        steps.append((self.shortcut, input_shape))
        ends = [layer for layer in (self.sum_norm, self.prelu) if layer is not None]
        return steps + chain(ends, output_shape)[0], output_shape

    def call(
        self,
        inputs: Tensor,
        training: bool | None = None,
        drop_path_rate: Tensor | float | None = None,
    ) -> Tensor:
        return self.merged(*self.branches(inputs, training, drop_path_rate), training)

    def branches(
        self,
        inputs: Tensor,
        training: bool | None = None,
        drop_path_rate: Tensor | float | None = None,
    ) -> tuple[Any, ...]:
        """Returns both terms of the sum: F(x), and the shortcut or `None` without one."""
        if self.reversible:
            return branches_of_halves(self, inputs, training)
        x = shortcut = inputs
        if self.norm1 is not None:
            x = self.norm1(inputs, training=training)
        if self.activation_order in ("pre", "leading"):
            projected = self.shortcut.conv is not None
            shortcut = x if projected or self.share_preactivation else inputs
        second = self._convolved(x, self.second_names, training) if self.shake_shake else None
        x = self._convolved(x, self.conv_names, training)
        if self.squeeze_excite is not None and not self.squeezes_inside:
            x = self.squeeze_excite(x)
        if self.eca is not None:
            x = self.eca(x)
        if self.shake_shake:
            x = self.drop_path(x, second=second, training=training)
        if self.residual_scale != 1:
            x = ops.multiply(x, self.residual_scale)
        if self.shortcut_kind == "identity" and self.shortcut.is_absent(tuple(inputs.shape)):
            return x, None
        if not self.shake_shake:
            x = self.drop_path(x, training=training, rate=drop_path_rate)
        if self.shortcut_kind == "none":
            return x, None
        return x, self.shortcut(shortcut, training=training)

    def _convolved(self, x, names, training):
        for name in names:
            if name == names[-1]:
                x = self._before_last(x, training)
            x = getattr(self, name)(x, training=training)
        return x

    def _before_last(self, x, training):
        """Returns the input of the last convolution."""
        if self.squeezes_inside:
            x = self.squeeze_excite(x)
        if self.inner_norm is not None:
            x = self.inner_norm(x, training=training)
        return x if self.dropout is None else self.dropout(x, training=training)

    def merged(
        self, residual: Tensor, shortcut: Tensor | None, training: bool | None = None
    ) -> Tensor:
        """Returns the block's output from the results of `branches`."""
        x = residual if shortcut is None else self.add(residual, shortcut)
        if self.sum_norm is not None:
            return self.sum_norm(x, training=training)
        return self.activate(x) if self.activation_order == "post" else x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "dilation_rate": self.dilation_rate,
            "first_dilation_rate": self.first_dilation_rate,
            "activation_order": self.activation_order,
            "shortcut": self.shortcut_kind,
            "normalize_identity": self.normalize_identity,
            "share_preactivation": self.share_preactivation,
            "se_ratio": self.se_ratio,
            "se_divisor": self.se_divisor,
            "drop_path_rate": self.drop_path_rate,
            "dropout_rate": self.dropout_rate,
            "blur_pool": self.blur_pool,
            "zero_init_residual": self.zero_init_residual,
            "residual_scale": self.residual_scale,
            "conv_bias": self.conv_bias,
            "attention": self.attention,
            "spatial": self.spatial,
            "branches": self.branch_count,
            "shake_drop": self.shake_drop,
            "shake_shake": self.shake_shake,
            "reversible": self.reversible,
        }
