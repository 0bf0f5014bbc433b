"""Repeated augmentation: each image several times in an epoch, which stays as long."""

import numpy as np
import pytest

from keras_residual import data
from keras_residual.data import augment

COUNT = 50
X = np.random.RandomState(0).randint(0, 256, (COUNT, 16, 16, 3)).astype("uint8")
Y = np.arange(COUNT)


def batches_of(**options):
    options = {"batch_size": 12, "training": True, "repeats": 3, "seed": 4, **options}
    return [[part.numpy() for part in pair] for pair in data.pipeline(X, Y, **options)]


def joined(batches):
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def order_of(epoch):
    """The images of an epoch in order, by what makes batches in the step."""
    split = data.load((X, Y, X[:5], Y[:5])).train
    made = data.in_step(split, 12, training=True, repeats=3, seed=4, drop_remainder=False)
    return np.concatenate([part.ravel() for part in made.order(epoch)])


def test_an_epoch_has_a_third_of_the_images_three_times_in_a_row():
    epochs = [order_of(epoch) % COUNT for epoch in range(30)]
    for labels in epochs:
        assert len(labels) == COUNT
        np.testing.assert_array_equal(labels[:48:3], labels[1:48:3])
        np.testing.assert_array_equal(labels[:48:3], labels[2:48:3])
        assert len(set(labels)) == 17 and sorted(np.bincount(labels))[-17:] == [2] + [3] * 16
    assert set(np.concatenate(epochs)) == set(Y), "some images never come"


@pytest.mark.parametrize(
    "options", [{"augmentation": "cifar", "rand_augment": 9.0}, {"augmentation": "imagenet"}]
)
def test_repetitions_are_augmented_differently(options):
    images, labels = joined(batches_of(**options))
    first, again = images[:48:3], images[1:48:3]
    np.testing.assert_array_equal(labels[:48:3], labels[1:48:3])
    assert (first != again).any((1, 2, 3)).mean() > 0.6
    resumed, _ = joined(batches_of(**options))
    np.testing.assert_array_equal(images, resumed)


def test_the_first_time_an_image_is_augmented_as_without_repetitions():
    """Its number is the same then: a repetition only adds to it."""
    images, labels = joined(batches_of(augmentation="cifar", epoch=2))
    alone, of_each = joined(batches_of(augmentation="cifar", epoch=2, repeats=1))
    place = {label: number for number, label in enumerate(of_each)}
    for number in range(0, COUNT, 3):
        np.testing.assert_array_equal(images[number], alone[place[labels[number]]])


def test_order_is_the_same_image_by_image():
    in_memory = joined(batches_of(augmentation="none"))[1]
    one_by_one = joined(batches_of(augmentation="none", image_size=20))[1]
    np.testing.assert_array_equal(one_by_one, in_memory)
    order = order_of(0)
    np.testing.assert_array_equal(order % COUNT, in_memory)
    assert order.dtype == np.int32 and order.max() >= 2 * COUNT and len(set(order)) == COUNT


def test_repetitions_are_mixed_with_other_images():
    for images, shares in batches_of(augmentation="none", mixup=1.0, classes=COUNT):
        assert ((shares > 0).sum(1) == 2).all() or len(images) < 6


def test_in_evaluation_nothing_is_repeated():
    np.testing.assert_array_equal(joined(batches_of(training=False))[1], Y)


@pytest.mark.parametrize("count", [1, 2, 7, 9])
def test_repeated_is_as_long_and_without_doubles(count):
    order = np.random.RandomState(0).permutation(count).astype(np.int32)
    for repeats in (1, 2, 3, 20):
        found = augment.repeated(order, repeats)
        assert len(found) == len(set(found)) == count
        np.testing.assert_array_equal(found % count, np.repeat(order, repeats)[:count])
