"""Costs of single layers: weights and multiply–accumulates as formulas of the input shape."""

import math
from dataclasses import dataclass

import keras

from keras_residual._types import Shape
from keras_residual.layers import Convolution, SubSpectralNormalization
from keras_residual.layers.evo_norm import EvoNorm
from keras_residual.layers.parametric_relu import ParametricReLU


@dataclass(frozen=True)
class LeafCost:
    """Trainable weights, other weights, and multiply–accumulates for one sample."""

    trainable: int = 0
    other: int = 0
    macs: int = 0


def leaf_cost(layer, input_shape: Shape, output_shape: Shape) -> LeafCost:
    """Returns the cost of a layer without sublayers.

    Multiply–accumulates are counted for convolutions and dense layers only.
    """
    for layer_type, rule in _RULES:
        if isinstance(layer, layer_type):
            return rule(layer, input_shape, output_shape)
    if layer.built:
        return LeafCost(_size(layer.trainable_weights), _size(layer.non_trainable_weights))
    return LeafCost()


def _size(weights) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _positions(layer, shape: Shape) -> int:
    first = layer.data_format == "channels_first"
    return math.prod(shape[2:] if first else shape[1:-1])


def _channels(layer, shape: Shape) -> int:
    return shape[1] if layer.data_format == "channels_first" else shape[-1]


def _convolution(layer, input_shape, output_shape):
    kernel = math.prod(layer.kernel_shape(input_shape))
    bias = layer.filters if layer.use_bias else 0
    return LeafCost(kernel + bias, 0, kernel * _positions(layer, output_shape))


def _keras_convolution(layer, input_shape, output_shape):
    channels = _channels(layer, input_shape)
    kernel = math.prod(layer.kernel_size) * channels // layer.groups * layer.filters
    bias = layer.filters if layer.use_bias else 0
    return LeafCost(kernel + bias, 0, kernel * _positions(layer, output_shape))


def _transposed_convolution(layer, input_shape, output_shape):
    kernel = math.prod(layer.kernel_size) * _channels(layer, input_shape) * layer.filters
    bias = layer.filters if layer.use_bias else 0
    return LeafCost(kernel + bias, 0, kernel * _positions(layer, input_shape))


def _depthwise_convolution(layer, input_shape, output_shape):
    filters = _channels(layer, input_shape) * layer.depth_multiplier
    kernel = math.prod(layer.kernel_size) * filters
    bias = filters if layer.use_bias else 0
    return LeafCost(kernel + bias, 0, kernel * _positions(layer, output_shape))


def _dense(layer, input_shape, output_shape):
    kernel = input_shape[-1] * layer.units
    bias = layer.units if layer.use_bias else 0
    return LeafCost(kernel + bias, 0, kernel * math.prod(input_shape[1:-1]))


def _sub_spectral_normalization(layer, input_shape, output_shape):
    values = layer.bands_of(input_shape)[1] * layer.sub_bands
    return _normalization_cost(layer, values)


def _batch_normalization(layer, input_shape, output_shape):
    return _normalization_cost(layer, input_shape[layer.axis])


def _normalization_cost(layer, channels):
    scales = channels * (layer.scale + layer.center)
    trainable = scales if layer.trainable else 0
    return LeafCost(trainable, scales - trainable + 2 * channels)


def _group_normalization(layer, input_shape, output_shape):
    return LeafCost(input_shape[layer.axis] * (layer.scale + layer.center))


def _evo_norm(layer, input_shape, output_shape):
    return LeafCost(3 * input_shape[layer.axis])


def _parametric_relu(layer, input_shape, output_shape):
    return LeafCost(_channels(layer, input_shape))


def _layer_normalization(layer, input_shape, output_shape):
    axes = [layer.axis] if isinstance(layer.axis, int) else layer.axis
    return LeafCost(math.prod(input_shape[axis] for axis in axes) * (layer.scale + layer.center))


_RULES = (
    (Convolution, _convolution),
    ((keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D), _depthwise_convolution),
    (
        (
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
        ),
        _transposed_convolution,
    ),
    ((keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D), _keras_convolution),
    (keras.layers.Dense, _dense),
    (SubSpectralNormalization, _sub_spectral_normalization),
    (keras.layers.BatchNormalization, _batch_normalization),
    (keras.layers.GroupNormalization, _group_normalization),
    (keras.layers.LayerNormalization, _layer_normalization),
    (ParametricReLU, _parametric_relu),
    (EvoNorm, _evo_norm),
)
