import math

import keras
from keras import ops

from keras_residual.layers.composite import CompositeLayer, checked_initializer, checked_regularizer
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.registration import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class EfficientChannelAttention(CompositeLayer):
    """Scales each channel by a gate computed from the means of its neighbours (ECA).

    y = x · sigmoid(conv1d(mean(x))), the convolution running over the channels with a kernel of
    |log2(channels) + 1| / 2 steps, the next odd number, at least 3.

    Args:
        kernel_initializer: Defaults to He normal by fan-out.
        kernel_regularizer: Optional regularizer of the kernel.
        data_format: `"channels_last"`, `"channels_first"` or `None` for the Keras default.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point.

    Returns:
        Same shape as the inputs.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Wang et al., 2020](https://arxiv.org/abs/1910.03151)
    """

    def __init__(
        self,
        kernel_initializer=None,
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.kernel_initializer = checked_initializer(kernel_initializer)
        self.kernel_regularizer = checked_regularizer(kernel_regularizer)
        self.conv = None

    def plan(self, input_shape):
        channels = self.channels_of(input_shape)
        if self.conv is None:
            steps = int(abs(math.log2(channels) + 1) / 2)
            self.conv = Convolution(
                1,
                max(steps + 1 - steps % 2, 3),
                kernel_initializer=self.kernel_initializer,
                kernel_regularizer=self.kernel_regularizer,
                data_format="channels_last",
                dtype=self.dtype_policy,
                name="conv",
            )
        return [(self.conv, (input_shape[0], channels, 1))], tuple(input_shape)

    def call(self, inputs):
        means = ops.mean(inputs, axis=self.spatial_axes(len(inputs.shape)))
        gate = ops.sigmoid(self.conv(ops.expand_dims(means, -1)))
        shape = [-1] + [1] * (len(inputs.shape) - 1)
        shape[self.channel_axis] = inputs.shape[self.channel_axis]
        return inputs * ops.reshape(gate, shape)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
