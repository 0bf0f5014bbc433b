"""Steps of a sequence without those that its mask leaves out."""

import keras
from keras import ops


class UnmaskedSteps(keras.layers.Layer):
    """Moves the steps that are not masked to the front and counts them.

    Keras gives layers the mask that comes with their inputs, on every backend. Losses and metrics
    that ask a layer need not know where Keras keeps it.

    Call arguments:
        inputs: `(batch, steps, units)`.
        mask: `(batch, steps)` or `None`.

    Returns:
        The same, in which masked steps follow after all others, without a mask; and the numbers of
        steps that are not masked, `(batch,)` int32.
    """

    def __init__(self):
        super().__init__(autocast=False, name="unmasked_steps")
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if len(inputs.shape) != 3:
            raise ValueError(
                "`y_pred` must have the shape (batch, steps, units). "
                f"Received: a shape of {tuple(inputs.shape)}"
            )
        if mask is None:
            return inputs * 1, ops.sum(ops.ones_like(inputs[..., 0], dtype="int32"), axis=1)
        mask = ops.cast(mask, "int32")
        # Sorted by places that all differ: no backend need sort stably.
        places = ops.cumsum(ops.ones_like(mask), axis=1) + (1 - mask) * ops.shape(mask)[1]
        order = ops.expand_dims(ops.argsort(places, axis=1), -1)
        return ops.take_along_axis(inputs, order, axis=1), ops.sum(mask, axis=1)

    def compute_mask(self, inputs, previous_mask=None):
        """Returns no mask: what is counted needs none."""
