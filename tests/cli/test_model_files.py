"""Model files as the command line reads them."""

import keras
import pytest
from support import skip_without

import keras_residual
from keras_residual import _description, export
from keras_residual.cli import _model_files


def test_a_model_is_read_with_its_description(tmp_path):
    inputs = keras.Input((4,))
    path = tmp_path / "model.keras"
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(path)
    written = _description.Description(task="classification", class_names=("ant", "bee"))
    _description.write_into(path, written)
    assert _description.described(_model_files.load_keras(path)) == written


def test_an_exported_file_is_evaluated_on_the_crop_of_its_model(tmp_path):
    skip_without("ai_edge_litert")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("LiteRT files are written on TensorFlow")
    model = keras_residual.ResNet8(input_shape=(16, 16, 3), classes=2)
    wanted = _description.Description(class_names=("ant", "bee"), white=1.0, fit="crop", crop=0.95)
    _description.describe(model, wanted)
    export.export(model, tmp_path, ["litert"])
    found = _model_files.description_of(tmp_path / "model.tflite")
    assert _model_files.test_crop_of(found) == 0.95


@pytest.mark.parametrize("name", ["missing.keras", "model.h5"])
def test_what_is_no_model_is_named(tmp_path, name):
    path = tmp_path / name
    if name == "model.h5":
        path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=name) as error:
        _model_files.load_keras(path)
    # What the command takes, which is not all that `predict` takes.
    assert "the name of a network" not in str(error.value)
