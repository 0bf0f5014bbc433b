"""The sound input of a LiteRT file for phones, and which models can have one."""

from dataclasses import dataclass

import keras

from keras_residual.layers.log_mel_spectrogram import LogMelSpectrogram


@dataclass(frozen=True)
class SoundFile:
    """The sound input of a LiteRT file: one mono waveform of floats in [-1, 1].

    Attributes:
        sampling_rate: Sampling rate in Hz.
        float_softmax: Whether the softmax of a quantized file is computed in floating point.
    """

    sampling_rate: int
    float_softmax: bool


def sampling_rate_of(model: keras.Model, description) -> int | None:
    """Returns the sampling rate of a model that takes waveforms `(n, samples)`, else `None`."""
    shape = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else ()
    if len(shape) != 2 or not keras.backend.is_float_dtype(model.inputs[0].dtype):
        return None
    if description is not None and description.sampling_rate is not None:
        return description.sampling_rate
    layer = spectrogram_of(model)
    return None if layer is None else layer.sampling_rate


def spectrogram_of(model: keras.Model) -> LogMelSpectrogram | None:
    """Returns the only layer of a model that computes a spectrogram, `None` without one."""
    found = [layer for layer in model.layers if isinstance(layer, LogMelSpectrogram)]
    return found[0] if len(found) == 1 else None


def front_and_rest(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Returns a network split in two after its spectrogram."""
    spectrogram = spectrogram_of(network).output
    front = keras.Model(network.inputs[0], spectrogram, name="front")
    return front, keras.Model(spectrogram, network.outputs[0], name=network.name)
