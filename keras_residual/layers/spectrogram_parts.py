"""Layers around the blocks of keyword networks: channel axis, pooling, frequency convolution."""

from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers._convolution import forms
from keras_residual.layers.composite import SpatialLayer
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.pooling import average_pool
from keras_residual.layers.registration import registered


@registered
class SpectrogramChannel(SpatialLayer):
    """Adds an axis of one channel to spectrograms `(batch, time, frequencies)`."""

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.expand_dims(inputs, self.channel_axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise ValueError(
                f"SpectrogramChannel {self.name!r} takes (batch, time, frequencies). "
                f"Received: input_shape={input_shape}"
            )
        batch, *spatial = input_shape
        return (batch, 1, *spatial) if self.channels_first else (batch, *spatial, 1)


@registered
class SpectrogramPool(SpatialLayer):
    """Average pooling over non-overlapping windows; the remainder is dropped, as in PyTorch.

    Args:
        window: Two positive integers, the times and frequencies of a window.
        **kwargs: Those of `SpatialLayer`.
    """

    def __init__(self, window: tuple[int, int], data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.window = _checks.integers("window", window)

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return average_pool(inputs, self.window, self.window, "valid", self.channels_first)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels, spatial = self.channels_of(input_shape), self.spatial_of(input_shape)
        pairs = [*zip(spatial, self.window, strict=True)]
        if any(size is not None and size < side for size, side in pairs):
            raise ValueError(
                f"SpectrogramPool {self.name!r} averages windows of {self.window} times and "
                f"frequencies; its input has less. Received: input_shape={input_shape}"
            )
        pooled = [None if size is None else size // side for size, side in pairs]
        return self.shape_with(input_shape, spatial=tuple(pooled), channels=channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "window": self.window}


@registered
class FrequencyConvolution(Convolution):
    """A convolution over spectrograms that pads their times, but not their frequencies."""

    def convolution_op(self, inputs: Tensor, kernel: Tensor, training: bool = False) -> Tensor:
        """Returns the convolution with another kernel of the same shape."""
        x = ops.moveaxis(inputs, 1, -1) if self.channels_first else inputs
        times = forms.symmetric_padding(tuple(kernel.shape[:1]))
        x = ops.pad(x, [(0, 0), *times, (0, 0), (0, 0)])
        x = forms.convolve_unpadded(x, kernel, self.groups)
        return ops.moveaxis(x, -1, 1) if self.channels_first else x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        size = self.kernel_shape(input_shape)[1]
        times, frequencies = self.spatial_of(input_shape)
        if frequencies is not None and frequencies < size:
            raise ValueError(
                f"FrequencyConvolution {self.name!r} needs at least {size} frequencies. "
                f"Received: input_shape={input_shape}"
            )
        left = None if frequencies is None else frequencies - size + 1
        return self.shape_with(input_shape, spatial=(times, left), channels=self.filters)
