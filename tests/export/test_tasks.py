"""Files for MediaPipe's other tasks: embeddings of pictures, and maps of classes."""

import os
import pathlib

import keras
import pytest
from export.phone_networks import NAMES, RGB, described, network, write

import keras_residual
from keras_residual import export

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)


def embedder():
    return network(include_top=False, pooling="avg", classes=1000, include_preprocessing=True)


def segmenter():
    """Classes of every pixel, from features of half its size."""
    options = {"stem": "conv3", "stem_width": 8, "features": True}
    body = keras_residual.ResNet("basic", (1, 1), (8, 16), input_shape=(16, 16, 3), **options)
    x = keras.layers.UpSampling2D(interpolation="bilinear")(body.outputs[-1])
    maps = keras.layers.Conv2D(len(NAMES), 3, padding="same", activation="softmax")(x)
    return described(keras.Model(body.input, maps, name="segmenter"), white=1.0)


MAKERS = {"embedder": embedder, "segmenter": segmenter}
MEDIAPIPE = os.environ.get(export.MEDIAPIPE_PYTHON)


def written(task, folder, quantization=None):
    model = MAKERS[task]()
    white = 255.0 if task == "embedder" else 1.0
    return model, RGB * (white / 255), write(model, folder, quantization, RGB * (white / 255)).rows


@pytest.mark.parametrize("task", MAKERS)
def test_the_file_says_which_task_it_is_for(task, tmp_path):
    model, data, (row,) = written(task, tmp_path)
    file = export.load(row.path)
    assert file.facts["task"] == task and file.input_shape == (1, 16, 16, 3)
    assert file.labels == (list(NAMES) if task == "segmenter" else None)
    assert export.verify(row.path, model, data).worst < 1e-4


@pytest.mark.skipif(
    not MEDIAPIPE or not pathlib.Path(MEDIAPIPE).is_file(), reason="no interpreter with mediapipe"
)
@pytest.mark.parametrize("quantization", [None, "int8"])
@pytest.mark.parametrize("task", MAKERS)
def test_mediapipe_answers_as_keras(task, quantization, tmp_path):
    model, data, (row,) = written(task, tmp_path, quantization)
    checked = export.verify(row.path, model, data, runtime="mediapipe")
    assert checked.samples == len(RGB)
    assert checked.relative < (1e-4 if quantization is None else 0.05)
