"""The time to load and to divide a data set is linear in the number of its classes."""

import pathlib
import time
from types import SimpleNamespace

import numpy as np
import pytest

from keras_residual.data.dividing import stratified
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources import folder
from keras_residual.data.sources.options import Options

# Where each class is compared with each example, these take three seconds or more.
CLASSES, COPIES = 20_000, 20
SECONDS = 1.5


@pytest.fixture
def quickly():
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS


def test_dividing(quickly):
    labels = np.repeat(np.arange(CLASSES), COPIES)
    kept, held_out = stratified(labels, 0.5, seed=0)
    for part in (kept, held_out):
        assert (np.bincount(labels[part]) == COPIES // 2).all()


def test_dividing_takes_the_first_of_each_class_in_shuffled_order():
    labels = np.array([1, 0, 1, 0, 2, 1, 0, 2, 1, 0])
    kept, held_out = stratified(labels, 0.5, seed=3)
    assert sorted([*kept, *held_out]) == list(range(10))
    assert np.bincount(labels[held_out]).tolist() == [2, 2, 1]
    assert held_out.tolist() == stratified(labels, 0.5, seed=3)[1].tolist()


def test_numbering_files_by_class(quickly, monkeypatch, tmp_path):
    path = pathlib.Path("a.png")
    classes = {f"{number:05d}": [path, path] for number in range(CLASSES)}
    monkeypatch.setattr(folder, "_classes", lambda *arguments: classes)
    (train, test), names = folder.parts_of_folder(tmp_path, Options())
    assert len(names) == CLASSES
    assert set(train[1]["y"]) == set(range(CLASSES)) and len(test[0]) > 0


def test_finding_classes_of_which_nothing_is_left(quickly):
    names = [str(number) for number in range(CLASSES)]
    labels = np.repeat(np.delete(np.arange(CLASSES, dtype=np.int32), 7), COPIES)
    train = SimpleNamespace(y=labels, label_kind="classes")
    with pytest.raises(DatasetError, match="no training pictures of 7 are left"):
        folder.check_classes_left("here", names, train, [1])
