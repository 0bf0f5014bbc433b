from typing import Any

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual._words import counted
from keras_residual.layers.registration import registered

_WHITE = 255.0


@registered
class ImageNormalization(keras.layers.Layer):
    """Normalizes images with values 0…255 as a network's weights expect, inside the model.

    y = (x / divisor - mean) / std, channel by channel, optionally after reversing RGB to BGR. It is
    computed in float32 as one multiplication and one subtraction, which converters to int8 support,
    and cast to the layer's compute dtype at the end.

    Args:
        mean: One number for each channel, in the order of `channels`.
        std: One positive number for each channel.
        divisor: Positive number. Defaults to `255`.
        channels: `"rgb"`, or `"bgr"` to reverse the three channels of an RGB image first. Defaults
            to `"rgb"`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for the Keras default.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, integers or floating point.

    Returns:
        The same shape, floating point.

    Raises:
        ValueError: If `mean` and `std` differ in length, a divisor is not positive, or the input
            has another number of channels.

    Example:

    >>> layer = ImageNormalization(mean=(0.5,) * 3, std=(0.5,) * 3)
    >>> float(layer(255 * keras.ops.ones((1, 2, 2, 3)))[0, 0, 0, 0])
    1.0
    """

    def __init__(
        self,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        divisor: float = 255.0,
        channels: str = "rgb",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        # Casting first would round 0…255 to the compute dtype before the mean is subtracted.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        _checks.choice("data_format", self.data_format, ("channels_last", "channels_first"))
        self.channel_axis = 1 if self.data_format == "channels_first" else -1
        self.mean = _checked_numbers("mean", mean, -np.inf)
        self.std = _checked_numbers("std", std, np.finfo(np.float32).tiny)
        self.divisor = _checks.real("divisor", divisor, np.finfo(np.float32).tiny, 3e38)
        self.channels = _checks.choice("channels", channels, ("rgb", "bgr"))
        if len(self.mean) != len(self.std) or (channels == "bgr" and len(self.mean) != 3):
            raise ValueError(
                "`mean` and `std` must have one number for each channel, three for "
                f"channels='bgr'. Received: mean={mean}, std={std}, channels={channels!r}"
            )

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 3 or input_shape[self.channel_axis] != len(self.mean):
            raise ValueError(
                f"ImageNormalization {self.name!r} takes (batch, *spatial, channels) with "
                f"{counted(len(self.mean), 'channel')}, {self.data_format}. "
                f"Received: input_shape={input_shape}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, "float32")
        if self.channels == "bgr":
            x = ops.flip(x, axis=self.channel_axis)
        std, mean = np.asarray(self.std, np.float64), np.asarray(self.mean, np.float64)
        shape = [1] * len(inputs.shape)
        shape[self.channel_axis] = len(self.mean)
        scale = ops.convert_to_tensor((1 / (self.divisor * std)).reshape(shape), "float32")
        x = x * scale - ops.convert_to_tensor((mean / std).reshape(shape), "float32")
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "mean": list(self.mean),
            "std": list(self.std),
            "divisor": self.divisor,
            "channels": self.channels,
        }


def _checked_numbers(name: str, values, minimum: float) -> tuple[float, ...]:
    try:
        return tuple(_checks.real(name, value, minimum, np.inf) for value in values)
    except TypeError as error:
        raise ValueError(
            f"`{name}` must be a sequence of numbers. Received: {name}={values!r}"
        ) from error


def white_of(model: keras.Model) -> float | None:
    """Returns the value of a white pixel in the input of a model that normalizes images inside.

    `None` if it does not normalize them.
    """
    if not any(isinstance(layer, ImageNormalization) for layer in model.layers):
        return None
    for layer in model.layers:
        # Pixels of another range are rescaled to 0…255 first.
        if isinstance(layer, keras.layers.Rescaling) and np.ndim(layer.scale) == 0:
            return _WHITE / layer.scale
        if isinstance(layer, ImageNormalization):
            break
    return _WHITE
