"""The arithmetic of folding: weights of a convolution and a batch normalization as one."""

import keras
import numpy as np

from keras_residual.layers.adaptation import merged_layer_weights
from keras_residual.layers.batch_norm import BatchNorm
from keras_residual.layers.convolution import Convolution

_KERAS = keras.layers
# Axis of the output channels in the kernel: last, second last, or spread over the last two.
_LAST = (_KERAS.Conv1D, _KERAS.Conv2D, _KERAS.Conv3D, _KERAS.Dense, Convolution)
_BEFORE_LAST = (_KERAS.Conv1DTranspose, _KERAS.Conv2DTranspose, _KERAS.Conv3DTranspose)
_LAST_TWO = (_KERAS.DepthwiseConv1D, _KERAS.DepthwiseConv2D)
_SEPARABLE = (_KERAS.SeparableConv1D, _KERAS.SeparableConv2D)
_NORMS = (_KERAS.BatchNormalization, BatchNorm)
_FOLDABLE = (*_LAST, *_BEFORE_LAST, *_LAST_TWO, *_SEPARABLE)


def can_fold(producer, norm) -> bool:
    """Returns whether a normalization right after a layer can go into that layer's weights."""
    # A subclass may compute something else.
    if type(producer) not in _FOLDABLE or type(norm) not in _NORMS:
        return False
    linear = getattr(producer, "activation", None) in (None, keras.activations.linear)
    rank = len(norm.input.shape)
    first = getattr(producer, "data_format", None) == "channels_first"
    return linear and norm.axis % rank == (1 if first else rank - 1)


def set_folded_weights(new, producer, norm) -> None:
    """Gives `new`, a copy of `producer` with a bias, the weights of both layers."""
    scale, offset = _scale_and_offset(
        _array(norm.gamma) if norm.scale else 1.0,
        _array(norm.beta) if norm.center else 0.0,
        _array(norm.moving_mean),
        _array(norm.moving_variance),
        norm.epsilon,
    )
    bias = _array(producer.bias) if producer.use_bias else 0.0
    new.bias.assign(bias * scale + offset)
    if isinstance(producer, _SEPARABLE):
        new.depthwise_kernel.assign(producer.depthwise_kernel)
        new.pointwise_kernel.assign(_array(producer.pointwise_kernel) * scale)
        return
    kernel = _array(merged_layer_weights(producer)["kernel"])
    if isinstance(producer, _LAST_TWO):
        scale = scale.reshape(kernel.shape[-2:])
    elif isinstance(producer, _BEFORE_LAST):
        scale = scale[:, None]
    new.kernel.assign(kernel * scale)


def folded_block_weights(weights: dict[str, np.ndarray], epsilon: float) -> dict[str, np.ndarray]:
    """Returns the weights of a block with `normalization="folded"`.

    Args:
        weights: Those of the block with `"batch"`, by their path inside it.
        epsilon: Epsilon of the normalizations.
    """
    folded = dict(weights)
    for base in normalized(weights):
        values = [_array(folded.pop(f"{base}norm.{name}", bare)) for name, bare in _STATISTICS]
        scale, offset = _scale_and_offset(*values, epsilon)
        if f"{base}conv.kernel" not in weights:
            folded[f"{base}norm.scale"], folded[f"{base}norm.offset"] = scale, offset
            continue
        bias = _array(weights.get(f"{base}conv.bias", 0.0))
        folded[f"{base}conv.kernel"] = _array(weights[f"{base}conv.kernel"]) * scale
        folded[f"{base}conv.bias"] = bias * scale + offset
    _balance_sub_bands(folded, epsilon)
    return {name: np.asarray(value, np.float32) for name, value in folded.items()}


def _balance_sub_bands(weights: dict, epsilon: float) -> None:
    """Moves what the sub-bands of a channel are scaled by in common into the convolution before.

    The function stays the same; the convolution's output has one range in all channels, which
    integers need: they have one scale for all.
    """
    for path in [name for name in weights if name.endswith("sub_spectral.gamma")]:
        base = path.removesuffix("sub_spectral.gamma")
        kernel = _array(weights[f"{base}frequency_conv.conv.kernel"])
        gamma, mean, variance = (
            _array(weights[f"{base}sub_spectral.{name}"]).reshape(-1, kernel.shape[-1])
            for name in ("gamma", "moving_mean", "moving_variance")
        )
        common = np.sqrt(np.mean(gamma**2 / (variance + epsilon), axis=0))
        common = np.where(common > 0, common, 1.0)
        weights[f"{base}frequency_conv.conv.kernel"] = kernel * common
        weights[path] = (gamma / common).ravel()
        weights[f"{base}sub_spectral.moving_mean"] = (mean * common).ravel()


# Their values where a normalization has none.
_STATISTICS = (("gamma", 1.0), ("beta", 0.0), ("moving_mean", None), ("moving_variance", None))


def normalized(weights: dict[str, np.ndarray]) -> list[str]:
    """Returns the paths of the batch normalizations in a block, without `norm.…`."""
    ending = "norm.moving_mean"
    return [name.removesuffix(ending) for name in weights if name.endswith(ending)]


def _scale_and_offset(gamma, beta, mean, variance, epsilon):
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def _array(value) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value), np.float64)
