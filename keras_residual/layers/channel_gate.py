"""Base of channel attention layers."""

from typing import Any

import keras
from keras import ops

from keras_residual._types import Identifier, Tensor
from keras_residual.layers.composite import CompositeLayer, checked_initializer, checked_regularizer


class ChannelGate(CompositeLayer):
    """Base of the layers that scale each channel by a number computed from the channels' means.

    Args:
        kernel_initializer: Defaults to He normal by fan-out.
        kernel_regularizer: Optional regularizer of every kernel.
        **kwargs: Those of `SpatialLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point.

    Returns:
        Same shape as the inputs.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        kernel_initializer: Identifier | None = None,
        kernel_regularizer: Identifier | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.kernel_initializer = checked_initializer(kernel_initializer)
        self.kernel_regularizer = checked_regularizer(kernel_regularizer)

    def gate(self, means: Tensor) -> Tensor:
        """Returns the factor of each channel from its mean, both `(batch, channels)`."""
        raise TypeError(f"{type(self).__name__} must implement `gate`.")

    def call(self, inputs: Tensor) -> Tensor:
        gate = self.gate(ops.mean(inputs, axis=self.spatial_axes(len(inputs.shape))))
        shape = [-1] + [1] * (len(inputs.shape) - 1)
        shape[self.channel_axis] = inputs.shape[self.channel_axis]
        return inputs * ops.reshape(gate, shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
