"""Super-resolution networks in LiteRT and ONNX: builtin operations, the same pictures."""

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual import export


def windows(name):
    """A network for windows of one size, and some windows."""
    keras.utils.set_random_seed(1)
    model = keras_residual.get_model(name, scale=2, filters=4, depth=4)
    inputs = keras.Input((12, 12, model.input_shape[-1]))
    samples = np.random.default_rng(0).random((4, *inputs.shape[1:]), np.float32)
    return keras.Model(inputs, model(inputs), name=name.lower()), samples


@pytest.mark.parametrize(
    "name", ["EDSR", *(pytest.param(name, marks=pytest.mark.slow) for name in ("SRResNet", "VDSR"))]
)
def test_float_files_put_out_the_same_pictures(name, tmp_path):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnx")
    model, samples = windows(name)
    export.export(model, tmp_path, formats=("litert", "onnx"), representative_data=samples)
    expected = model.predict(samples, verbose=0)
    for file in ("model.tflite", "model.onnx"):
        found = export.load(tmp_path / file).predict(samples)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    if name != "VDSR":
        content = (tmp_path / "model.onnx").read_bytes()
        assert b"DepthToSpace" in content, "the shuffle is one operation"


def test_int8_stays_within_two_grey_levels(tmp_path):
    pytest.importorskip("ai_edge_litert")
    model, samples = windows("EDSR")
    options = {"formats": "litert", "quantization": "int8", "representative_data": samples}
    export.export(model, tmp_path, **options)
    found = export.load(tmp_path / "model_int8.tflite").predict(samples)
    assert np.abs(found - model.predict(samples, verbose=0)).max() < 2 / 255
