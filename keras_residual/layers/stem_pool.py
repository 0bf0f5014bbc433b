from keras import ops

from keras_residual import _checks
from keras_residual.layers._borders import mirrored
from keras_residual.layers.blur_pool import BlurPool
from keras_residual.layers.composite import CompositeLayer
from keras_residual.layers.pooling import max_pool
from keras_residual.layers.registration import registered

PADDINGS = ("minimum", "zero")


@registered
class StemPool(CompositeLayer):
    """The max pooling at the end of a stem: windows of 3 on each spatial axis, strides 2.

    Args:
        padding: `"minimum"`, the border is ignored (PyTorch), or `"zero"`, the border counts as
            zeros (keras.applications). Defaults to `"minimum"`.
        nonnegative: Whether the inputs are never negative, as after a ReLU: the two paddings are
            then the same and the cheaper one is computed. Defaults to `False`.
        blur_pool: Whether to downsample by a blur. Defaults to `False`.
        **kwargs: Those of `SpatialLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.

    Returns:
        `(batch, *ceil(spatial / 2), channels)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> keras.ops.shape(StemPool()(keras.ops.ones((1, 5, 4, 3))))
    (1, 3, 2, 3)
    """

    def __init__(
        self,
        padding: str = "minimum",
        nonnegative: bool = False,
        blur_pool: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.padding = _checks.choice("padding", padding, PADDINGS)
        self.nonnegative = _checks.boolean("nonnegative", nonnegative)
        self.blur_pool = _checks.boolean("blur_pool", blur_pool)
        self.blur = None
        if self.blur_pool:
            self.blur = BlurPool(2, name="blur", **self.sublayer_options())

    def plan(self, input_shape):
        steps = [] if self.blur is None else [(self.blur, input_shape)]
        channels = self.channels_of(input_shape)
        spatial = self.strided(input_shape, 2)
        return steps, self.shape_with(input_shape, spatial=spatial, channels=channels)

    def call(self, inputs):
        x = inputs
        axes = self.spatial_axes(len(x.shape))
        if self.nonnegative or self.padding == "zero":
            x = ops.pad(x, [(int(axis in axes),) * 2 for axis in range(len(x.shape))])
        else:
            # Repeating the edge value never changes a maximum; int8 cannot represent infinities.
            for axis in axes:
                x = mirrored(x, axis, 1, repeat_edge=True)
        x = max_pool(x, 3, 1 if self.blur_pool else 2, "valid", self.channels_first)
        return x if self.blur is None else self.blur(x)

    def get_config(self):
        return {
            **super().get_config(),
            "padding": self.padding,
            "nonnegative": self.nonnegative,
            "blur_pool": self.blur_pool,
        }
