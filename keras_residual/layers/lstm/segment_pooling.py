"""The mean of a sequence over given segments."""

import keras
from keras import ops

from keras_residual.layers.registration import registered


@registered
class SegmentPooling(keras.layers.Layer):
    """Averages the steps of each given segment of a sequence.

    y_s = mean of x_t over start_s <= t < end_s, masked steps left out. A segment without a step, as
    `(0, 0)` is, gives zeros and is masked in the output, so that it counts in no loss.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `[sequences, segments]`: `(batch, time, features)`, floating point, and
            `(batch, segments, 2)`, the first step of each segment and the step after its last.
        mask: `[mask of the sequences, None]`; the first is `(batch, time)` or `None`.

    Returns:
        `(batch, segments, features)`.

    Raises:
        ValueError: If the inputs are not two, or their ranks or the segments' columns are wrong.

    Example:

    >>> pooling = SegmentPooling()
    >>> pooling([keras.ops.ones((1, 5, 3)), keras.ops.array([[[0, 2], [2, 5]]])]).shape
    (1, 2, 3)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        self._check([getattr(tensor, "shape", None) for tensor in inputs])
        sequences, segments = inputs
        inside = ops.cast(_inside(sequences, segments, mask), sequences.dtype)
        count = ops.sum(inside, axis=-1, keepdims=True)
        if mask is not None and mask[0] is not None:
            # A masked step may hold NaN, which a factor of 0 would not remove.
            kept = ops.expand_dims(ops.cast(mask[0], "bool"), -1)
            sequences = ops.where(kept, sequences, ops.zeros((), sequences.dtype))
        return ops.matmul(inside / ops.maximum(count, 1), sequences)

    def compute_mask(self, inputs, previous_mask=None):
        return ops.any(_inside(*inputs, previous_mask), axis=-1)

    def compute_output_shape(self, input_shape):
        sequences, segments = self._check(input_shape)
        return (*segments[:2], sequences[-1])

    def get_config(self):
        # Keras writes a policy given as `dtype` only for layers that have this method.
        return super().get_config()

    def _check(self, shapes):
        try:
            sequences, segments = (tuple(shape) for shape in shapes)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`inputs` of {self.name!r} must be [sequences, segments]. "
                f"Received: inputs of the shapes {shapes}"
            ) from error
        if len(sequences) != 3:
            raise ValueError(
                "`sequences` must have rank 3, (batch, time, features). "
                f"Received: a shape of {sequences}"
            )
        if len(segments) != 3 or segments[-1] != 2:
            raise ValueError(
                "`segments` must be (batch, segments, 2), the first step and the one after the "
                f"last. Received: a shape of {segments}"
            )
        return sequences, segments


def _inside(sequences, segments, masks):
    """Returns which steps belong to which segment, `(batch, segments, time)`."""
    mask = masks[0] if masks is not None else None
    # A cumulative sum works for an unknown number of steps, also in symbolic calls.
    steps = ops.cumsum(ops.ones_like(sequences[..., 0], dtype="int32"), axis=1) - 1
    steps = ops.expand_dims(steps, 1)
    segments = ops.cast(segments, "int32")
    inside = ops.logical_and(segments[..., :1] <= steps, steps < segments[..., 1:])
    return inside if mask is None else ops.logical_and(inside, ops.expand_dims(mask, 1))
