"""The kinds of normalization that every block accepts, by name."""

import math

import keras

from keras_residual import _checks
from keras_residual.layers.affine import Affine
from keras_residual.layers.batch_norm import BatchNorm
from keras_residual.layers.evo_norm import EvoNorm
from keras_residual.layers.group_norm import GroupNorm

KINDS = ("batch", "group", "layer", "evonorm", "none", "folded")


def check(kind: str, momentum: float, epsilon: float) -> tuple[str, float, float]:
    """Returns the checked arguments `normalization`, `norm_momentum` and `norm_epsilon`."""
    return (
        _checks.choice("normalization", kind, KINDS),
        _checks.real("norm_momentum", momentum, 0.0, 1.0),
        _checks.real("norm_epsilon", epsilon, 0.0, 1.0),
    )


def apply(norm, x, training, activation=None):
    """Calls a normalization layer; `training` is passed on only if the layer accepts it.

    `activation` is the one that its layer computes next, as it is now: it may have been replaced.
    """
    if isinstance(norm, BatchNorm):
        norm.precedes_relu = activation is keras.activations.relu
    # `layer` is that of a part of an opened layer.
    if isinstance(getattr(norm, "layer", norm), keras.layers.BatchNormalization):
        return norm(x, training=training)
    return norm(x)


def make(kind: str, channels: int, axis: int, momentum: float, epsilon: float, **options):
    """Returns a normalization layer over `channels` on `axis`, or `None` for `"none"`.

    `"group"` takes as many groups as the largest power of two up to 32 that divides the channels;
    `"layer"` normalizes each position over its channels; `"evonorm"` is an `EvoNorm`; `"folded"` is
    what a batch normalization is to a trained network: an offset, and a scale where no convolution
    stands before it.
    """
    if kind == "batch":
        return BatchNorm(axis=axis, momentum=momentum, epsilon=epsilon, **options)
    if kind == "group":
        groups = math.gcd(32, channels)
        return GroupNorm(groups, axis=axis, epsilon=epsilon, **options)
    if kind == "layer":
        return keras.layers.LayerNormalization(axis=axis, epsilon=epsilon, **options)
    if kind == "evonorm":
        return EvoNorm(axis=axis, epsilon=epsilon, **options)
    if kind == "folded":
        return Affine(axis=axis, **options)
    return None
