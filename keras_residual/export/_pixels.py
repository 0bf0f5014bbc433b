"""The scaling from the pixels of a picture to a model's input, as one affine map of channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_residual.layers.image_normalization import ImageNormalization

# ITU-R BT.601, with which JPEG decoders convert colour to grey.
LUMA = (0.299, 0.587, 0.114)
WHITE = 255.0
# The layer with which this package's classifiers standardize pixels in [0, 1].
STANDARDIZE = "standardize"


@dataclass(frozen=True)
class Pixels:
    """The map from RGB pixels 0…255 to a model's input: `matrix @ (pixels - mean)`.

    Attributes:
        matrix: One row of three numbers for each channel of the model.
        mean: Three numbers, the pixel that maps to zero.
    """

    matrix: tuple[tuple[float, float, float], ...]
    mean: tuple[float, float, float]

    @classmethod
    def of_channels(cls, channels: int) -> "Pixels":
        """Returns the map for a model that takes pixels 0…255: three channels, or their luma."""
        rows = np.eye(3) if channels == 3 else np.array([LUMA])
        return cls(_rows(rows), (0.0, 0.0, 0.0))

    @property
    def channels(self) -> int:
        """Number of channels of the model's input."""
        return len(self.matrix)

    @property
    def is_identity(self) -> bool:
        """Whether the model takes unscaled RGB pixels."""
        return self == Pixels.of_channels(3)

    def then(self, layer: keras.layers.Layer) -> "Pixels | None":
        """Returns this map composed with a layer; `None` if the layer does not scale channels."""
        found = affine(layer, self.channels)
        if found is None:
            return None
        order, scale, offset = found
        matrix = scale[:, None] * np.array(self.matrix)[order]
        if not np.all(np.isfinite(matrix)) or not np.all(matrix.any(1)):
            return None
        changed = Pixels(_rows(matrix), self.mean)
        mean = np.array(self.mean) - changed.inverse @ offset
        return Pixels(changed.matrix, tuple(float(value) for value in mean))

    @property
    def inverse(self) -> np.ndarray:
        """`(3, channels)`, from the model's channels back to pixels; grey ones get equal values."""
        matrix = np.array(self.matrix)
        return np.ones((3, 1)) / matrix.sum() if len(matrix) == 1 else np.linalg.inv(matrix)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Returns what the model takes for `(..., 3)` pixels."""
        centred = np.asarray(pixels, np.float64) - np.array(self.mean)
        return (centred @ np.array(self.matrix).T).astype(np.float32)

    def invert(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the pixels that map to these inputs, neither rounded nor clipped."""
        pixels = np.asarray(inputs, np.float64) @ self.inverse.T + np.array(self.mean)
        return pixels.astype(np.float32)

    def pixels_of(self, argument: str, inputs: np.ndarray, whole: bool = True) -> np.ndarray:
        """Returns pixels in 0…255 for a model's inputs, or raises a ValueError.

        Args:
            argument: Its name in errors.
            inputs: `(n, height, width, channels)` as the model takes them.
            whole: Whether they are rounded to integers, like those of pictures.
        """
        pixels = self.invert(inputs)
        beyond = np.mean((pixels < -16) | (pixels > WHITE + 16))
        if beyond > _MOST_BEYOND:
            raise ValueError(
                f"`{argument}` must be inputs as the model takes them, whose pixels lie in 0…255. "
                f"Received: {beyond:.0%} of the pixels outside, from {pixels.min():.4g} to "
                f"{pixels.max():.4g} (`include_preprocessing=True` takes pixels 0…255 instead)"
            )
        clipped = np.clip(pixels, 0.0, WHITE)
        return np.round(clipped) if whole else clipped


# Random numbers in place of standardized pictures exceed the range a little; raw pixels in place of
# scaled ones do so nearly everywhere.
_MOST_BEYOND = 0.25


def affine(layer, channels: int):
    """Returns order, scale and offset of a layer that scales channels, `None` for other layers."""
    order = np.arange(channels)
    if isinstance(layer, ImageNormalization):
        if len(layer.mean) != channels or layer.data_format != "channels_last":
            return None
        order = order[::-1] if layer.channels == "bgr" else order
        std = np.array(layer.std, np.float64)
        return order, 1 / (layer.divisor * std), -np.array(layer.mean, np.float64) / std
    if type(layer) is keras.layers.Rescaling:
        return _broadcast(order, layer.scale, layer.offset, channels)
    if type(layer) is keras.layers.Normalization and not layer.invert:
        if getattr(layer, "mean", None) is None:
            return None
        mean, variance = (keras.ops.convert_to_numpy(v) for v in (layer.mean, layer.variance))
        scale = 1 / np.maximum(np.sqrt(variance.astype(np.float64)), keras.backend.epsilon())
        return _broadcast(order, scale, -mean.astype(np.float64) * scale, channels)
    return None


def _broadcast(order, scale, offset, channels):
    arrays = [np.asarray(value, np.float64).ravel() for value in (scale, offset)]
    if any(array.size not in (1, channels) for array in arrays):
        return None
    return order, *(np.broadcast_to(array, channels) for array in arrays)


def takes_raw_pixels(layer) -> bool:
    """Returns whether a model's first layer scales pixels 0…255."""
    if isinstance(layer, ImageNormalization):
        return layer.divisor * max(layer.std) > 2
    if type(layer) is not keras.layers.Rescaling:
        return False
    return bool(np.all(np.abs(np.asarray(layer.scale, np.float64)) <= 1 / 100))


def _rows(matrix: np.ndarray | Sequence[Any]) -> tuple[Any, ...]:
    return tuple(tuple(float(value) for value in row) for row in matrix)
