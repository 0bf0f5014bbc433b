"""Transcripts of files by a model of a fixed length."""

import numpy as np
import pytest

from keras_residual import ResidualLSTMTranscriber, data, inference
from keras_residual._description import Description

soundfile = pytest.importorskip("soundfile")


def test_the_end_of_a_recording_is_not_dropped(tmp_path):
    model = ResidualLSTMTranscriber(
        (800,), classes=2, units=4, num_layers=1, spectrogram={"sampling_rate": 8000}
    )
    description = Description("transcription", ("a", "b"), sampling_rate=8000)
    predictor = inference.load_predictor(model, description=description)
    for samples in (300, 800, 801, 850):
        soundfile.write(tmp_path / f"{samples}.wav", np.zeros(samples), 8000)
    for samples in (300, 800):
        assert len(inference.transcribe(predictor, tmp_path / f"{samples}.wav")) == 1
    for samples in (801, 850):
        with pytest.raises(data.DatasetError, match="longer than the 800 samples"):
            inference.transcribe(predictor, tmp_path / f"{samples}.wav")
