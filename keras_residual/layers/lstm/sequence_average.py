"""The mean of a sequence over its unmasked steps."""

import keras
from keras import ops

from keras_residual.layers.registration import registered


@registered
class SequenceAverage(keras.layers.GlobalAveragePooling1D):
    """Averages the steps of each sequence that are not masked; zero where all are masked.

    `keras.layers.GlobalAveragePooling1D` divides by the number of unmasked steps and returns NaN
    for a sequence that is all padding.

    Call arguments:
        inputs: `(batch, time, features)`, floating point.
        mask: `(batch, time)`, false where a step does not count, or `None`.

    Returns:
        `(batch, features)`, or `(batch, 1, features)` with `keepdims=True`.

    Example:

    >>> pool = SequenceAverage()
    >>> pool(keras.ops.ones((1, 3, 2)), mask=keras.ops.zeros((1, 3), "bool")).shape
    (1, 2)
    """

    def call(self, inputs, mask=None):
        if mask is None:
            return super().call(inputs)
        axis = 1 if self.data_format == "channels_last" else 2
        mask = ops.expand_dims(ops.cast(mask, "bool"), 3 - axis)
        # `where` instead of a product, because a masked step may hold NaN.
        kept = ops.where(mask, inputs, ops.zeros((), inputs.dtype))
        # The sum of a long sequence exceeds what float16 holds.
        wide = keras.backend.result_type(inputs.dtype, "float32")
        total = ops.sum(ops.cast(kept, wide), axis=axis, keepdims=self.keepdims)
        count = ops.sum(ops.cast(mask, wide), axis=axis, keepdims=self.keepdims)
        return ops.cast(total / ops.maximum(count, 1), self.compute_dtype)
