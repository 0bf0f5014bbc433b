"""`model_for`: a network made for a dataset, the one that the command line trains."""

import shlex

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import keras_residual
from keras_residual import data, training
from keras_residual.cli.main import app


def split(count, seed=0):
    y = np.arange(count) % 4
    x = np.random.default_rng(seed).integers(0, 64, (count, 8, 8, 3)) + 60 * y[:, None, None, None]
    return x.astype(np.uint8), y


def test_a_dataset_decides_shape_classes_and_scaling():
    images, labels = split(48)
    dataset = data.load((images, labels, images, labels))
    model = keras_residual.model_for("resnet8", dataset)
    assert model.input_shape == (None, 8, 8, 3) and model.output_shape == (None, 4)
    values = keras.ops.convert_to_numpy(model.get_layer("standardize")(images / np.float32(255)))
    np.testing.assert_allclose(values.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(values.std((0, 1, 2)), 1, atol=1e-3)
    larger = keras_residual.model_for("resnet8", dataset, image_size=12, classifier_activation=None)
    assert larger.input_shape == (None, 12, 12, 3)
    assert larger.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 3}, "`classes` follows from the dataset"),
        ({"input_tensor": None}, "`input_tensor` follows from the dataset"),
        ({"image_size": 0}, "`image_size` must be a positive integer"),
        ({"image_size": (8, 8, 8)}, "`image_size` must be an integer or 2"),
        ({"width": 3}, "width"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        keras_residual.model_for("resnet8", data.load("digits"), **options)


def test_three_lines_train_what_the_command_line_trains(tmp_path, monkeypatch):
    """Bit for bit, weights and history."""
    monkeypatch.chdir(tmp_path)
    (x, y), (x_test, y_test) = split(48), split(16, seed=1)
    np.savez("tiny.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    line = "train --model resnet8 --dataset tiny.npz --recipe one_cycle --epochs 2 --batch-size 16"
    result = CliRunner().invoke(app, shlex.split(f"{line} --seed 3 --output run"))
    assert result.exit_code == 0, result.output

    keras.utils.set_random_seed(3)
    dataset = data.load("tiny.npz")
    model = keras_residual.model_for("resnet8", dataset)
    recipe = training.Recipe(**{**vars(training.recipes["one_cycle"]), "batch_size": 16})
    training.fit(model, dataset, recipe, "lines", epochs=2, seed=3, verbose=0)

    ours, theirs = (
        keras.saving.load_model(f"{folder}/model.keras").get_weights()
        for folder in ("lines", "run")
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
