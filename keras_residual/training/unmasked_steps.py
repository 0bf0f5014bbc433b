"""The unmasked steps of a sequence."""

import keras
from keras import ops


class UnmaskedSteps(keras.layers.Layer):
    """Moves unmasked steps to the front and counts them.

    Keras passes the mask of inputs to layers on every backend. Losses and metrics that use this
    layer need not know where Keras stores it.

    Call arguments:
        inputs: `(batch, steps, units)`.
        mask: `(batch, steps)` or `None`.

    Returns:
        The same with masked steps moved to the end, without a mask; and the numbers of unmasked
        steps, `(batch,)` int32.
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
        # Sorted by distinct keys, so that the sort need not be stable.
        places = ops.cumsum(ops.ones_like(mask), axis=1) + (1 - mask) * ops.shape(mask)[1]
        order = ops.expand_dims(ops.argsort(places, axis=1), -1)
        return ops.take_along_axis(inputs, order, axis=1), ops.sum(mask, axis=1)

    def compute_mask(self, inputs, previous_mask=None):
        """Returns `None`: the outputs need no mask."""
