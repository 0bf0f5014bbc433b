"""Networks for clips as files: what is computed as 2-D convolutions has no 3-D one."""

import keras
import numpy as np
import pytest
from cases import MODELS
from export.matrix import BOUNDS, run
from support import set_sequential_weights

from keras_residual import export

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT and ONNX files are written on TensorFlow", allow_module_level=True)

CASES = {case.name: case for case in MODELS}


@pytest.mark.parametrize(
    ("name", "format", "quantization"),
    [
        ("R2Plus1D18", "litert", None),
        ("R2Plus1D18", "litert", "int8"),
        pytest.param("R2Plus1D18", "onnx", None, marks=pytest.mark.slow),
        pytest.param("MC3_18", "litert", None, marks=pytest.mark.slow),
        pytest.param("MC3_18", "litert", "int8", marks=pytest.mark.slow),
        pytest.param("MC3_18", "onnx", None, marks=pytest.mark.slow),
        pytest.param("R3D18", "litert", None, marks=pytest.mark.slow),
    ],
)
def test_convolutions_in_files(name, format, quantization, tmp_path):
    model = CASES[name].make()
    set_sequential_weights(model)
    row = run(model, format, quantization, tmp_path)
    assert row.verification.relative <= BOUNDS[quantization]
    found = {key: count for key, count in row.operations.items() if "CONV" in key.upper()}
    if format == "onnx":
        return
    assert not [key for key in row.operations if key.startswith(("Flex", "CUSTOM"))]
    volumes = {"R2Plus1D18": 0, "MC3_18": 3, "R3D18": 9}[name]
    assert found.get("CONV_3D", 0) == volumes
    assert np.sum([*found.values()]) - volumes > 0
    if quantization is None:
        refused = {r.operation: r.remedy for r in export.lint(row.path, ["xnnpack"])}
        assert set(refused) == ({"CONV_3D"} if volumes else set())
        assert "factorized" in refused.get("CONV_3D", "factorized")
