"""What a format is stands in one row; everything else follows it."""

import pytest

from keras_residual import export
from keras_residual.export.proof import worker
from keras_residual.export.quantizations import QUANTIZATIONS


def test_the_measuring_program_opens_every_format():
    assert set(worker.RUNTIMES) == {*export.FORMATS, "keras"}


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
    ],
)
def test_file_names(format, asked, name):
    assert export.FORMATS[format].file_name(asked) == name
