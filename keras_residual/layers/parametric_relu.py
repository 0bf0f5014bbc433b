import keras
from keras import ops

from keras_residual.layers.composite import SpatialLayer
from keras_residual.layers.registration import registered

NAME = "prelu"


@registered
class ParametricReLU(SpatialLayer):
    """y = max(0, x) + alpha · min(0, x) with one learned alpha a channel: `activation="prelu"`.

    Args:
        **kwargs: Those of `SpatialLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.

    Returns:
        Same shape as the inputs.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1502.01852), alpha starts at 0.25
    """

    def build(self, input_shape):
        self.alpha = self.add_weight(
            name="alpha",
            shape=(self.channels_of(input_shape),),
            initializer=keras.initializers.Constant(0.25),
        )

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def call(self, inputs):
        alpha = self.alpha
        if self.channels_first:
            alpha = ops.reshape(alpha, (-1, *[1] * (len(inputs.shape) - 2)))
        return ops.add(ops.relu(inputs), ops.multiply(alpha, ops.minimum(inputs, 0)))


def learned(activation, **options) -> ParametricReLU | None:
    """Returns the layer of an activation with weights; `None` for all others."""
    return ParametricReLU(name=NAME, **options) if activation == NAME else None
