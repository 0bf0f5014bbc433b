"""The embedded digits against scikit-learn's, and as a TFDS builder."""

import numpy as np
import pytest

from keras_residual import data
from keras_residual.data.sources import digits as embedded_digits


def rows(images, labels):
    flat = images.reshape(len(images), -1).astype(int)
    return sorted(map(tuple, np.concatenate([flat, np.asarray(labels)[:, None]], axis=1)))


def test_they_are_the_digits_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    theirs, ours = datasets.load_digits(), data.load("digits")
    x = np.concatenate([ours.train.x, ours.test.x])
    y = np.concatenate([ours.train.y, ours.test.y])
    assert rows(x, y) == rows(theirs.images, theirs.target)
    assert ours.class_names == tuple(str(name) for name in theirs.target_names)


def test_the_file_is_what_write_asset_makes(tmp_path):
    pytest.importorskip("sklearn")
    embedded_digits.write_asset(tmp_path / "digits.npz")
    remade, ours = np.load(tmp_path / "digits.npz"), data.load("digits")
    for part in ("train", "test"):
        np.testing.assert_array_equal(remade[f"x_{part}"], getattr(ours, part).x)
        np.testing.assert_array_equal(remade[f"y_{part}"], getattr(ours, part).y)
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npz"]


def test_the_division_is_stratified():
    dataset = data.load("digits")
    train, test = np.bincount(dataset.train.y), np.bincount(dataset.test.y)
    assert (len(dataset.train), len(dataset.test)) == (train.sum(), test.sum()) == (1437, 360)
    assert np.abs(test - (train + test) * 0.2).max() < 1
    assert dataset.image_shape == (8, 8, 1)
    assert dataset.num_classes == 10
    assert str(dataset) == (
        "digits: 1,437 training and 360 held-out images of 8 x 8 x 1, 10 classes"
    )


def test_default_augmentation_does_not_mirror():
    assert data.load("digits").train.augmentation == "shift"


def test_builder_holds_the_same_images(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    builder = data.digits_builder(data_dir=tmp_path)
    builder.download_and_prepare()
    assert builder.info.splits["train"].num_examples == 1437
    assert builder.info.features["label"].names == [str(digit) for digit in range(10)]
    loaded, embedded = data.load(builder), data.load("digits")
    for part in ("train", "test"):
        ours = getattr(embedded, part)
        theirs = getattr(loaded, part)
        # TFDS keeps its examples in an order of its own, and white is 255.
        assert rows(np.round(theirs.x / (255 / 16)), theirs.y) == rows(ours.x, ours.y)
    assert loaded.train.augmentation == "shift"
    assert data.digits_builder(tmp_path).is_prepared()
