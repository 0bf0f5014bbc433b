"""Datasets whose classes are others than a model's, or in another order."""

import numpy as np
import pytest
from PIL import Image

import keras_residual
from keras_residual import data, inference
from keras_residual._description import described
from keras_residual.cli import _fit
from keras_residual.training import describe

X, Y = np.zeros((12, 4, 4, 3), "uint8"), np.arange(12) % 3


def load(names, y=Y):
    return data.load((X, y, X, y, names))


def named(source, split):
    return [source.class_names[label] for label in split.y]


def test_labels_have_the_order_of_the_model():
    source = load(["b", "c", "a"])
    found = _fit.with_names(source, ("a", "b", "x", "c"))
    assert found.class_names == ("a", "b", "x", "c") and found.num_classes == 4
    for split, given in ((found.train, source.train), (found.test, source.test)):
        assert named(found, split) == named(source, given)
    assert _fit.with_names(source, ("b", "c", "a")) is source
    assert _fit.with_names(source, None) is source


def test_unknown_classes_are_refused():
    with pytest.raises(ValueError, match="knows a, b, x; arrays has c too: leave it out"):
        _fit.with_names(load(["a", "b", "c"]), ("a", "b", "x"))


def test_other_names_are_matched_by_position():
    """Such as the identifiers of ImageNet's classes."""
    source = load(["n01", "n02", "n03"])
    assert _fit.with_names(source, ("a", "b", "c")) is source


def test_columns_of_labels():
    y = np.eye(3, dtype="float32")[Y]
    y[0] = 1
    source = load(["b", "c", "a"], y)
    assert source.label_kind == "multi_label"
    found = _fit.with_names(source, ("a", "b", "c"))
    np.testing.assert_array_equal(found.test.y, y[:, [2, 0, 1]])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_clips_have_frames_and_size_of_the_model(tmp_path, suffix):
    """As `predict` prepares them: stretched, every second frame from the middle."""
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        for clip in range(2):
            (tmp_path / name / f"{clip}").mkdir(parents=True)
            for frame in range(9):
                pixels = draw.integers(0, 256, (12, 20 + 4 * clip, 3), "uint8")
                path = tmp_path / name / f"{clip}" / f"{frame}.{suffix}"
                Image.fromarray(pixels).save(path)
    small = data.load(tmp_path, examples="clips", frames=4, stride=2, frame_size=8)
    network = keras_residual.VideoResNet("frames", (1,), (4,), input_shape=(4, 8, 8, 3), classes=2)
    describe(network, small, "quick")
    found = _fit.load_for((4, 8, 8, 3), str(tmp_path), described(network))
    assert found.image_shape == (4, 8, 8, 3) and found.train.stride == 2
    (evaluated,) = (x for x, _ in data.pipeline(found.test, batch_size=9).as_numpy_iterator())
    predictor = inference.load_predictor(network)
    clips = [predictor.read(clip) for clip in inference.clip_paths(tmp_path)]
    for clip in evaluated:
        assert np.abs(predictor.inputs(clips) - clip).max(axis=(1, 2, 3, 4)).min() < 0.01
