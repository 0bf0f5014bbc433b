import keras

from keras_residual import _checks
from keras_residual.layers.registration import PACKAGE
from keras_residual.layers.residual_unit import ResidualUnit


@keras.saving.register_keras_serializable(package=PACKAGE)
class ResidualBlock(ResidualUnit):
    """The basic residual block: y = act(F(x) + shortcut(x)), F being two 3×3 convolutions.

    Each convolution is followed by a normalization; between them stands the activation. The
    shortcut is the identity where the shapes of x and F(x) agree, else what `shortcut` says. With
    `activation_order="pre"` normalization and activation precede each convolution and nothing
    follows the sum; a shortcut with a convolution then takes the normalized input.

    Args:
        filters: Positive integer, number of output channels.
        kernel_sizes: One kernel size for each convolution of F. Defaults to `(3, 3)`.
        strides: Positive integer, strides of the first convolution. Defaults to `1`.
        dilation_rate: Positive integer, dilation of all convolutions (of the first only without
            strides). Defaults to `1`.
        first_dilation_rate: Dilation of the first convolution where it differs: in the place of
            strides it sees the denser grid, what follows the sparser one. Defaults to `None`.
        activation_order: `"post"` (v1), `"pre"` (v2) `"inner"`: as `"post"`, but with nothing
            after the sum, as networks for super-resolution have it; or `"pyramid"`: the same with
            a normalization in front of F (PyramidNet). Defaults to `"post"`.
        shortcut: Kind of the shortcut where shapes differ, see `Shortcut`. Defaults to
            `"projection"`.
        normalize_identity: Whether an identity shortcut is normalized; not with pre-activation.
            Defaults to `False`.
        share_preactivation: Whether an identity shortcut takes the normalized input too, as in the
            first unit of a pre-activation network; only there. Defaults to `False`.
        se_ratio: Inner width of a squeeze-and-excitation as a fraction of the channels; `0` for
            none. Defaults to `0`.
        se_divisor: The inner width is rounded to a multiple of it; only with `se_ratio`. Defaults
            to `1`.
        drop_path_rate: Probability to drop F for a sample, in `[0, 1)`. Defaults to `0`.
        dropout_rate: Dropout before the last convolution, in `[0, 1)`. Defaults to `0`.
        blur_pool: What downsamples in place of strided convolutions and projections, see
            `ConvNorm`; all shortcuts but `"projection"` stay what they are. Defaults to `False`.
        zero_init_residual: Whether F starts at zero. Defaults to `False`.
        residual_scale: Number in `[0, 1]` that F is multiplied by. Defaults to `1`.
        conv_bias: Whether convolutions that no normalization follows have a bias; only
            pre-activation has such. Defaults to `False`.
        attention: What scales the channels of F: `"squeeze_excite"` with `se_ratio`, at the end;
            `"inner_squeeze_excite"`, in front of the last convolution and `se_ratio` times the
            block's input wide (RegNet); or `"eca"`, an `EfficientChannelAttention`. Defaults to
            `"squeeze_excite"`.
        spatial: What the first convolution is: `"plain"`; `"selective"`, a `SelectiveKernel`, or
            `"selective_split"`, the same with its input split over the branches; `se_ratio` and
            `se_divisor` are then those of its selection. Defaults to `"plain"`.
        branches: Positive integer, branches of that layer. Defaults to `2`.
        shake_drop: Whether drop path scales F by random numbers instead, see `ShakeDrop`. Defaults
            to `False`.
        normalization: `"batch"`, `"group"`, `"layer"`, `"evonorm"`, `"none"` or `"folded"`, see
            `ConvNorm`. Defaults to `"batch"`.
        activation: Keras activation or `"prelu"`. Defaults to `"relu"`.
        norm_momentum: Momentum of the batch normalization. Defaults to `0.9`.
        norm_epsilon: Epsilon of the normalization. Defaults to `1e-5`.
        kernel_initializer: Defaults to He normal by fan-out.
        kernel_regularizer: Optional regularizer of every kernel.
        weight_standardization: Whether kernels are standardized, see `Convolution`. Defaults to
            `False`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for the Keras default.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether normalization uses batch statistics, and drop path and dropout act.
        drop_path_rate: Optional scalar that takes the place of the layer's rate in this call.

    Returns:
        `(batch, *ceil(spatial / strides), filters)`.

    Raises:
        ValueError: If an argument is out of range, or `shortcut="pad"` would shrink the channels.

    Example:

    >>> keras.ops.shape(ResidualBlock(8)(keras.ops.ones((1, 4, 4, 8))))
    (1, 4, 4, 8)

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385)
        - [He et al., 2016](https://arxiv.org/abs/1603.05027), `activation_order="pre"`
    """

    def __init__(self, filters: int, kernel_sizes: tuple[int, ...] = (3, 3), **kwargs):
        super().__init__(filters, **kwargs)
        self.kernel_sizes = _checks.integers("kernel_sizes", kernel_sizes)
        if self.spatial in ("split", "multi_scale"):
            raise ValueError(
                '`spatial` of a basic block must be "plain", "selective" or "selective_split". '
                f"Received: spatial={self.spatial!r}"
            )
        self._make_sublayers()

    def convolutions(self):
        arguments = [
            {"filters": self.filters, "kernel_size": size, "dilation_rate": self.dilation_rate}
            for size in self.kernel_sizes
        ]
        arguments[0].update(self.strided_options())
        arguments[0]["spatial"] = True
        return arguments

    def get_config(self):
        return {**super().get_config(), "kernel_sizes": self.kernel_sizes}
