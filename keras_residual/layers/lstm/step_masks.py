"""Masks of steps: from the padding of waveforms, carried past other networks, as CTC's blank."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual.layers.registration import registered

# Its exponential is zero in every dtype, and float16 can hold it.
_IMPOSSIBLE = -1e4


def every_step(mask: Any, strides: int) -> Any:
    """Returns `mask[:, ::strides]` by an operation that Keras can save, unlike a slice."""
    if strides == 1:
        return mask
    mask = ops.expand_dims(ops.cast(mask, "float32"), -1)
    taken = ops.max_pool(mask, 1, strides, "valid", data_format="channels_last")
    return ops.squeeze(taken, -1) > 0


@registered
class TrailingPadding(keras.layers.Layer):
    """Masks the padding at the end of sequences; returns its input unchanged.

    `keras.layers.Masking` would mask the zeros inside a waveform too.

    Args:
        mask_value: Number that marks padding. Defaults to `0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, samples)` or `(batch, samples, features)`.

    Returns:
        The same, with a mask `(batch, samples)`.
    """

    def __init__(self, mask_value: float = 0.0, **kwargs):
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self.mask_value = _checks.real("mask_value", mask_value, -np.inf, np.inf)
        self.supports_masking = True

    def call(self, inputs):
        # A new tensor: Keras would attach the mask to the input of other layers.
        return inputs * 1

    def compute_mask(self, inputs, previous_mask=None):
        found = ops.cast(inputs, "float32") != self.mask_value
        found = ops.cast(ops.any(found, axis=-1) if len(inputs.shape) == 3 else found, "int32")
        return ops.flip(ops.cumsum(ops.flip(found, axis=1), axis=1), axis=1) > 0

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mask_value": self.mask_value}


@registered
class ShortenedMask(keras.layers.Layer):
    """Restores the mask of a sequence on the output of a network that shortens it.

    Args:
        strides: Positive integer, the factor by which the network shortens. Defaults to `1`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `[outputs, sequence]`: `(batch, steps, features)`, and the network's input, which
            may have a mask.

    Returns:
        The outputs with the mask `mask[:, ::strides]`, truncated or padded to their length.
    """

    def __init__(self, strides: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.strides = _checks.integer("strides", strides)
        self.supports_masking = True

    def call(self, inputs):
        return inputs[0] * 1

    def compute_mask(self, inputs, previous_mask=None):
        mask = None if previous_mask is None else previous_mask[1]
        if mask is None:
            return None
        mask = ops.cast(every_step(mask, self.strides), "int32")
        # A cumulative sum works for an unknown number of steps, also in symbolic calls.
        ones = ops.max(ops.ones_like(inputs[0], dtype="int32"), axis=-1)
        places = ops.cumsum(ones, axis=1) - 1
        count = ops.sum(ops.ones_like(mask), axis=1, keepdims=True)
        taken = ops.take_along_axis(mask, ops.minimum(places, count - 1), axis=1)
        return ops.logical_and(taken > 0, places < count)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "strides": self.strides}


@registered
class CertainBlank(keras.layers.Layer):
    """Gives CTC's blank, the last unit, probability 1 at masked steps.

    Consumers that ignore the mask, such as metrics on JAX and exported files, then find no labels
    there.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, steps, units)`, logits.
        mask: `(batch, steps)` or `None`.

    Returns:
        The same, with the mask.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return inputs
        certain = np.full(inputs.shape[-1], _IMPOSSIBLE, "float32")
        certain[-1] = 0
        certain = ops.convert_to_tensor(certain, dtype=inputs.dtype)
        return ops.where(ops.expand_dims(ops.cast(mask, "bool"), -1), inputs, certain)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        # Keras writes a policy given as `dtype` only for layers that have this method.
        return super().get_config()
