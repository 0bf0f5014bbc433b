"""Files are the same whatever backend the model lives on."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from export.matrix import MAKERS, MORE, OPTIONS, inputs_of
from export.phone_networks import RGB, described, network
from support import skip_without

from keras_residual import export

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import json
import numpy as np
import keras
from keras_residual import export
from export.matrix import MAKERS, MORE, OPTIONS, inputs_of
from export.phone_networks import described, network, RGB
model, steps = described(network(), white=1.0), []
data = RGB / np.float32(255)
for quantization in (None, "int8"):
    options = {"measure": False, "progress": steps.append}
    formats = ("saved_model", "litert", "onnx")
    report = export.export(model, sys.argv[2], formats, quantization, data, **options)
    assert all(row.path.exists() for row in report.rows)
    assert not [note for note in report.notes if "not by TensorFlow" in note], report.notes
assert "Writing model_int8.tflite" in steps, steps
"""
# Networks of another kind each: what is joined, gates, three spatial axes, sequences.
KINDS = ("DenseNet121", "SEResNet50", "R2Plus1D18", "ResidualLSTMTagger")
OF_FILES = """
import pathlib
import sys
import keras
import numpy as np
from keras_residual import export

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    model = keras.saving.load_model(path)
    data = np.load(path.with_suffix(".npy"))
    for quantization in (None, "int8"):
        folder = path.parent / keras.backend.backend() / path.stem
        report = export.export(model, folder, "litert", quantization, data, measure=False)
        assert not [note for note in report.notes if "not by TensorFlow" in note], report.notes
"""
OWN_WAY = """
import sys
import keras
import numpy as np
from keras_residual import export

class Own(keras.layers.Layer):
    "Has no name by which another process could find it."
    def call(self, inputs):
        return inputs * 2.0

x = keras.Input((4,), name="x")
model = keras.Model(x, keras.layers.Dense(2)(Own()(x)))
report = export.export(model, sys.argv[1], "onnx", measure=False)
assert "not by TensorFlow" in str(report), str(report)
"""


def run(backend, script, *arguments):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_files_are_those_of_tensorflow(tmp_path, backend):
    skip_without(backend)
    if keras.backend.backend() != "tensorflow":
        pytest.skip("compares with TensorFlow")
    tests = pathlib.Path(__file__).parents[1]
    run(backend, SCRIPT, tests, tmp_path / "other")
    model, data = described(network(), white=1.0), RGB / np.float32(255)
    for quantization in (None, "int8"):
        formats = ("saved_model", "litert", "onnx")
        report = export.export(model, tmp_path / "here", formats, quantization, data, measure=False)
        for row in report.rows:
            other = export.load(tmp_path / "other" / row.path.name)
            assert other.operations() == row.operations
            assert abs(other.bytes - row.bytes) <= 0.02 * row.bytes
            ours, theirs = export.load(row.path).predict(data), other.predict(data)
            np.testing.assert_allclose(ours, theirs, atol=1e-6 if quantization is None else 0.01)
    cards = [json.loads((tmp_path / name / "card.json").read_text()) for name in ("here", "other")]
    assert cards[0]["model"]["weights_sha256"] == cards[1]["model"]["weights_sha256"]
    assert cards[1]["made"]["backend"] == backend


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A folder with a network of each kind, and what TensorFlow makes of it."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("compares with TensorFlow")
    folder = tmp_path_factory.mktemp("networks")
    for family in KINDS:
        maker = MORE.get(family) or MAKERS[family]
        model = maker(**OPTIONS.get(family, {}))
        model.save(folder / f"{family}.keras")
        np.save(folder / f"{family}.npy", inputs_of(model))
    run("tensorflow", OF_FILES, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_kind_of_network_gives_the_same_files(networks, backend):
    skip_without(backend)
    run(backend, OF_FILES, networks)
    for family in KINDS:
        for name in ("model.tflite", "model_int8.tflite"):
            ours, theirs = (
                export.load(networks / place / family / name) for place in ("tensorflow", backend)
            )
            # States of an unrolled LSTM are rescaled at other places in each run of TensorFlow's
            # converter, on one backend too.
            if (family, name) != ("ResidualLSTMTagger", "model_int8.tflite"):
                assert theirs.operations() == ours.operations(), (family, name)
                assert abs(theirs.bytes - ours.bytes) <= 0.001 * ours.bytes, (family, name)
            data = np.load(networks / f"{family}.npy")
            difference = np.abs(theirs.predict(data) - ours.predict(data)).max()
            assert difference <= (1e-6 if name == "model.tflite" else 0.01), (family, name)


@pytest.mark.slow
def test_what_cannot_be_built_again_goes_its_own_way(tmp_path):
    skip_without("torch")
    pytest.importorskip("onnxscript")
    run("torch", OWN_WAY, tmp_path)
