"""The layouts of keras.applications: tables by section and role."""

import dataclasses
import re

from keras_residual.weights._convolution_names import convolutions
from keras_residual.weights._layout import Layout

_KERAS_TOP = {
    "final_norm": ("", {"norm": "post_bn"}),
    "classifier": ("", {"": "predictions"}),
}
# The names of the layers at the time when the files were published.
_KERAS_ALIASES = (
    (r"^(probs|fc1000)\.", "predictions."),
    (r"^conv1[/.](conv|bn)\.", r"conv1_\1."),
)
_KERAS_STEM = ("", {"conv1.conv": "conv1_conv", "conv1.norm": "conv1_bn"})
_KERAS_SHORTCUT = {"shortcut.conv.conv": "0_conv", "shortcut.conv.norm": "0_bn"}
_KERAS_EPSILON = 1.001e-5

KERAS_V1 = Layout(
    "keras.applications' ResNet",
    {
        "stem": _KERAS_STEM,
        "stage": (
            "conv{stage2}_block{block}_",
            {**convolutions("{n}_conv", "{n}_bn"), **_KERAS_SHORTCUT},
        ),
        **_KERAS_TOP,
    },
    torch=False,
    aliases=_KERAS_ALIASES,
    options={"strided_conv": "conv1"},
    epsilon=_KERAS_EPSILON,
)


def _block_of_keras_2(name: re.Match) -> str:
    """Returns the present name of a layer such as `res3b_branch2a` or `bn4b22_branch1`."""
    kind, stage, letter, count, branch = name.groups()
    # Deep networks number blocks from the second one: 3a, 3b1, 3b2, …
    block = 1 + int(count) if count else ord(letter) - ord("a") + 1
    number = "abc".index(branch[1]) + 1 if branch[1:] else 0
    return f"conv{stage}_block{block}_{number}_{'conv' if kind == 'res' else 'bn'}."


# Keras 2.2's network has the default epsilon of BatchNormalization.
KERAS_2 = dataclasses.replace(
    KERAS_V1,
    name="Keras 2.2's ResNet50",
    aliases=(
        (r"^(res|bn)(\d)([a-z])(\d{0,3})_branch(1|2[abc])\.", _block_of_keras_2),
        (r"^conv1\.", "conv1_conv."),
        (r"^bn_conv1\.", "conv1_bn."),
        (r"^fc1000\.", "predictions."),
    ),
    epsilon=1e-3,
)

KERAS_V2 = Layout(
    "keras.applications' ResNetV2",
    {
        "stem": _KERAS_STEM,
        "stage": (
            "conv{stage2}_block{block}_",
            {
                "norm1.norm": "preact_bn",
                **convolutions("{n}_conv", "{n}_bn"),
                **_KERAS_SHORTCUT,
            },
        ),
        **_KERAS_TOP,
    },
    torch=False,
    aliases=_KERAS_ALIASES,
    options={
        "strided_conv": "conv2",
        "strided_block": "last",
        "pool_padding": "zero",
        "conv_bias": True,
    },
    epsilon=_KERAS_EPSILON,
)

KERAS_DENSENET = Layout(
    "keras.applications' DenseNet",
    {
        "stem": _KERAS_STEM,
        "dense": (
            "conv{stage2}_block{block}_",
            {"norm1.norm": "0_bn", **convolutions("{n}_conv", "{n}_bn")},
        ),
        "transition": ("pool{stage2}_", {"norm1.norm": "bn", "conv1.conv": "conv"}),
        "final_norm": ("", {"norm": "bn"}),
        "classifier": ("", {"": "predictions"}),
    },
    torch=False,
    aliases=_KERAS_ALIASES,
    epsilon=_KERAS_EPSILON,
)
