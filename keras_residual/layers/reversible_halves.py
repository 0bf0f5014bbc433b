"""The reversible form of a residual block: each half is added to a function of the other.

y₁ = x₁ + F(x₂) and y₂ = x₂ + G(y₁), so that x₂ = y₂ - G(y₁) and x₁ = y₁ - F(x₂). A block that
changes the shape has shortcuts around F and G, and cannot be inverted.

Reference:
    - [Gomez et al., 2017](https://arxiv.org/abs/1707.04585)
"""

from typing import Any

from keras_residual.layers.block_parts import make_shortcut
from keras_residual.layers.composite import fresh_initializer


def make_halves(block) -> None:
    """Gives a reversible `ResidualUnit` its functions F and G and a shortcut for each."""
    block.norm1 = block.squeeze_excite = block.eca = block.inner_norm = None
    block.dropout = block.prelu = block.sum_norm = None
    filters = block.filters
    block.f = _function(block, "f", 0, takes_normalized=block.share_preactivation)
    block.g = _function(block, "g", 20, strides=1, first_dilation_rate=None)
    block.filters = filters // 2
    block.shortcut = make_shortcut(block, 40)
    block.second_shortcut = make_shortcut(block, 41, "second_shortcut")
    block.filters = filters


def _function(block, name, index, **changes):
    config = {
        **block.get_config(),
        "filters": block.filters // 2,
        "shortcut": "none",
        "reversible": False,
        "share_preactivation": False,
        "kernel_initializer": fresh_initializer(block.kernel_initializer, index),
        "dtype": block.dtype_policy,
        "name": name,
    }
    # Those of the block name sublayers of this function by their path in the block.
    config.pop("adaptations", None)
    return type(block)(**{**config, **changes})


def plan_of_halves(block, input_shape):
    """Returns the plan of a reversible block, see `CompositeLayer.plan`."""
    channels = block.channels_of(input_shape)
    if channels % 2:
        raise ValueError(
            f"A reversible block takes an even number of channels. Received: {channels}"
        )
    half = block.shape_with(input_shape, channels=channels // 2)
    middle = tuple(block.f.compute_output_shape(half))
    steps = [(block.f, half), (block.g, middle)]
    steps += [(block.shortcut, half), (block.second_shortcut, half)]
    return steps, block.shape_with(middle, channels=block.filters)


def branches_of_halves(block, inputs, training) -> tuple[Any, ...]:
    """Returns both terms of the sum: F(x₂) and G(y₁) concatenated, and both shortcuts."""
    half = inputs.shape[block.channel_axis] // 2
    first, second = block.channels_from(inputs, 0, half), block.channels_from(inputs, half)
    f = block.f(second, training=training)
    shortcut = block.shortcut(first, training=training)
    g = block.g(block.add(shortcut, f), training=training)
    return block.joined(f, g), block.joined(
        shortcut, block.second_shortcut(second, training=training)
    )


def is_invertible(block) -> bool:
    """Returns whether a built block can be inverted accurately enough: in full precision."""
    return block.reversible and block.compute_dtype in ("float32", "float64")
