"""`keras-residual predict`: answers on the terminal, in files, and as pictures."""

import io
import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from keras_residual import _description
from keras_residual.cli.main import app

image_module = pytest.importorskip("PIL.Image")


@pytest.fixture
def training(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="look")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Activation("softmax")(x))
    model.get_layer("look").set_weights([np.array([[[[3, 0], [0, 0], [0, 3]]]], "float32")])
    (tmp_path / "runs").mkdir()
    model.save(tmp_path / "runs" / "model.keras")
    described = _description.Description(class_names=("warm", "cold"))
    _description.write_into(tmp_path / "runs" / "model.keras", described)
    for name, colour in (("sun", (250, 40, 0)), ("sea", (0, 40, 250))):
        image_module.new("RGB", (30, 20), colour).save(tmp_path / f"{name}.jpg")


def test_one_line_a_picture(run, training):
    result = run("predict runs sun.jpg sea.jpg --top 1 --output answers/a.csv --explain why")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("sun.jpg: warm 9") and lines[1].startswith("sea.jpg: cold 9")
    assert lines[2].startswith("2 pictures in ")
    assert "answers/a.csv" in result.output and "why: 2 pictures" in result.output


def test_names_are_read_from_standard_input_and_json_is_nothing_else(tmp_path, run, training):
    result = CliRunner().invoke(app, ["predict", "runs", "-", "--json"], "sea.jpg\nsun.jpg\n")
    assert result.exit_code == 0, result.output
    read = json.load(io.StringIO(result.stdout))
    assert [row["answers"][0]["name"] for row in read] == ["cold", "warm"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("predict runs moon.jpg", "`pictures` must exist. Received: moon.jpg"),
        ("predict runs sun.jpg --output a.txt", "--output must end in .csv or .json"),
        ("predict runs sun.jpg --layer look", "--layer has no effect without --explain"),
        ("predict runs sun.jpg --explain why --layer conv7", "Received: --layer conv7"),
        ("predict resnet8 sun.jpg", "`--weights` must name the weights of 'resnet8'"),
    ],
)
def test_wrong_words_are_named_in_one_line(refused, training, line, message):
    assert message in refused(line)
