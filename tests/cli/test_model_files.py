"""Model files as the command line reads them."""

import keras
import pytest

from keras_residual import _description
from keras_residual.cli import _model_files


def test_a_model_is_read_with_its_description(tmp_path):
    inputs = keras.Input((4,))
    path = tmp_path / "model.keras"
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(path)
    written = _description.Description(task="classification", class_names=("ant", "bee"))
    _description.write_into(path, written)
    assert _description.described(_model_files.load_keras(path)) == written


@pytest.mark.parametrize("name", ["missing.keras", "model.h5"])
def test_what_is_no_model_is_named(tmp_path, name):
    path = tmp_path / name
    if name == "model.h5":
        path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=name) as error:
        _model_files.load_keras(path)
    # What the command takes, which is not all that `predict` takes.
    assert "the name of a network" not in str(error.value)
