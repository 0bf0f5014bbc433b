"""Input pipelines: the content of batches, their order, and repeatability."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_residual import data
from keras_residual.data import augment

RANDOM = np.random.RandomState(0)
X = RANDOM.randint(0, 256, (50, 16, 12, 3)).astype("uint8")
Y = np.arange(50)


def arrays_of(batches, count=None):
    """The batches as pairs of arrays."""
    return [
        tuple(part.numpy() for part in batch)
        for batch in (batches.take(count) if count else batches)
    ]


def same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(a, b)
        for one, two in zip(first, second, strict=True)
        for a, b in zip(one, two, strict=True)
    )


def test_evaluation_keeps_order_and_scales():
    batches = arrays_of(data.pipeline(X, Y, 16))
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 2]
    images = np.concatenate([images for images, _ in batches])
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, X.astype("float32") / 255)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), Y)


@pytest.mark.parametrize(
    ("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 1), ("float64", 1)]
)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_scale_and_channels(dtype, white, channels):
    x = np.full((4, 8, 8, channels), white, dtype)
    images, labels = next(iter(data.pipeline(x, np.arange(4), training=True, augmentation="none")))
    assert images.shape == (4, 8, 8, channels)
    assert labels.dtype == tf.int32
    np.testing.assert_array_equal(images, np.ones(x.shape, "float32"))


def test_digits_are_white_at_16():
    digits = data.load("digits")
    images, _ = next(iter(data.pipeline(digits.test)))
    np.testing.assert_array_equal(images, digits.test.x[:128] / np.float32(16))


def test_standardization():
    dataset = data.load((X, Y % 5))
    mean, std = data.channel_statistics(dataset.train)
    batches = arrays_of(data.pipeline(dataset.train, mean=mean, std=std))
    np.testing.assert_allclose(batches[0][0].mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(batches[0][0].std((0, 1, 2)), 1, atol=1e-5)


def test_padding_is_the_mean():
    x = np.full((30, 16, 16, 3), 51, "uint8")
    batches = data.pipeline(x, Y[:30], training=True, augmentation="cifar", mean=0.1, std=0.5)
    images = next(iter(batches))[0].numpy()
    np.testing.assert_allclose(np.unique(images.round(6)), [0, 0.2])


@pytest.mark.parametrize("name", ["shift", "cifar", "cifar_cutout"])
def test_training_is_a_permutation_augmented_by_image(name):
    batches = arrays_of(data.pipeline(X, Y, 16, True, augmentation=name, seed=5, epoch=3))
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert sorted(labels) == sorted(Y)
    assert list(labels) != sorted(Y)
    changed = getattr(augment, name)(X.astype("float32") / 255, 5, 3, Y)
    np.testing.assert_array_equal(images, changed[labels])


@pytest.mark.parametrize("name", ["none", "cifar", "imagenet"])
def test_same_seed_same_batches(name):
    def batches(**changes):
        arguments = {"training": True, "augmentation": name, "seed": 1, **changes}
        return arrays_of(data.pipeline(X, Y, 16, **arguments))

    first = batches()
    assert same(first, batches())
    assert not same(first, batches(seed=2))
    assert not same(first, batches(epoch=1))


@pytest.mark.parametrize("name", ["cifar", "imagenet"])
def test_epochs_can_be_resumed(name):
    arguments = {"batch_size": 16, "training": True, "augmentation": name, "seed": 1}
    endless = arrays_of(data.pipeline(X, Y, repeat=True, **arguments), 12)
    iterated = data.pipeline(X, Y, **arguments)
    by_iteration = [batch for _ in range(3) for batch in arrays_of(iterated)]
    resumed = arrays_of(data.pipeline(X, Y, repeat=True, epoch=2, **arguments), 4)
    alone = arrays_of(data.pipeline(X, Y, epoch=2, **arguments))
    assert same(endless, by_iteration)
    assert same(endless[8:], resumed)
    assert same(endless[8:], alone)
    assert not same(endless[:4], endless[4:8])


# NumPy's, of TensorFlow's tensors, when Keras hands them to JAX.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_training_resumed_by_epoch_gives_the_same_weights():
    digits = data.load("digits").train

    def model():
        keras.utils.set_random_seed(0)
        layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
        made = keras.Sequential(layers)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        made.compile(keras.optimizers.SGD(0.5), loss)
        return made

    def fit(made, first, last):
        made.fit(
            data.pipeline(digits, batch_size=256, training=True, epoch=first, repeat=True),
            steps_per_epoch=6,
            initial_epoch=first,
            epochs=last,
            verbose=0,
            shuffle=False,
        )
        return made.get_weights()

    whole, parts = model(), model()
    expected = fit(whole, 0, 3)
    weights = fit(parts, 0, 1)
    again = model()
    again.set_weights(weights)
    for resumed, uninterrupted in zip(fit(again, 1, 3), expected, strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)
    for once, uninterrupted in zip(weights, expected, strict=True):
        assert (once != uninterrupted).any()


def test_digits_are_shifted_never_mirrored():
    digits = data.load("digits").train
    images, labels = next(iter(data.pipeline(digits, training=True, batch_size=1437)))
    still = np.zeros(1437, bool)
    candidates = {
        image.tobytes()
        for top in (-1, 0, 1)
        for left in (-1, 0, 1)
        for image in augment.crop_flip(digits.x, still + top, still + left, still)
    }
    seen = np.rint(images.numpy() * 16).astype("uint8")
    assert all(image.tobytes() in candidates for image in seen)
    assert sorted(labels.numpy()) == sorted(digits.y)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((8, 8, 1), "shift"),
        ((32, 32, 3), "cifar"),
        ((64, 64, 2), "cifar"),
        ((65, 32, 3), "imagenet"),
    ],
)
def test_auto_follows_the_image(shape, expected):
    x = RANDOM.randint(0, 256, (6, *shape)).astype("uint8")
    auto = arrays_of(data.pipeline(x, np.arange(6), 6, True))
    assert same(auto, arrays_of(data.pipeline(x, np.arange(6), 6, True, augmentation=expected)))
    assert not same(auto, arrays_of(data.pipeline(x, np.arange(6), 6, True, augmentation="none")))


def test_images_of_memory_can_be_enlarged_for_training():
    digits = data.load("digits").train
    batches = data.pipeline(digits, training=True, image_size=16, batch_size=64)
    images, _ = next(iter(batches))
    assert images.shape == (64, 16, 16, 1)
    assert float(tf.reduce_max(images)) <= 1.001


def test_cardinality_and_remainder():
    assert int(data.pipeline(X, Y, 16).cardinality()) == 4
    assert int(data.pipeline(X, Y, 16, True).cardinality()) == 4
    dropped = data.pipeline(X, Y, 16, True, drop_remainder=True)
    assert int(dropped.cardinality()) == len(arrays_of(dropped)) == 3
    assert dropped.element_spec[0].shape == (16, 16, 12, 3)
    assert int(data.pipeline(X, Y, 16, True, repeat=True).cardinality()) < 0
    assert len(arrays_of(data.pipeline(X, Y, 1000, True))) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 0}, "`batch_size`.*batch_size=0"),
        ({"augmentation": "flip"}, "`augmentation`.*'cifar'.*'flip'"),
        ({"image_size": 0}, "`image_size`"),
        ({"image_size": (1, 2, 3)}, "`image_size`"),
        ({"image_size": "224"}, "`image_size`"),
        ({"mean": [0.5, 0.5]}, "`mean`.*3 channels"),
        ({"std": 0}, "`std`.*positive"),
        ({"seed": -1}, "`seed`"),
        ({"seed": 0.5}, "`seed`"),
        ({"epoch": -1}, "`epoch`"),
        ({"training": 1}, "`training`"),
        ({"repeat": True}, "`repeat` needs training=True"),
        ({"drop_remainder": None}, "`drop_remainder`"),
        ({"drop_remainder": True}, "`drop_remainder` leaves no batch of 50 .*batch_size=128"),
    ],
)
def test_wrong_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        data.pipeline(X, Y, **arguments)


def test_wrong_data():
    with pytest.raises(ValueError, match=r"dataset\.train"):
        data.pipeline(data.load("digits"))
    with pytest.raises(ValueError, match="`y` must be left out"):
        data.pipeline(data.load("digits").train, Y)
    with pytest.raises(ValueError, match="49 labels for 50 examples"):
        data.pipeline(X, Y[1:])
    with pytest.raises(ValueError, match="`y` must hold numbers of classes"):
        data.pipeline(X)


def test_faster_than_ten_trainings_of_resnet20():
    """A step of 128 takes 0.2 s at best on two cores: 640 images/s."""
    x = RANDOM.randint(0, 256, (10_000, 32, 32, 3)).astype("uint8")
    batches = iter(
        data.pipeline(x, np.zeros(10_000, int), 128, True, augmentation="cifar", repeat=True)
    )
    next(batches)
    start = time.perf_counter()
    for _ in range(200):
        next(batches)
    assert 200 * 128 / (time.perf_counter() - start) > 10 * 640


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 2**31},
        {"image_size": (8, 2**31)},
        {"image_size": (8, 8, 8)},
        {"epoch": 2**31},
    ],
)
def test_sizes_that_no_memory_holds_are_named(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must "):
        data.pipeline(data.load("digits").train, training=True, **options)
