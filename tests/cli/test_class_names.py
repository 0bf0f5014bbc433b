"""Datasets whose classes are others than a model's, or in another order."""

import dataclasses

import numpy as np
import pytest

from keras_residual import data
from keras_residual._description import Description
from keras_residual.cli import _fit

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


def test_clips_have_the_frames_of_the_model(monkeypatch):
    clips = np.zeros((6, 9, 4, 4, 3), "uint8")
    load_arrays = data.load
    monkeypatch.setattr(
        data, "load", lambda name, **options: load_arrays((clips, Y[:6]), **options)
    )
    found = _fit.load_for((4, 4, 4, 3), "clips", dataclasses.replace(Description(), stride=2))
    assert found.image_shape == (4, 4, 4, 3) and found.train.stride == 2
