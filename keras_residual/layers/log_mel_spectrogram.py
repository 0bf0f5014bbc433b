from typing import Any

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual._words import counted
from keras_residual.layers._fourier import (
    MEL_SCALES,
    PowerSpectrum,
    cosine_transform,
    mel_filters,
)
from keras_residual.layers.registration import registered


@registered
class LogMelSpectrogram(keras.layers.Layer):
    """Turns waveforms into log-mel spectrograms, or cepstral coefficients, inside the model.

    y = log(mel(|FFT(window · frame)|²) + offset), with a periodic Hann window and frames centred on
    every `sequence_stride`-th sample, as in torchaudio and librosa. The Fourier transform is
    computed as two small matrix products, so that LiteRT and ONNX files need no FFT operation. All
    is computed in float32 and cast to the layer's compute dtype at the end.

    Args:
        sampling_rate: Positive integer, samples a second. Defaults to `16000`.
        num_mel_bins: Positive integer, number of mel filters. Defaults to `40`.
        sequence_length: Positive integer, samples of a frame. Defaults to `480`.
        sequence_stride: Positive integer, samples between frames. Defaults to `160`.
        fft_length: Even integer of at least `sequence_length`. Defaults to `512`.
        min_freq: Where the first filter begins, in hertz. Defaults to `0`.
        max_freq: Where the last filter ends. Defaults to half of `sampling_rate`.
        mel_scale: `"htk"`, torchaudio's, or `"slaney"`, librosa's. Defaults to `"htk"`.
        norm: `None` for filters of equal height, torchaudio's, or `"slaney"` for filters of equal
            area, librosa's.
        offset: Positive number that is added before the logarithm. Defaults to `1e-6`.
        num_coefficients: Number of cepstral coefficients (MFCC, orthonormal DCT-II) to return in
            place of the logarithms. Defaults to `None`.
        padding: How both ends are padded: `"reflect"`, `"zeros"`, or `"valid"` for no padding:
            frames begin at the first sample and end at the last. Defaults to `"reflect"`.

    Call arguments:
        inputs: `(batch, samples)` or `(batch, samples, 1)`, floating point, usually in [-1, 1].

    Returns:
        `(batch, 1 + samples // sequence_stride, num_mel_bins)`, with `"valid"`
        `1 + (samples - sequence_length) // sequence_stride` frames; `num_coefficients` numbers for
        each frame where that is given.

    Raises:
        ValueError: If an argument is out of range, a filter is narrower than the distance between
            two frequencies, or the waveform has several channels or is shorter than a frame.

    Reference:
        - [Davis and Mermelstein, 1980](https://doi.org/10.1109/TASSP.1980.1163420)

    Example:

    >>> LogMelSpectrogram()(keras.ops.ones((1, 16000))).shape
    TensorShape([1, 101, 40])
    """

    def __init__(
        self,
        sampling_rate: int = 16000,
        num_mel_bins: int = 40,
        sequence_length: int = 480,
        sequence_stride: int = 160,
        fft_length: int = 512,
        min_freq: float = 0.0,
        max_freq: float | None = None,
        mel_scale: str = "htk",
        norm: str | None = None,
        offset: float = 1e-6,
        num_coefficients: int | None = None,
        padding: str = "reflect",
        **kwargs: Any,
    ):
        # Casting the waveform first would lose quiet sounds.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self.sampling_rate = _checks.integer("sampling_rate", sampling_rate)
        self.num_mel_bins = _checks.integer("num_mel_bins", num_mel_bins)
        self.sequence_length = _checks.integer("sequence_length", sequence_length)
        self.sequence_stride = _checks.integer("sequence_stride", sequence_stride)
        self.fft_length = _checks.integer("fft_length", fft_length)
        if self.fft_length < self.sequence_length:
            raise ValueError(
                "`fft_length` must be at least `sequence_length`. "
                f"Received: fft_length={fft_length}, sequence_length={sequence_length}"
            )
        if self.fft_length % 2:
            raise ValueError(f"`fft_length` must be even. Received: fft_length={fft_length}")
        half = self.sampling_rate / 2
        self.min_freq = _checks.real("min_freq", min_freq, 0, half, open_end=True)
        self.max_freq = max_freq
        if max_freq is not None:
            self.max_freq = _checks.real("max_freq", max_freq, min_freq, half, open_start=True)
        self.mel_scale = _checks.choice("mel_scale", mel_scale, MEL_SCALES)
        self.norm = _checks.choice("norm", norm, (None, "slaney"))
        self.offset = _checks.real("offset", offset, np.finfo(np.float32).tiny, np.inf)
        self.num_coefficients = num_coefficients
        if num_coefficients is not None:
            _checks.integer("num_coefficients", num_coefficients)
            if num_coefficients > num_mel_bins:
                raise ValueError(
                    "`num_coefficients` must be at most `num_mel_bins`. Received: "
                    f"num_coefficients={num_coefficients}, num_mel_bins={num_mel_bins}"
                )
        self.padding = _checks.choice("padding", padding, ("reflect", "zeros", "valid"))
        self._make_constants()

    def _make_constants(self):
        length = self.sequence_length
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        self._spectrum = PowerSpectrum(self.fft_length, window)
        highest = self.sampling_rate / 2 if self.max_freq is None else self.max_freq
        filters = mel_filters(
            self.num_mel_bins,
            self.fft_length,
            self.sampling_rate,
            self.min_freq,
            highest,
            self.mel_scale,
            self.norm,
        )
        if empty := int((filters.max(0) == 0).sum()):
            raise ValueError(
                f"`num_mel_bins` must be smaller or `fft_length` larger: {empty} filters hold no "
                f"frequency. Received: num_mel_bins={self.num_mel_bins}, "
                f"fft_length={self.fft_length}, sampling_rate={self.sampling_rate}, "
                f"min_freq={self.min_freq}, max_freq={highest}"
            )
        places = self._spectrum.frequencies
        placed = np.where(places[:, None] < 0, 0, filters[places])
        self._filters = placed.astype(np.float32)
        self._cosines = None
        if self.num_coefficients is not None:
            cosines = cosine_transform(self.num_mel_bins, self.num_coefficients)
            self._cosines = cosines.astype(np.float32)

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, "float32")
        if len(x.shape) == 3:
            x = ops.squeeze(x, -1)
        self._check_length(x)
        frames, count = self._frames(x)
        mel = ops.matmul(self._powers(frames), self._filters)
        y = ops.log(mel + self.offset)
        if self._cosines is not None:
            y = ops.matmul(y, self._cosines)
        return ops.cast(ops.reshape(y, (-1, count, y.shape[-1])), self.compute_dtype)

    def _check_length(self, x):
        """Raises if waveforms are too short, in a TensorFlow graph for any length when it runs."""
        samples = ops.shape(x)[1]
        if isinstance(samples, int):
            self.compute_output_shape(tuple(x.shape))
        elif keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.debugging.assert_greater_equal(
                samples,
                self._least,
                f"LogMelSpectrogram {self.name!r} needs at least "
                f"{counted(self._least, 'sample')} with padding={self.padding!r}.",
            )

    @property
    def _least(self):
        """The smallest number of samples."""
        reflected = (self.sequence_length + 1) // 2 + 1
        return {"valid": self.sequence_length, "reflect": reflected, "zeros": 1}[self.padding]

    def _frames(self, x):
        """Returns frames of all waveforms as `(n, rows, columns)`, and how many each has."""
        stride, length, width = self.sequence_stride, self.sequence_length, self._spectrum.window
        samples = ops.shape(x)[1]
        before = (length + 1) // 2
        if self.padding == "valid":
            count = (samples - length) // stride + 1
        else:
            count = samples // stride + 1
            x = self._padded(x, before, length - before, samples)
        # A frame is a concatenation of whole strides, so no overlapping pieces are gathered.
        pieces = -(-width.size // stride)
        blocks = count + pieces - 1
        x = ops.pad(x, [(0, 0), (0, pieces * stride)])[:, : blocks * stride]
        x = ops.reshape(x, (-1, blocks, stride))
        x = ops.concatenate([x[:, i : i + count] for i in range(pieces)], axis=-1)
        x = ops.reshape(x[:, :, : width.size], (-1, *width.shape))
        return x * ops.convert_to_tensor(width), count

    def _padded(self, x, before, after, samples):
        if self.padding == "zeros":
            return ops.pad(x, [(0, 0), (before, after)])
        start = ops.flip(x[:, 1 : before + 1], axis=1)
        end = ops.flip(x[:, samples - 1 - after : samples - 1], axis=1)
        return ops.concatenate([start, x, end], axis=1)

    def _powers(self, frames):
        """Returns the power at each frequency, `(n, frequencies)` in the spectrum's order."""
        spectrum = self._spectrum
        cos, sin = map(ops.convert_to_tensor, spectrum.rotation)
        x = ops.matmul(ops.transpose(frames, (0, 2, 1)), spectrum.first)
        x = ops.transpose(x, (0, 2, 1))
        real, imaginary = x[:, : cos.shape[0]], x[:, cos.shape[0] :]
        x = ops.concatenate([real * cos + imaginary * sin, imaginary * cos - real * sin], axis=-1)
        x = ops.square(ops.matmul(x, spectrum.second))
        columns = spectrum.columns
        return ops.reshape(x[:, :, :columns] + x[:, :, columns:], (-1, cos.shape[0] * columns))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[2] if len(input_shape) == 3 else 1
        if len(input_shape) not in (2, 3) or channels != 1:
            raise ValueError(
                f"LogMelSpectrogram {self.name!r} takes mono waveforms, (batch, samples) or "
                f"(batch, samples, 1). Received: input_shape={input_shape}"
            )
        samples = input_shape[1]
        if samples is not None and samples < self._least:
            raise ValueError(
                f"LogMelSpectrogram {self.name!r} needs at least {counted(self._least, 'sample')} "
                f"for sequence_length={self.sequence_length} and padding={self.padding!r}. "
                f"Received: input_shape={input_shape}"
            )
        frames = None
        if samples is not None:
            reach = self.sequence_length if self.padding == "valid" else 0
            frames = (samples - reach) // self.sequence_stride + 1
        width = self.num_mel_bins if self.num_coefficients is None else self.num_coefficients
        return (input_shape[0], frames, width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "sampling_rate": self.sampling_rate,
            "num_mel_bins": self.num_mel_bins,
            "sequence_length": self.sequence_length,
            "sequence_stride": self.sequence_stride,
            "fft_length": self.fft_length,
            "min_freq": self.min_freq,
            "max_freq": self.max_freq,
            "mel_scale": self.mel_scale,
            "norm": self.norm,
            "offset": self.offset,
            "num_coefficients": self.num_coefficients,
            "padding": self.padding,
        }
