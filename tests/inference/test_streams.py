"""What a stream of pieces refuses."""

import numpy as np
import pytest

from keras_residual import ResidualLSTMTranscriber, inference

TINY = {"classes": 3, "units": 4, "num_layers": 1}


@pytest.mark.parametrize("padding", ["zeros", "valid"])
def test_samples_in_integers_are_not_between_1_and_minus_1(padding):
    spectrogram = {"sampling_rate": 8000, "padding": padding}
    model = ResidualLSTMTranscriber((None,), spectrogram=spectrogram, **TINY)
    heard = inference.TranscriptStream(model)
    with pytest.raises(ValueError, match="divide int16 by 32768"):
        heard.push(np.zeros(800, "int16"))
    heard.push(np.zeros(800, "float64"))


def test_after_its_end_a_stream_needs_a_reset():
    heard = inference.TranscriptStream(ResidualLSTMTranscriber((None, 2), **TINY))
    sequence = np.random.default_rng(0).normal(size=(9, 2))
    heard.push(sequence)
    heard.finish()
    assert heard.finish() == ()
    with pytest.raises(ValueError, match="has ended: `reset` begins a new one"):
        heard.push(sequence)
    labels = heard.labels
    heard.reset()
    heard.push(sequence)
    assert heard.labels == labels
