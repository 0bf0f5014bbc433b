import keras
from keras import ops

from keras_residual._types import Tensor
from keras_residual.layers.registration import registered


@registered
class GroupNorm(keras.layers.GroupNormalization):
    """Keras' group normalization, with the mean subtracted before anything else.

    y = (x - mean) / √(variance + epsilon) · gamma + beta. Keras computes x · a + (beta - mean · a),
    a difference of two large numbers where the mean is far from zero, and on PyTorch the variance
    as a difference of two means. Files of 8-bit integers lose all of their digits in such
    differences.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, or with the channels on another `axis`.

    Returns:
        The normalized inputs, same shape.

    Reference:
        - [Wu and He, 2018](https://arxiv.org/abs/1803.08494)
    """

    def call(self, inputs: Tensor) -> Tensor:
        split, axes, weights = self._groups_of(inputs)
        x = ops.cast(ops.reshape(inputs, split), "float32" if _is_half(inputs) else inputs.dtype)
        x = x - ops.mean(x, axis=axes, keepdims=True)
        variance = ops.mean(x * x, axis=axes, keepdims=True)
        x = x * ops.rsqrt(variance + self.epsilon)
        if self.scale:
            x = x * ops.cast(ops.reshape(self.gamma, weights), x.dtype)
        if self.center:
            x = x + ops.cast(ops.reshape(self.beta, weights), x.dtype)
        return ops.cast(ops.reshape(x, _sizes(inputs)), self.compute_dtype)

    def _groups_of(self, inputs):
        """Returns the shape with an axis of groups, the axes of a group, and the weights' shape."""
        shape, rank = _sizes(inputs), len(inputs.shape)
        axis = self.axis % rank
        parts = [self.groups, inputs.shape[axis] // self.groups]
        weights = [1] * axis + parts + [1] * (rank - axis - 1)
        axes = [place for place in range(1, rank + 1) if place != axis]
        return [*shape[:axis], *parts, *shape[axis + 1 :]], axes, weights


def _sizes(inputs):
    # An open batch stays open without being computed.
    return [-1, *ops.shape(inputs)[1:]]


def _is_half(inputs):
    return keras.backend.standardize_dtype(inputs.dtype) in ("float16", "bfloat16")
