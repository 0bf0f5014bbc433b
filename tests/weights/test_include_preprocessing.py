"""A model that normalizes images gives the same outputs as for images normalized before."""

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual import weights
from keras_residual.models.registry import find_variant

TINY = {"widths": (4, 8, 8, 16), "stem_width": 4, "classes": 5}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 40, 36, 3), "uint8")


def twins(**options):
    """Returns two models with equal weights, the first of which normalizes inside."""
    keras.utils.set_random_seed(0)
    inside = keras_residual.ResNet18(
        include_preprocessing=True, input_shape=(40, 36, 3), **TINY, **options
    )
    outside = keras_residual.ResNet18(input_shape=(40, 36, 3), **TINY)
    outside.set_weights(inside.get_weights())
    return inside, outside


def test_inside_equals_outside(images):
    inside, outside = twins()
    scaled = keras_residual.preprocess(images, "torch", resize=False)
    expected = outside.predict(scaled, verbose=0)
    np.testing.assert_allclose(inside.predict(images, verbose=0), expected, atol=1e-6)


def test_one_channel_shares_the_average():
    model = keras_residual.ResNet18(include_preprocessing=True, input_shape=(32, 32, 1), **TINY)
    layer = model.get_layer("preprocessing")
    np.testing.assert_allclose(
        layer(np.full((1, 1, 1, 1), 114.75, "float32")), [[[[0.0044]]]], atol=1e-3
    )


def test_saved_model_keeps_it(tmp_path, images):
    inside, _ = twins()
    inside.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        restored.predict(images, verbose=0), inside.predict(images, verbose=0)
    )


def test_weights_load_beside_it(tmp_path):
    inside, outside = twins()
    state = weights.to_torch(inside)
    weights.from_torch(outside, state)
    assert set(state) == set(weights.to_torch(outside))


def test_the_weights_decide():
    variant = find_variant("ResNet50V1")
    expected = weights.find("ResNet50V1").preprocessing
    file = "/somewhere/resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    for name in ("imagenet", "KERAS", file):
        assert weights.preprocessing_for_factory(name, variant) == expected
    assert weights.preprocessing_for_factory(None, None) == weights.Preprocessing.from_mode("torch")


def test_wrong_argument():
    with pytest.raises(ValueError, match="`include_preprocessing` must be True or False"):
        keras_residual.ResNet18(include_preprocessing="yes", **TINY)
