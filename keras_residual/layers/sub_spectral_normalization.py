from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.batch_norm import BatchNorm
from keras_residual.layers.composite import checked_data_format
from keras_residual.layers.registration import registered


@registered
class SubSpectralNormalization(BatchNorm):
    """Batch normalization of each sub-band of a spectrogram with its own statistics.

    The frequencies are the last spatial axis. They are divided into `sub_bands` equal parts, and
    each channel has mean, variance, scale and offset for each part.

    Args:
        sub_bands: Positive integer that divides the number of frequencies. Defaults to `5`.
        momentum: Momentum of the moving statistics. Defaults to `0.9`.
        epsilon: Added to the variance. Defaults to `1e-5`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for the Keras default.
        **kwargs: Arguments of `keras.layers.BatchNormalization` but `axis`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point.
        training: Whether to normalize by the batch's statistics and update the moving ones.

    Returns:
        The normalized inputs, same shape.

    Raises:
        ValueError: If `sub_bands` does not divide the number of frequencies.

    Reference:
        - [Chang et al., 2021](https://arxiv.org/abs/2103.13620)

    Example:

    >>> keras.ops.shape(SubSpectralNormalization(5)(keras.ops.ones((1, 7, 20, 3))))
    (1, 7, 20, 3)
    """

    def __init__(
        self,
        sub_bands: int = 5,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(axis=-1, momentum=momentum, epsilon=epsilon, **kwargs)
        self.sub_bands = _checks.integer("sub_bands", sub_bands)
        self.data_format = checked_data_format(data_format)

    def build(self, input_shape: Shape) -> None:
        _, channels = self.bands_of(input_shape)
        super().build((None, None, channels * self.sub_bands))
        axis = 1 if self.data_format == "channels_first" else -1
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes={axis: channels})

    def bands_of(self, shape: Shape) -> tuple[int | None, int]:
        """Returns the number of frequencies, `None` if unknown, and that of channels."""
        if len(shape) not in (3, 4, 5):
            raise ValueError(
                f"SubSpectralNormalization {self.name!r} takes inputs of rank 3, 4 or 5. "
                f"Received: input_shape={shape}"
            )
        first = self.data_format == "channels_first"
        frequencies, channels = (shape[-1], shape[1]) if first else shape[-2:]
        if channels is None or (frequencies is not None and frequencies % self.sub_bands):
            raise ValueError(
                f"`sub_bands` must divide the {frequencies} frequencies that reach "
                f"SubSpectralNormalization {self.name!r}, and the channels must be known. "
                f"Received: sub_bands={self.sub_bands}, input_shape={shape}"
            )
        return frequencies, channels

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        first = self.data_format == "channels_first"
        x = ops.moveaxis(inputs, 1, -1) if first else inputs
        by_batch = training and self.trainable
        x = self._by_statistics(x) if by_batch else self._by_moving_statistics(x)
        return ops.moveaxis(x, -1, 1) if first else x

    def _by_statistics(self, x):
        *outer, frequencies, channels = ops.shape(x)
        apart = (-1, self.sub_bands, frequencies // self.sub_bands, channels)
        # The sub-bands become channels.
        x = ops.transpose(ops.reshape(x, apart), (0, 2, 1, 3))
        x = ops.reshape(x, (-1, apart[2], self.sub_bands * channels))
        x = super().call(x, training=True)
        x = ops.reshape(x, (-1, apart[2], self.sub_bands, channels))
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (*outer, frequencies, channels))

    def _by_moving_statistics(self, x):
        """Applies one scale and offset per frequency and channel, which phones run in place."""
        scale = ops.rsqrt(ops.cast(self.moving_variance, "float32") + self.epsilon)
        scale = scale * ops.cast(self.gamma, "float32") if self.scale else scale
        offset = -ops.cast(self.moving_mean, "float32") * scale
        offset = offset + ops.cast(self.beta, "float32") if self.center else offset
        frequencies, channels = ops.shape(x)[-2:]
        scale, offset = (self._of_frequencies(v, frequencies, channels) for v in (scale, offset))
        y = ops.cast(x, "float32") * scale + offset
        return ops.cast(y, self.compute_dtype)

    def _of_frequencies(self, values, frequencies, channels):
        values = ops.reshape(values, (self.sub_bands, 1, channels))
        values = ops.broadcast_to(values, (self.sub_bands, frequencies // self.sub_bands, channels))
        return ops.reshape(values, (frequencies, channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.bands_of(input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["axis"]
        return {**config, "sub_bands": self.sub_bands, "data_format": self.data_format}
