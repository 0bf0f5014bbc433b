import math
from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers._borders import mirrored
from keras_residual.layers.composite import SpatialLayer
from keras_residual.layers.registration import registered


@registered
class BlurPool(SpatialLayer):
    """Anti-aliased downsampling: a binomial low-pass filter, then every `strides`-th value.

    The border is reflected, so every spatial size must be at least `kernel_size // 2 + 1`.

    Args:
        strides: Positive integer. Defaults to `2`.
        kernel_size: Odd integer of at least 3, length of the binomial filter on each axis.
            Defaults to `3`, the filter (1, 2, 1) / 4.
        **kwargs: Those of `SpatialLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point.

    Returns:
        `(batch, *ceil(spatial / strides), channels)`.

    Raises:
        ValueError: If `kernel_size` is even, or the input is smaller than the reflected border.

    Reference:
        - [Zhang, 2019](https://arxiv.org/abs/1904.11486)
    """

    def __init__(
        self, strides: int = 2, kernel_size: int = 3, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.strides = _checks.integer("strides", strides)
        self.kernel_size = _checks.integer("kernel_size", kernel_size, minimum=3)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd. Received: kernel_size={kernel_size}")

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = self.channels_of(input_shape)
        border = self.kernel_size // 2
        if any(size is not None and size <= border for size in self.spatial_of(input_shape)):
            raise ValueError(
                f"The input of BlurPool {self.name!r} is too small: every spatial size must be at "
                f"least {border + 1} for kernel_size={self.kernel_size}. "
                f"Received: input_shape={input_shape}"
            )

        spatial = self.strided(input_shape, self.strides)
        return self.shape_with(input_shape, spatial=spatial, channels=channels)

    def call(self, inputs: Tensor) -> Tensor:
        # Separable, as weighted strided slices: the same few operations in every rank and backend.
        x = inputs
        for axis in self.spatial_axes(len(inputs.shape)):
            x = self._filter(mirrored(x, axis, self.kernel_size // 2, repeat_edge=False), axis)
        return x

    def _filter(self, x, axis):
        taps = self.kernel_size
        reach = ops.shape(x)[axis] - taps + 1
        total = 2.0 ** (taps - 1)
        parts = []
        for tap in range(taps):
            window = [slice(None)] * len(x.shape)
            window[axis] = slice(tap, tap + reach, self.strides)
            parts.append(x[tuple(window)] * (math.comb(taps - 1, tap) / total))
        return sum(parts[1:], parts[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "strides": self.strides,
            "kernel_size": self.kernel_size,
        }
