"""Batches made inside the step are those of the pipeline."""

import keras
import numpy as np
import pytest

from keras_residual import data

RANDOM = np.random.RandomState(0)
X = RANDOM.randint(0, 256, (50, 16, 12, 3)).astype("uint8")
Y = np.arange(50) % 5
SPLIT = data.load((X, Y, X[:10], Y[:10])).train


def batches_of(made, epoch):
    """All batches of an epoch as arrays."""
    arrays = tuple(keras.ops.convert_to_tensor(array) for array in made.arrays)
    return [
        [np.asarray(part) for part in made.make(arrays, keras.ops.convert_to_tensor(index), epoch)]
        for order in made.order(epoch)
        for index in order
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"training": True, "augmentation": "cifar_cutout", "seed": 3},
        {"training": True, "mean": 0.4, "std": [0.2, 0.3, 0.1], "drop_remainder": False},
        {"training": True, "mixup": 0.3, "cutmix": 1.0, "classes": 5},
        {"training": True, "augmentation": "cifar", "rand_augment": 7.0, "mean": 0.4},
        {"training": True, "repeats": 3, "mixup": 0.3, "classes": 5, "drop_remainder": False},
        {"training": False},
    ],
)
def test_batches_are_those_of_the_pipeline(options):
    made = data.in_step(SPLIT, 16, **options)
    dropped = options.pop("drop_remainder", options["training"])
    pipeline = data.pipeline(SPLIT, batch_size=16, **options, epoch=2, drop_remainder=dropped)
    ours, theirs = batches_of(made, 2), [[part.numpy() for part in pair] for pair in pipeline]
    assert len(ours) == len(theirs) == len(made) == (3 if dropped else 4)
    for one, other in zip(ours, theirs, strict=True):
        for part, expected in zip(one, other, strict=True):
            assert part.dtype == expected.dtype
            np.testing.assert_allclose(part, expected, rtol=1e-6, atol=1e-6)


def test_images_stay_as_they_are_stored():
    made = data.in_step(SPLIT, training=True)
    assert made.arrays[0] is SPLIT.x and made.arrays[0].dtype == np.uint8
    assert made.batch_size == 50, "a batch is no larger than the split"


def test_left_out_images_are_others_in_each_epoch():
    made = data.in_step(SPLIT, 16, training=True)
    left = [set(range(50)) - set(made.order(epoch)[0].ravel()) for epoch in range(3)]
    assert all(len(part) == 2 for part in left) and left[0] != left[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augmentation": "imagenet"}, "`augmentation` must be one that keeps the size"),
        ({"augmentation": "blur"}, "`augmentation` must be one of"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"mixup": 1.0, "training": True}, "`classes` must be given"),
        ({"seed": -1}, "`seed` must be a non-negative integer"),
        ({"rand_augment": -1}, "`rand_augment` must be a number in"),
        ({"repeats": 0}, "`repeats` must be a positive integer"),
        ({"repeats": 2**31 // 50 + 1}, "`repeats` must be a positive integer of at most 42949672"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        data.in_step(SPLIT, **options)


def test_a_split_must_lie_in_memory():
    with pytest.raises(ValueError, match="`split` must be in memory"):
        data.in_step(X)


def test_a_dataset_takes_the_fastest_way_it_can():
    dataset = data.load((X, Y, X[:10], Y[:10]))
    train, held_out = dataset.batches(8, seed=1)
    assert isinstance(train, data.BatchesInStep) and isinstance(held_out, data.BatchesInStep)
    assert not train.preparation.augmentation.mixes and len(train) == 6 and len(held_out) == 1
    resized, held_out = dataset.batches(8, image_size=20)
    assert isinstance(resized, data.EpochBatches) and len(resized) == 7
    assert next(iter(resized(3)))[0].shape == next(iter(held_out))[0].shape == (8, 20, 20, 3)
    train, held_out = dataset.batches(8, test_image_size=20)
    assert isinstance(train, data.BatchesInStep)
    assert next(iter(held_out))[0].shape == (8, 20, 20, 3)
    first = next(iter(resized(3)))[0]
    np.testing.assert_array_equal(next(iter(resized(3)))[0], first)


def test_held_out_images_take_the_place_of_the_test_images():
    dataset = data.load((X, Y, X[:10], Y[:10]))
    chosen = dataset.hold_out(0.2, seed=4)
    assert len(chosen.train) == 40 and len(chosen.test) == 10
    assert sorted(np.concatenate([chosen.train.y, chosen.test.y])) == sorted(Y)
    assert (np.bincount(chosen.test.y) == 2).all()
    assert len(dataset.train) == 50
