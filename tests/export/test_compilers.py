"""Exported models through compilers: XLA, JAX for three platforms, and a TPU's."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from support import set_sequential_weights, skip_without

import keras_residual
from keras_residual import export

SHAPE = (16, 16, 3)
# Operations that no TPU has: calls into libraries, and what talks to the host.
FOREIGN = {"custom-call", "infeed", "outfeed", "send", "recv"}


def tiny(**options):
    model = keras_residual.ResNet(
        "bottleneck",
        (1, 2),
        (8, 8),
        cardinality=4,
        base_width=32,
        se_ratio=0.5,
        stem_width=8,
        input_shape=SHAPE,
        classes=5,
        **options,
    )
    set_sequential_weights(model)
    return model


def test_a_saved_model_compiles_under_xla_without_foreign_operations(tmp_path):
    import tensorflow as tf

    model = tiny()
    images = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    export.export(model, tmp_path, "saved_model", representative_data=images, measure=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    compiled = tf.function(loaded.serve, jit_compile=True)
    np.testing.assert_allclose(compiled(images), model(images, training=False), atol=1e-5)
    text = compiled.experimental_get_compiler_ir(images)(stage="hlo")
    operations = set(re.findall(r"= [^=]*?\b([a-z][a-z-]*)\(", text))
    assert {"convolution", "dot", "reduce"} <= operations
    assert not operations & FOREIGN


SCRIPT = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from export.test_compilers import SHAPE, tiny
from keras_residual import export
images = np.random.default_rng(0).random((3, *SHAPE), np.float32)
report = export.export(tiny(), sys.argv[2], ("saved_model", "litert", "jax"), measure=False,
                       representative_data=images)
assert all(row.verification.relative < 1e-6 for row in report.rows), str(report)
assert report.rows[-1].operations["convolution"] > 5
import keras
# Lengths that are independent, and lengths that must be the same.
long, short = keras.Input((None, 3), name="long"), keras.Input((None, 3), name="short")
data = {"long": np.ones((2, 5, 3), "float32"), "short": np.full((2, 4, 3), 2.0, "float32")}
apart = keras.ops.mean(long, 1) + 3 * keras.ops.mean(short, 1)
# SavedModels are written by Keras, which has no lengths that must be the same.
both, alone = ("saved_model", "jax"), ("jax",)
for outputs, steps, formats in ((apart, 4, both), ({"a": long - short, "b": apart}, 5, alone)):
    model = keras.Model({"long": long, "short": short}, outputs)
    data["short"] = np.full((2, steps, 3), 2.0, "float32")
    for row in export.export(model, sys.argv[2] + "/two", formats, None, data).rows:
        assert row.verification.relative < 1e-6, str(row)
"""


@pytest.mark.slow
def test_models_on_jax_are_exported_for_every_platform(tmp_path):
    """The files agree with the same network here, on TensorFlow."""
    skip_without("jax")
    from jax import export as jax_export

    tests = pathlib.Path(__file__).parents[1]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", SCRIPT, str(tests), str(tmp_path)]
    subprocess.run(command, env=environment, check=True, timeout=600)
    images = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    expected = tiny().predict(images, verbose=0)
    for name in ("saved_model", "model.tflite", "model.jax"):
        found = export.load(tmp_path / name).predict(images)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    exported = jax_export.deserialize(bytearray((tmp_path / "model.jax").read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")


@pytest.mark.slow
def test_keras_own_exporter_writes_folded_models_for_openvino(tmp_path):
    openvino = pytest.importorskip("openvino")
    model = tiny()
    export.fold(model).export(str(tmp_path / "model.xml"), format="openvino", verbose=False)
    images = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(tmp_path / "model.xml", "CPU", precision)
    (found,) = compiled(images).values()
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-5)


@pytest.mark.slow
def test_a_tpu_compiler_takes_inference_and_training():
    skip_without("libtpu")  # the compiler, from `pip install jax[tpu]`
    script = pathlib.Path(__file__).parents[1] / "benchmarks" / "tpu_compile.py"
    command = [sys.executable, str(script), "--network", "tiny", "--batch", "16"]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    rows = re.findall(r"^\| `tiny`, (inference|training step).*", result.stdout, re.M)
    assert rows == ["inference", "training step"]
    costs = re.findall(
        r"^\| `tiny`.* \| ([\d.,]+) \| (\d+) \| \d+ \| (\d+) \|", result.stdout, re.M
    )
    (_, fusions, alone), (_, more, together) = [[float(n) for n in row] for row in costs]
    assert more > fusions > 0
    # Only training exchanges gradients and statistics.
    assert together > alone == 0
