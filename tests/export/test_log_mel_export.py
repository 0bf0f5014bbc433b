"""Spectrograms inside exported files: built-in operations only, and the layer's numbers."""

import keras
import numpy as np
import pytest

from keras_residual import export
from keras_residual.layers import LogMelSpectrogram

for package in ("ai_edge_litert", "onnxruntime", "tf2onnx"):
    pytest.importorskip(package, reason="the extra `export` is not installed")
if keras.backend.backend() != "tensorflow":
    pytest.skip("The files are written on the TensorFlow backend", allow_module_level=True)


FILES = {"litert": "model.tflite", "onnx": "model.onnx"}


@pytest.mark.parametrize("num_coefficients", [None, 10])
@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_a_file_takes_a_waveform(format, num_coefficients, tmp_path):
    inputs = keras.Input((4000,))
    layer = LogMelSpectrogram(num_coefficients=num_coefficients)
    model = keras.Model(inputs, layer(inputs))
    # Refused if an operation is not built in, or if the file computes something else.
    export.export(model, tmp_path, formats=[format], measure=False)
    waves = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4000)).astype("float32")
    found = export.load(tmp_path / FILES[format]).predict(waves)
    np.testing.assert_allclose(found, model.predict_on_batch(waves), atol=2e-5)
