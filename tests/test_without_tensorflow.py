"""The package on JAX and PyTorch where TensorFlow is not installed."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
import support
import tables

PROGRAM = """
import json, sys

# From here on `import tensorflow` fails as it does where TensorFlow is not installed.
sys.modules["tensorflow"] = None
import keras
import numpy as np

import keras_residual
from keras_residual import data, export, training
from keras_residual.cli import _classifier

digits = data.load("digits")
model = keras_residual.ResNet(
    "basic", (1,), (8,), stem="conv3", stem_width=8, input_shape=(8, 8, 1), classes=10
)
history = training.fit(model, digits, "quick", "run", epochs=1, verbose=0)
loaded = keras.saving.load_model("run/model.keras")
sequences = keras_residual.layers.ResidualLSTM(4, num_layers=2)(np.ones((1, 3, 2), "float32"))
colours = np.zeros((4, 8, 8, 3), "uint8")
inputs = keras_residual.preprocess(colours, "ResNet50")
held_out = [
    np.concatenate(part)
    for part in zip(*_classifier.held_out_batches(digits, 100, (8, 8)).as_numpy_iterator())
]


def error_of(function, *arguments):
    try:
        function(*arguments)
    except ImportError as error:
        return str(error)


print(json.dumps({
    "backend": keras.backend.backend(),
    "loss": history["loss"],
    "equal": bool(np.allclose(
        model.predict(digits.test.x[:4] / 255, verbose=0),
        loaded.predict(digits.test.x[:4] / 255, verbose=0),
    )),
    "shapes": [list(sequences.shape), list(inputs.shape)],
    "held_out": [
        bool(np.allclose(held_out[0], digits.test.x / np.float32(digits.test.scale), atol=1e-6)),
        bool(np.array_equal(held_out[1], digits.test.y)),
    ],
    "parameters": keras_residual.analysis.cost(model).parameters,
    "errors": {
        "pipeline": error_of(data.pipeline, digits.train),
        "folder": error_of(data.load, "photos"),
        "saved_model": error_of(export.export, model, "exported", "saved_model"),
        "litert": error_of(export.export, model, "exported", "litert"),
        "onnx": error_of(export.export, model, "exported", "onnx"),
        "coreml": error_of(export.export, model, "exported", "coreml"),
    },
}))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_works_and_the_rest_says_what_it_needs(backend, tmp_path):
    support.skip_without(backend)
    image_module = pytest.importorskip("PIL.Image")
    for number in range(4):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image_module.new("RGB", (8, 8)).save(path)
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["backend"] == backend and found["equal"] and found["loss"][0] < 5
    assert found["held_out"] == [True, True]
    assert found["shapes"] == [[1, 4], [4, 224, 224, 3]] and found["parameters"] > 0
    for name, message in found["errors"].items():
        assert message is not None, name
        assert message.endswith("needs TensorFlow on every backend: pip install tensorflow"), name


MISSING = """
import sys

sys.argv = {arguments}
sys.modules["{missing}"] = None
{run}
"""
RUNS = {
    "program": ("jax", [""], "import keras_residual"),
    "command": (
        "tensorflow",
        ["keras-residual", "summary", "resnet8"],
        "from keras_residual.cli.main import main; main()",
    ),
}


def test_checks_work_where_the_backend_is_missing():
    program = MISSING.format(
        arguments=["keras-residual", "checks"], missing="tensorflow", run=RUNS["command"][2]
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("backend")]
    assert "tensorflow, which is not installed: pip install tensorflow" in line


@pytest.mark.parametrize(("missing", "arguments", "run"), RUNS.values(), ids=RUNS)
def test_a_missing_backend_is_named(missing, arguments, run):
    program = MISSING.format(arguments=arguments, missing=missing, run=run)
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": missing},
    )
    assert result.returncode in (1, 2)
    last = result.stderr.strip().splitlines()[-1]
    assert f"The backend of Keras is {missing}, which is not installed: pip install" in last
    others = {"tensorflow", "jax"} - {missing}
    installed = [name for name in others if importlib.util.find_spec(name)]
    assert all(f"KERAS_BACKEND={name}" in last for name in installed)


def test_documented_command_without_tensorflow_names_every_other_dependency():
    project = tomllib.loads((tables.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {re.match(r"[\w-]+", line)[0] for line in project["project"]["dependencies"]}
    assert "tensorflow" in needed  # the default install works at once
    page = (tables.ROOT / "docs" / "guide" / "backends.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^pip install (keras .*)$", page, re.MULTILINE)
    assert set(command.split()) == needed - {"tensorflow"} | {"jax"}
    assert "pip install --no-deps" in page
