"""Augmentation by layers of Keras and by functions: keyed by seed, epoch and image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_residual import data

X = np.random.RandomState(0).randint(0, 256, (12, 8, 8, 3)).astype("uint8")
Y = np.arange(12) % 3
SPLIT = data.load((X, Y, X, Y)).train


def jitter(image, seed):
    return tf.image.stateless_random_brightness(image, 40.0, seed)


def noise(image, rng):
    return image + rng.normal(size=image.shape)


def images_by_label(augmentation, batch_size=4, epoch=0, seed=0, number=None, **options):
    """The epoch's images, in the order of the dataset."""
    tagged = data.load((X, np.arange(12), X, np.arange(12))).train
    batches = data.pipeline(
        tagged,
        batch_size=batch_size,
        training=True,
        augmentation=augmentation,
        epoch=epoch,
        seed=seed,
        **options,
    )
    images, labels = (
        np.concatenate(part) for part in zip(*batches.as_numpy_iterator(), strict=True)
    )
    return images[np.argsort(labels)]


STEPS = {
    "flip": lambda: keras.layers.RandomFlip(),
    "several": lambda: keras.Sequential(
        [keras.layers.RandomRotation(0.1), keras.layers.RandomContrast(0.5)]
    ),
    "compound": lambda: keras.layers.RandAugment(num_ops=1),
    "seed": lambda: jitter,
    "rng": lambda: noise,
    "list": lambda: [jitter, keras.layers.RandomTranslation(0.2, 0.2), noise],
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_drawn_follows_from_seed_epoch_and_image(name):
    found = images_by_label(STEPS[name]())
    np.testing.assert_array_equal(images_by_label(STEPS[name](), batch_size=5), found)
    if name in ("flip", "seed", "rng"):
        others = [images_by_label(STEPS[name](), epoch=3), images_by_label(STEPS[name](), seed=1)]
        assert all((other != found).any() for other in others)
    # Each image has draws of its own.
    plain = images_by_label("none")
    assert len({tuple(np.round((a - b).ravel(), 4)) for a, b in zip(found, plain, strict=True)}) > 3


def test_functions_see_levels():
    seen = images_by_label(lambda image: tf.clip_by_value(image, 0.0, 100.0))
    np.testing.assert_allclose(seen, np.minimum(X, 100) / 255, atol=1e-6)
    with_mean = images_by_label(lambda image: 255 - image, mean=0.5, std=0.25)
    np.testing.assert_allclose(with_mean, ((255 - X) / 255 - 0.5) / 0.25, atol=1e-5)
    floats = data.load(((X / 255).astype("float32"), Y, (X / 255).astype("float32"), Y)).train
    images, _ = next(
        data.pipeline(floats, batch_size=12, training=True, augmentation=lambda image: image / 2)
        .as_numpy_iterator()
    )  # fmt: skip
    assert 0.4 < images.max() <= 0.5 + 1e-6


def test_series_are_changed_as_they_are():
    x = np.arange(48.0).reshape(12, 4).astype("float32")
    series = data.load((x, Y, x, Y)).train
    batches = data.pipeline(series, batch_size=12, training=True, augmentation=lambda s: s * 2)
    images, _ = next(batches.as_numpy_iterator())
    np.testing.assert_array_equal(np.sort(images.ravel()), np.arange(48) * 2)


def test_held_out_images_stay_as_they_are():
    dataset = data.load((X, Y, X, Y))
    train, held_out = dataset.batches(4, augmentation=[noise])
    assert isinstance(train, data.EpochBatches)
    first = next(iter(train(0)))[0]
    np.testing.assert_array_equal(first, next(iter(train(0)))[0])
    plain = data.pipeline(dataset.test, batch_size=12, augmentation=[noise])
    np.testing.assert_allclose(next(iter(plain))[0], X / 255, atol=1e-6)
    np.testing.assert_allclose(
        held_out.make(held_out.arrays, np.arange(12), 0)[0] if hasattr(held_out, "make")
        else np.concatenate([images for images, _ in held_out]), X / 255, atol=1e-6
    )  # fmt: skip


@pytest.mark.parametrize(
    ("augmentation", "words"),
    [
        (lambda image: tf.image.random_flip_left_right(image), "do not follow from a seed, by"),
        (lambda image: np.flip(image.numpy()), "takes `image` and `rng`"),
        (keras.layers.MixUp, "mix them by `mixup`"),
        (3, "must be a name, a preprocessing layer"),
        ([], "1 to 32 layers or functions"),
        ("mirror", "`augmentation` must be one of"),
    ],
)
def test_wrong_augmentation_is_named(augmentation, words):
    with pytest.raises(ValueError, match=words):
        if isinstance(augmentation, type):
            augmentation = augmentation()
        next(iter(data.pipeline(SPLIT, training=True, augmentation=augmentation)))


def test_functions_do_not_run_in_the_step():
    with pytest.raises(ValueError, match="run in `pipeline`"):
        data.in_step(SPLIT, training=True, augmentation=jitter)
