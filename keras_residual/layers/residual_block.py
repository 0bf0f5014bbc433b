from typing import Any

from keras_residual import _checks
from keras_residual.layers.registration import registered
from keras_residual.layers.residual_unit import ResidualUnit


def checked_kernel_sizes(kernel_sizes) -> tuple[Any, ...]:
    """Returns a tuple of kernel sizes, each an integer or a tuple with one for each axis."""
    if not isinstance(kernel_sizes, (tuple, list)) or not kernel_sizes:
        return _checks.integers("kernel_sizes", kernel_sizes)
    try:
        return tuple(_checks.per_axis("kernel_sizes", size) for size in kernel_sizes)
    except ValueError as error:
        raise ValueError(
            "`kernel_sizes` must hold positive integers, or tuples of one for each spatial axis. "
            f"Received: kernel_sizes={kernel_sizes!r}"
        ) from error


@registered
class ResidualBlock(ResidualUnit):
    """The basic residual block: y = act(F(x) + shortcut(x)), F being two 3×3 convolutions.

    Each convolution is followed by a normalization, with an activation between the two. The
    shortcut is the identity where the shapes of x and F(x) agree, else as `shortcut` says. With
    `activation_order="pre"` normalization and activation precede each convolution and nothing
    follows the sum; a shortcut with a convolution then takes the normalized input.

    Args:
        filters: Positive integer, number of output channels.
        kernel_sizes: One kernel size for each convolution of F: a positive integer, or a tuple with
            one for each spatial axis. Defaults to `(3, 3)`.
        strides: Positive integer, or a tuple with one for each spatial axis: strides of the first
            convolution. Defaults to `1`.
        dilation_rate: Positive integer, dilation of all convolutions (of the first only without
            strides). Defaults to `1`.
        spatial: What the first convolution is: `"plain"`; `"selective"`, a `SelectiveKernel`, or
            `"selective_split"`, the same with its input split over the branches; `se_ratio` and
            `se_divisor` are then those of its selection. Defaults to `"plain"`.
        **kwargs: Those of `ResidualUnit`.

    Raises:
        ValueError: If an argument is out of range, or `shortcut="pad"` would shrink the channels.

    Example:

    >>> keras.ops.shape(ResidualBlock(8)(keras.ops.ones((1, 4, 4, 8))))
    (1, 4, 4, 8)

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385)
        - [He et al., 2016](https://arxiv.org/abs/1603.05027), `activation_order="pre"`
    """

    def __init__(self, filters: int, kernel_sizes: tuple[Any, ...] = (3, 3), **kwargs: Any):
        super().__init__(filters, **kwargs)
        self.kernel_sizes = checked_kernel_sizes(kernel_sizes)
        if self.spatial in ("split", "multi_scale"):
            raise ValueError(
                '`spatial` of a basic block must be "plain", "selective" or "selective_split". '
                f"Received: spatial={self.spatial!r}"
            )
        self._make_sublayers()

    def convolutions(self) -> list[dict[str, Any]]:
        arguments = [
            {"filters": self.filters, "kernel_size": size, "dilation_rate": self.dilation_rate}
            for size in self.kernel_sizes
        ]
        arguments[0].update(self.strided_options())
        arguments[0]["spatial"] = True
        return arguments

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_sizes": self.kernel_sizes}
