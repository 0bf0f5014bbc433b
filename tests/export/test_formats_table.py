"""A format is defined by one row of a table, from which everything else follows."""

import keras
import numpy as np
import pytest

from keras_residual import export
from keras_residual.export.proof import worker
from keras_residual.export.quantizations import QUANTIZATIONS


def test_the_measuring_program_opens_every_format():
    timed = {row.name for row in export.FORMATS.values() if row.timed}
    assert set(worker.RUNTIMES) == {*timed, "keras"}


def test_names_and_suffixes_tell_formats_apart():
    rows = export.FORMATS.values()
    assert [row.name for row in rows] == list(export.FORMATS)
    suffixes = [row.suffix for row in rows]
    assert len(set(suffixes)) == len(suffixes)
    assert all(set(row.quantizations) <= set(QUANTIZATIONS) for row in rows)


@pytest.mark.parametrize(
    ("format", "asked", "name"),
    [
        ("saved_model", "int8", "saved_model"),
        ("litert", None, "model.tflite"),
        ("litert", "int16x8", "model_int16x8.tflite"),
        ("onnx", "float16", "model_float16.onnx"),
        ("jax", "int8", "model.jax"),
        ("coreml", "int8", "model.mlpackage"),
        ("coreml", "dynamic", "model_dynamic.mlpackage"),
    ],
)
def test_file_names(format, asked, name):
    assert export.FORMATS[format].file_name(asked) == name


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="LiteRT files need TensorFlow")
def test_a_sum_that_is_zero_throughout_has_no_integers(tmp_path):
    """XNNPACK would end the process that loads such a file."""
    x = inputs = keras.Input((8, 8, 2), name="image")
    x = keras.layers.Conv2D(2, 1, use_bias=False, kernel_initializer="ones")(x)
    outputs = keras.layers.Conv2D(2, 1)(keras.layers.Subtract(name="nothing")([x, inputs * 2.0]))
    model = keras.Model(inputs, outputs)
    data = np.repeat(np.random.default_rng(0).random((8, 8, 8, 1), np.float32), 2, -1)
    with pytest.raises(export.ExportError, match=r"int8 has no scale for .*nothing"):
        export.export(model, tmp_path / "new", "litert", "int8", data, measure=False)
