from keras import ops

from keras_residual import _checks
from keras_residual.layers.blur_pool import BlurPool
from keras_residual.layers.composite import SpatialLayer
from keras_residual.layers.pooling import average_pool
from keras_residual.layers.registration import registered
from keras_residual.layers.strides import downsamples

DOWNSAMPLING = (False, True, "average", "average3", "average3_before")


@registered
class AveragePool(SpatialLayer):
    """Average pooling to `ceil(spatial / strides)`.

    An even window is not padded; an odd one is padded with zeros, which count in the average as in
    PyTorch.

    Args:
        strides: Positive integer. Defaults to `2`.
        kernel_size: Positive integer, side of the window. Defaults to `2`.
        **kwargs: Those of `SpatialLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point.

    Returns:
        `(batch, *ceil(spatial / strides), channels)`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, strides: int = 2, kernel_size: int = 2, data_format: str | None = None, **kwargs
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.strides = _checks.integer("strides", strides)
        self.kernel_size = _checks.integer("kernel_size", kernel_size)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape):
        channels, spatial = self.channels_of(input_shape), self.strided(input_shape, self.strides)
        return self.shape_with(input_shape, spatial=spatial, channels=channels)

    def call(self, inputs):
        x, border, padding = inputs, self.kernel_size // 2, "same"
        if self.kernel_size % 2 and border:
            axes = self.spatial_axes(len(x.shape))
            x = ops.pad(x, [(border * (axis in axes),) * 2 for axis in range(len(x.shape))])
            padding = "valid"
        return average_pool(x, self.kernel_size, self.strides, padding, self.channels_first)

    def get_config(self):
        return {
            **super().get_config(),
            "strides": self.strides,
            "kernel_size": self.kernel_size,
        }


def downsampler(kind, strides: int, **options):
    """Returns the layer that downsamples in place of a strided convolution.

    Args:
        kind: One of `DOWNSAMPLING`, `False` for the strides themselves.
        strides: Positive integer.
        **options: Arguments of the layer.

    Returns:
        A layer, or `None` where there is nothing to do.
    """
    if kind is False or not downsamples(strides):
        return None
    if kind is True:
        return BlurPool(strides, name="blur", **options)
    return AveragePool(strides, 2 if kind == "average" else 3, name="blur", **options)
