"""Predictions of video models for clips in files."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_residual import Description, data, inference, training
from keras_residual._description import describe
from keras_residual.data import DatasetError, read_clip


@pytest.fixture
def model():
    """Two outputs: the mean of the first frame that it sees, and of the last."""
    inputs = keras.Input((4, 6, 8, 3))
    means = keras.ops.mean(inputs, axis=(2, 3, 4))
    outputs = keras.ops.stack([means[:, 0], means[:, -1]], axis=-1)
    made = keras.Model(inputs, outputs, name="frames")
    describe(made, Description("regression", ("first", "last"), white=255.0))
    return made


def write_clip(folder, count):
    folder.mkdir(parents=True)
    for number in range(count):
        image = np.full((6, 8, 3), 10 * number, np.uint8)
        (folder / f"{number:02d}.png").write_bytes(tf.io.encode_png(image).numpy())


def test_the_middle_of_each_clip_is_shown(model, tmp_path):
    for name, count in (("a", 4), ("b", 9)):
        write_clip(tmp_path / name, count)
    (tmp_path / ".hidden").mkdir()
    found = inference.predict(model, tmp_path)
    assert [answer.path for answer in found] == [str(tmp_path / "a"), str(tmp_path / "b")]
    np.testing.assert_allclose([answer.values for answer in found], [[0, 30], [20, 50]], atol=1e-4)
    assert read_clip(tmp_path / "b").shape == (9, 6, 8, 3)


def test_short_and_missing_clips_are_named(model, tmp_path):
    write_clip(tmp_path / "one", 1)
    write_clip(tmp_path / "long", 5)
    with pytest.raises(DatasetError, match=r"1 of 2 clips cannot be read.*one has 1 frame, fewer"):
        inference.predict(model, tmp_path)
    assert len(inference.predict(model, tmp_path, skip_damaged=True)) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no frames"):
        read_clip(tmp_path / "empty")
    with pytest.raises(DatasetError, match="does not exist"):
        read_clip(tmp_path / "none.mp4")
    for wrong, message in ((tmp_path / "empty", "holds no clip"), (tmp_path / "x.txt", "videos")):
        with pytest.raises(ValueError, match=message):
            inference.predict(model, wrong)
    answers = inference.predict(model, tmp_path / "long")
    with pytest.raises(ValueError, match="takes clips"):
        inference.explain(inference.load_predictor(model), answers, tmp_path)


def test_videos_ask_for_pyav(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(ImportError, match=r"keras-residual\[video\]"):
        inference.predict(model, tmp_path / "a.mp4")


def test_a_training_on_clips_tells_how_they_are_shown(model, tmp_path):
    clips = np.zeros((8, 7, 6, 8, 3), np.uint8)
    dataset = data.load((clips, ["left", "right"] * 4), frames=4, stride=2)
    training.describe(model, dataset, "quick")
    write_clip(tmp_path / "a", 9)
    (answer,) = inference.predict(model, tmp_path / "a")
    assert {name for name, _ in answer.answers} == {"left", "right"}
    shown = inference.load_predictor(model).read(tmp_path / "a")
    np.testing.assert_array_equal(shown[:, 0, 0, 0], [10, 30, 50, 70])
