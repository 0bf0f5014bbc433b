"""Mixup and CutMix against their definitions."""

import keras
import numpy as np
import pytest

from keras_residual import data

COUNT = 4000
IMAGES = np.linspace(1, 2, 8 * 8 * 8 * 1).reshape(8, 8, 8, 1).astype(np.float32)
LABELS = np.eye(8, dtype=np.float32)


def many(**alphas):
    """Images of their own number, mixed; the share of each, from its label."""
    images = np.broadcast_to(
        np.arange(COUNT, dtype=np.float32)[:, None, None, None], (COUNT, 8, 8, 1)
    )
    labels = np.eye(2, dtype=np.float32)[np.arange(COUNT) % 2]
    mixed, shares = data.mix(images, labels, 1, 2, np.arange(COUNT), **alphas)
    return mixed, shares[np.arange(COUNT), np.arange(COUNT) % 2]


def test_mixup_adds_images_and_labels_in_the_same_shares():
    mixed, labels = data.mix(IMAGES, LABELS, 0, 0, np.arange(8), mixup=1.0)
    share = labels[np.arange(8), np.arange(8)]
    expected = share[:, None, None, None] * IMAGES + (1 - share)[:, None, None, None] * np.roll(
        IMAGES, 1, 0
    )
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels():
    mixed, labels = data.mix(IMAGES, LABELS, 0, 0, np.arange(8), cutmix=1.0)
    pasted = mixed == np.roll(IMAGES, 1, 0)
    np.testing.assert_array_equal(mixed[~pasted], IMAGES[~pasted])
    shares = labels[np.arange(8), np.arange(8)]
    np.testing.assert_allclose(1 - shares, pasted.mean((1, 2, 3)), atol=1e-6)
    assert 0 < pasted.mean() < 1
    for image in pasted[..., 0]:
        rows, columns = image.any(1), image.any(0)
        assert image.sum() == rows.sum() * columns.sum(), "not a rectangle"


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_are_those_of_a_beta_distribution(alpha):
    _, shares = many(mixup=alpha)
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


def test_with_both_each_image_gets_one_of_them():
    mixed, _ = many(mixup=1.0, cutmix=1.0)
    uniform = (mixed == mixed[:, :1, :1]).all((1, 2, 3))
    whole_numbers = (mixed == mixed.round()).all((1, 2, 3))
    assert (uniform | whole_numbers).mean() > 0.99
    assert 0.4 < (uniform & ~whole_numbers).mean() < 0.6


def test_without_both_nothing_changes():
    images, labels = data.mix(IMAGES, LABELS, 0, 0, np.arange(8))
    assert images is IMAGES and labels is LABELS


def test_an_image_is_mixed_alike_in_any_batch_after_the_same_neighbour():
    alphas = {"mixup": 0.4, "cutmix": 1.0}
    whole, _ = data.mix(IMAGES, LABELS, 5, 6, np.arange(8), **alphas)
    part, _ = data.mix(IMAGES[2:5], LABELS[2:5], 5, 6, np.arange(2, 5), **alphas)
    np.testing.assert_array_equal(whole[3:5], part[1:])


def test_tensors_and_compiled_steps_give_what_numpy_gives():
    import tensorflow as tf

    expected = data.mix(IMAGES, LABELS, 3, 4, np.arange(8), mixup=0.5, cutmix=1.0)
    mix = tf.function(
        lambda x, y, e, i: data.mix(x, y, 3, e, i, mixup=0.5, cutmix=1.0), jit_compile=True
    )
    found = mix(tf.constant(IMAGES), tf.constant(LABELS), tf.constant(4), tf.range(8))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(ours), theirs, rtol=1e-6)


def test_a_pipeline_mixes_and_says_what_it_needs():
    x, y = np.full((20, 8, 8, 3), 200, np.uint8), np.arange(20) % 4
    batches = data.pipeline(x, y, 8, training=True, mixup=0.2, classes=4)
    images, labels = next(iter(batches))
    assert images.shape == (8, 8, 8, 3) and labels.shape == (8, 4)
    np.testing.assert_allclose(labels.numpy().sum(1), 1, rtol=1e-6)
    assert next(iter(data.pipeline(x, y, 8, mixup=0.2)))[1].shape == (8,), "mixed in evaluation"
    with pytest.raises(ValueError, match="`classes` must be given"):
        data.pipeline(x, y, training=True, cutmix=1.0)
