"""The sublayers of a residual block: convolutions and their variants, attention, shortcut."""

from typing import Any

import keras

from keras_residual import _checks
from keras_residual.layers.channel_attention import EfficientChannelAttention
from keras_residual.layers.composite import fresh_initializer
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.multi_scale_convolution import MultiScaleConvolution
from keras_residual.layers.norm_activation import norm_activation_of
from keras_residual.layers.parametric_relu import learned
from keras_residual.layers.selective_kernel import SelectiveKernel
from keras_residual.layers.shortcut import Shortcut
from keras_residual.layers.split_attention import SplitAttention
from keras_residual.layers.squeeze_excite import SqueezeExcite
from keras_residual.layers.stochastic_depth import ShakeDrop, ShakeShake, StochasticDepth
from keras_residual.layers.strides import downsamples

# Channel attention; "inner" follows the 3×3 convolution and is sized by the block's input.
ATTENTIONS = ("squeeze_excite", "inner_squeeze_excite", "eca")
# The layer that replaces a block's 3×3 convolution: its class and arguments.
SPATIAL = {
    "plain": None,
    "selective": (SelectiveKernel, {}),
    "selective_split": (SelectiveKernel, {"split_input": True}),
    "split": (SplitAttention, {}),
    "multi_scale": (MultiScaleConvolution, {}),
}
# Prefix of the layer names of a second residual function.
SECOND = "path2_"


def check_parts(block) -> None:
    """Raises a ValueError for options of a `ResidualUnit` that cannot be combined."""
    ratio, kind, spatial = block.se_ratio, block.attention, block.spatial
    selective = spatial.startswith("selective")
    if (kind == "eca" and not selective and ratio) or (selective and not ratio):
        raise ValueError(
            "`se_ratio` is the inner width of squeeze-and-excitation or of a selective "
            "convolution, which needs one; ECA has none. Received: "
            f"se_ratio={ratio}, attention={kind!r}, spatial={spatial!r}"
        )
    gated = kind == "eca" or (ratio > 0 and not selective)
    beside = {"se_ratio": ratio, "spatial": spatial}
    _checks.effective("attention", kind, "squeeze_excite", gated, "`se_ratio`", **beside)
    branched, count = spatial != "plain", block.branch_count
    _checks.effective("branches", count, 2, branched, "a `spatial` with some", spatial=spatial)
    _checks.effective("se_divisor", block.se_divisor, 1, ratio > 0, "`se_ratio`", se_ratio=ratio)
    mixed = {name: getattr(block, name) for name in ("drop_path_rate", "se_ratio", "attention")}
    plain_mix = mixed == {"drop_path_rate": 0, "se_ratio": 0, "attention": "squeeze_excite"}
    needs = "neither attention nor drop path"
    _checks.effective("shake_shake", block.shake_shake, False, plain_mix, needs, **mixed)
    _check_reversible(block)
    dilation, strides = block.first_dilation_rate, block.strides
    plain = not downsamples(strides)
    _checks.effective("first_dilation_rate", dilation, None, plain, "strides=1", strides=strides)
    bare = block.activation_order == "outer" or block.shortcut_kind == "half"
    identity, needs = block.normalize_identity, "a normalized shortcut of all channels"
    beside = {"activation_order": block.activation_order, "shortcut": block.shortcut_kind}
    _checks.effective("normalize_identity", identity, False, not bare, needs, **beside)
    order = {"activation_order": block.activation_order}
    for name in ("share_preactivation", "conv_bias"):
        value, needs = getattr(block, name), 'activation_order="pre"'
        _checks.effective(name, value, False, block.preactivated, needs, **order)


def _check_reversible(block) -> None:
    """Raises a ValueError for options that a reversible block does not support."""
    if not block.reversible:
        return
    beside = {
        "activation_order": block.activation_order,
        "shortcut": block.shortcut_kind,
        "filters": block.filters,
    }
    fits = block.preactivated and block.shortcut_kind not in ("none", "identity")
    needs = 'activation_order="pre", a shortcut and an even number of filters'
    fits = fits and block.filters % 2 == 0
    _checks.effective("reversible", True, False, fits, needs, **beside)
    for name in ("normalize_identity", "shake_shake", "shake_drop"):
        value = getattr(block, name)
        _checks.effective(name, value, False, False, "reversible=False", reversible=True)


def make_sublayers(block) -> None:
    """Gives a `ResidualUnit` the layers of F, its shortcut and its activation."""
    block.norm1 = None
    starts = block.activation_order in ("pre", "pyramid", "leading")
    if starts and not block.takes_normalized:
        changes = {"pyramid": {"activation": None}, "leading": {"normalization": "none"}}
        block.norm1 = norm_activation_of(block, "norm1", **changes.get(block.activation_order, {}))
    block.conv_names = tuple(f"conv{index + 1}" for index in range(len(block.convolutions())))
    block.second_names = (
        tuple(SECOND + name for name in block.conv_names) if block.shake_shake else ()
    )
    for names in (block.conv_names, block.second_names):
        for index, name in enumerate(names):
            # Numbers that differ from those of the shortcut, as offsets of fixed seeds.
            number = index if names is block.conv_names else len(names) + 3 + index
            arguments = block.convolutions()[index]
            setattr(block, name, make_convolution(block, number, name, arguments))
    block.squeeze_excite = block.eca = block.inner_norm = None
    if block.attention == "eca":
        block.eca = make_attention(block, EfficientChannelAttention, "eca")
    elif block.squeezes and block.attention == "squeeze_excite":
        block.squeeze_excite = make_squeeze_excite(block)
    if block.squeezes_inside and block.preactivated and block.spatial == "plain":
        block.inner_norm = norm_activation_of(block, "inner_norm")
    block.dropout = None
    if block.dropout_rate:
        block.dropout = keras.layers.Dropout(
            block.dropout_rate, dtype=block.dtype_policy, name="dropout"
        )
    block.drop_path = make_drop_path(block)
    block.shortcut = make_shortcut(block, len(block.conv_names) + 2)
    block.prelu = block.sum_norm = None
    if block.activation_order == "outer":
        block.sum_norm = norm_activation_of(block, "sum_norm")
    if block.activation_order == "post":
        block.prelu = learned(block.activation, **block.sublayer_options())


def make_convolution(block, index: int, name: str, arguments: dict[str, Any]):
    """Returns a convolution of a residual function with its normalization and activation.

    Args:
        block: The `ResidualUnit` that it is part of.
        index: Offset added to fixed seeds.
        name: Name of the layer, which ends in its entry of `block.conv_names`.
        arguments: Its entry of `block.convolutions()`.
    """
    options = {**block.block_options(index), **arguments, "blur_pool": block.blur_pool}
    if options.pop("spatial", False) and block.spatial != "plain":
        return make_spatial(block, name, options)
    last = name.endswith(block.conv_names[-1])
    # With a gate before the last convolution, the normalization of the one before follows the gate.
    bare = last or (block.squeezes_inside and name.endswith(block.conv_names[-2]))
    if last or (bare and block.preactivated):
        options["activation"] = None
    if (bare and block.preactivated) or (last and block.activation_order == "outer"):
        options["normalization"] = "none"
        options["use_bias"] = block.conv_bias or block.normalization == "none"
    if last and block.zero_init_residual:
        normalized = options["normalization"] not in ("none", "folded")
        options |= {"zero_gamma": True} if normalized else {"kernel_initializer": "zeros"}
    return ConvNorm(name=name, **options)


def make_drop_path(block) -> keras.layers.Layer:
    """Returns the layer that drops or scales a residual function at random in training."""
    if block.shake_shake:
        return ShakeShake(dtype=block.dtype_policy, name="shake_shake")
    drop_path = ShakeDrop if block.shake_drop else StochasticDepth
    return drop_path(block.drop_path_rate, dtype=block.dtype_policy, name="drop_path")


def make_shortcut(block, index: int, name: str = "shortcut") -> Shortcut:
    """Returns the shortcut of a block; `index` offsets fixed seeds."""
    options = {**block.block_options(index), "activation": None}
    if block.preactivated or block.activation_order == "outer":
        options["normalization"] = "none"
        options["use_bias"] = block.conv_bias
    return Shortcut(
        block.filters,
        block.strides,
        block.shortcut_kind,
        normalize_identity=block.normalize_identity,
        blur_pool=block.blur_pool,
        name=name,
        **options,
    )


def make_spatial(block, name: str, options: dict[str, Any]):
    """Returns the layer of the kind `block.spatial`.

    Args:
        block: The `ResidualUnit` that it is part of.
        name: Name of the layer.
        options: Arguments of the `ConvNorm` that it replaces.
    """
    layer_class, more = SPATIAL[block.spatial]
    if layer_class is SelectiveKernel:
        more = {**more, "ratio": block.se_ratio, "divisor": block.se_divisor}
    if layer_class is MultiScaleConvolution:
        more = {"cascade": not downsamples(block.strides)}
    del options["kernel_size"]
    return layer_class(branches=block.branch_count, name=name, **more, **options)


def set_cascade(convolutions: list[Any], cascade: bool) -> None:
    """Sets whether multi-scale convolutions cascade; they do not where the shape changes."""
    for layer in convolutions:
        if isinstance(layer, MultiScaleConvolution):
            layer.cascade = cascade


def make_squeeze_excite(block, channels: int | None = None, **options) -> SqueezeExcite:
    """Returns a block's squeeze-and-excitation, sized by `channels` if given."""
    if channels is not None:
        width = max(1, round(channels * block.se_ratio / block.se_divisor))
        options["width"] = width * block.se_divisor
    arguments = (block.se_ratio, block.se_divisor)
    return make_attention(block, SqueezeExcite, "squeeze_excite", *arguments, **options)


def make_attention(block, layer_class, name: str, *arguments, **options):
    """Returns a channel attention layer with the options that the block shares."""
    return layer_class(
        *arguments,
        kernel_initializer=fresh_initializer(block.kernel_initializer, len(block.convolutions())),
        kernel_regularizer=block.kernel_regularizer,
        name=name,
        **options,
        **block.sublayer_options(),
    )
