"""Labels of every form: numbers, words, one-hot rows, several, measurements; groups."""

import numpy as np
import pytest

from keras_residual import data
from keras_residual.data.dividing import divided
from keras_residual.data.labels import strata

RANDOM = np.random.RandomState(0)
X = RANDOM.randint(0, 256, (60, 4, 4, 3)).astype("uint8")
WORDS = np.array(["bee", "ant", "cow"])[np.arange(60) % 3]
SEVERAL = RANDOM.randint(0, 2, (60, 4))
NUMBERS = RANDOM.normal(size=(60, 2))


def test_words_are_classes_in_their_order():
    dataset = data.load((X, WORDS))
    assert dataset.class_names == ("ant", "bee", "cow") and dataset.label_kind == "classes"
    assert dataset.train.y.dtype == np.int32 and np.bincount(dataset.test.y).tolist() == [4] * 3
    with pytest.raises(data.DatasetError, match="Received: eel"):
        data.load((X, WORDS, X[:2], np.array(["ant", "eel"])))


def test_one_hot_rows_are_classes():
    dataset = data.load((X, np.eye(3)[np.arange(60) % 3], X[:3], np.eye(3)))
    assert dataset.label_kind == "classes" and dataset.num_classes == 3
    np.testing.assert_array_equal(dataset.train.y, np.arange(60) % 3)


def test_several_labels():
    dataset = data.load((X, SEVERAL, X[:5], np.eye(4, dtype=int)[[0, 1, 2, 3, 0]], list("abcd")))
    assert dataset.label_kind == "multi_label" and dataset.class_names == tuple("abcd")
    assert dataset.train.y.dtype == np.float32 and dataset.test.y.shape == (5, 4)
    assert "4 labels" in str(dataset)
    held_out = dataset.batches(8)[1]
    labels = held_out.make((X, SEVERAL.astype("float32")), np.arange(5), 0)[1]
    np.testing.assert_array_equal(labels, SEVERAL[:5])


@pytest.mark.parametrize("numbers", [NUMBERS, NUMBERS[:, 0], NUMBERS[:, :1]])
def test_measurements(numbers):
    dataset = data.load((X, numbers))
    assert (
        dataset.label_kind == "regression"
        and dataset.num_classes == np.atleast_2d(numbers.T).shape[0]
    )
    assert dataset.train.y.shape == (48, dataset.num_classes)
    assert dataset.train.y.dtype == np.float32
    parts = dataset.hold_out(0.25, seed=1)
    assert (len(parts.train), len(parts.test)) == (36, 12)
    # Held out evenly over their range.
    assert abs(parts.test.y[:, 0].mean() - parts.train.y[:, 0].mean()) < 0.35


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.arange(60.0), "label_kind='classes' or label_kind='regression'"),
        (np.full((60, 2), 0.5), "shares of classes"),
        (np.where(np.arange(60) == 7, np.nan, 0.5), "NaN"),
        (np.zeros((60, 2, 2)), "must hold numbers of classes"),
        (np.array([{}] * 60, object), "words or numbers"),
        (np.zeros(59, int), "59 labels for 60 examples"),
    ],
)
def test_labels_of_two_kinds_or_none(y, words):
    with pytest.raises(data.DatasetError, match=words) as error:
        data.load((X, y, X, y))
    assert "\n" not in str(error.value)


def test_the_kind_can_be_said():
    ages = RANDOM.randint(20, 80, 60)
    assert data.load((X, ages), label_kind="regression").train.y.shape == (48, 1)
    assert data.load((X, np.arange(60) % 2.0), label_kind="classes").num_classes == 2
    one_each = np.eye(4)[np.arange(60) % 4]
    assert data.load((X, one_each), label_kind="multi_label").label_kind == "multi_label"
    with pytest.raises(data.DatasetError, match="exactly one 1 in each row"):
        data.load((X, SEVERAL), label_kind="classes")
    with pytest.raises(ValueError, match="`label_kind` must be one of"):
        data.load((X, SEVERAL), label_kind="tags")


def test_mixed_images_mix_several_labels():
    several = SEVERAL.astype("float32")
    dataset = data.load((X, several, X, several), label_kind="multi_label")
    train, _ = dataset.batches(8, mixup=1.0, seed=3)
    labels = train.make((X, several), np.arange(8), 0)[1]
    shares = (np.asarray(labels) > 0) & (np.asarray(labels) < 1)
    assert shares.any() and np.asarray(labels).max() <= 1


def test_series_are_batched_as_they_are():
    x = RANDOM.normal(size=(60, 20)).astype("float32")
    dataset = data.load((x, np.arange(60) % 3))
    assert dataset.image_shape == (20, 1) and "series of 20 x 1, 3 classes" in str(dataset)
    train, _ = dataset.batches(8)
    inputs = train.make((x[..., None], np.arange(60) % 3), np.arange(8), 0)[0]
    np.testing.assert_array_equal(inputs, x[:8, :, None])
    assert data.load(
        (x[:, :15].reshape(60, 5, 3), np.arange(60) % 3), examples="series"
    ).image_shape == (5, 3)
    for name, value in {"augmentation": "cifar", "mixup": 0.2, "rand_augment": 5.0}.items():
        with pytest.raises(ValueError, match=f"`{name}` is for images"):
            dataset.batches(8, **{name: value})
    with pytest.raises(ValueError, match="`image_size` is for images"):
        data.pipeline(dataset.train, image_size=8)
    batch = next(iter(data.pipeline(dataset.train, batch_size=8, training=True)))
    assert batch[0].shape == (8, 20, 1)


def test_groups_stay_together():
    persons = np.array([f"person {number // 6}" for number in range(60)])
    dataset = data.load((X, WORDS))
    train, held_out = data.load((X, WORDS, X, WORDS)).train.hold_out(0.2, groups=persons)
    assert not set(train.groups) & set(held_out.groups)
    assert len(held_out) == 12 and np.bincount(held_out.y).min() >= 3
    again = train.hold_out(0.25)
    assert not set(again[0].groups) & set(again[1].groups)
    one = data.load((X, WORDS, X, WORDS)).hold_out(groups=persons, held_out=["person 3"])
    assert set(one.test.groups) == {"person 3"} and len(one.test) == 6
    for wrong in (["person 77"], [], sorted(set(persons))):
        with pytest.raises(ValueError, match="`held_out` must name some of the groups"):
            one.train.hold_out(held_out=wrong)
    with pytest.raises(ValueError, match="one value for each of"):
        dataset.hold_out(groups=persons[:5])
    with pytest.raises(ValueError, match="at least 2 groups"):
        dataset.hold_out(groups=["a"] * 48)
    with pytest.raises(ValueError, match="needs groups"):
        dataset.hold_out(held_out=["a"])


@pytest.mark.parametrize("count", [3, 40, 2500])
def test_shares_of_groups(count):
    groups = np.arange(5000) % count
    y = np.arange(5000) * 7 % 5
    rest, held_out = divided(y, "classes", 0.25, 0, groups)
    assert not set(groups[rest]) & set(groups[held_out])
    assert abs(len(held_out) / 5000 - 0.25) <= max(0.1, 1 / count)
    assert sorted([*rest, *held_out]) == list(range(5000))
    np.testing.assert_array_equal(divided(y, "classes", 0.25, 0, groups)[1], held_out)


def test_strata_of_several_labels_are_the_rarest():
    y = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1], [1, 1, 0]], "float32")
    assert strata(y, "multi_label").tolist() == [1, 2, 3, 0, 1]


def test_npz_with_groups_and_without_a_test_part(tmp_path):
    persons = np.arange(60) // 6
    np.savez(tmp_path / "persons.npz", x=X, y=WORDS, groups=persons)
    dataset = data.load(tmp_path / "persons.npz")
    assert not set(dataset.train.groups) & set(dataset.test.groups)
    assert dataset.class_names == ("ant", "bee", "cow") and len(dataset.test) == 12
