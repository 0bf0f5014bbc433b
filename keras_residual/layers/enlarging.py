"""Base of upsampling layers."""

from typing import Any

from keras_residual import _checks
from keras_residual._types import Shape
from keras_residual.layers.composite import SpatialLayer


class EnlargingLayer(SpatialLayer):
    """Base of the layers that multiply every spatial size by one integer.

    Args:
        scale: Positive integer, the factor of every spatial size. Defaults to `2`.
        **kwargs: Those of `SpatialLayer`.
    """

    def __init__(self, scale: int = 2, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.scale = _checks.integer("scale", scale)

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)

    def enlarged(self, shape: Shape, channels: int) -> Shape:
        """Returns the shape after enlarging, with other channels."""
        larger = [None if size is None else size * self.scale for size in self.spatial_of(shape)]
        return self.shape_with(shape, spatial=larger, channels=channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}
