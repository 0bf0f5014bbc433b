"""How `training.fit` reads its data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_residual
from keras_residual import data, training, weights
from keras_residual.training.inputs import read


def images(size=(10, 8)):
    y = np.arange(12) % 3
    noise = np.random.default_rng(0).integers(0, 64, (12, *size, 1))
    x = (noise + 80 * y[:, None, None, None]).astype(np.uint8)
    return data.load((x, y, x, y))


def model(shape=(8, 8, 1), batch_size=None):
    inputs = keras.Input(shape, batch_size=batch_size)
    x = keras.layers.Conv2D(2, 3)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax")(x), name="tiny")


def fit(model, dataset, output, recipe="quick", **options):
    return training.fit(model, dataset, recipe, output, epochs=1, verbose=0, **options)


@pytest.mark.parametrize("shape", [(8, 8, 1), (6, 12, 1)])
def test_images_are_brought_to_the_size_of_the_model(tmp_path, shape):
    history = fit(model(shape), images(), tmp_path)
    assert np.isfinite(history["val_loss"]).all()


def test_a_recipe_of_another_size_is_named(tmp_path):
    recipe = training.Recipe(image_size=12)
    with pytest.raises(ValueError, match=r"`model` must take images of any size.*image_size=12"):
        fit(model(), images(), tmp_path / "new", recipe)
    assert not (tmp_path / "new").exists()


def test_images_of_other_channels_are_named(tmp_path):
    with pytest.raises(ValueError, match="`model` must take images of 1 channel,"):
        fit(model((8, 8, 3)), images(), tmp_path)


def test_a_model_that_takes_pixels_to_255_is_named(tmp_path):
    """Its own scaling would make nearly black images of pixels between 0 and 1."""
    network = keras_residual.ResNet8(
        input_shape=(8, 8, 1), classes=3, include_preprocessing=True, weights=None
    )
    with pytest.raises(ValueError, match=r"`model` must take pixels between 0 and 1.*0 and 255"):
        fit(network, images(), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    rescaled = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(255.0), network])
    assert read(rescaled, images(), training.Recipe(), seed=0).kind == "classes"


def test_weights_for_pixels_scaled_otherwise_are_told_of():
    network = keras_residual.ResNet8(weights="cifar10")
    y = np.arange(20) % 10
    x = np.zeros((20, 32, 32, 3), np.uint8)
    dataset = data.load((x, y, x, y))
    with pytest.warns(UserWarning, match=r"scaled otherwise.*`models\.pretrained_classifier`"):
        training.describe(network, dataset, "quick")
    # A second training goes on with what the first one has learned.
    training.describe(network, dataset, "quick")


def test_a_description_is_attached_as_it_is():
    network = keras_residual.ResNet8(input_shape=(8, 8, 1), classes=3)
    description = keras_residual.Description(class_names=("a", "b", "c"), dataset="letters")
    training.describe(network, description)
    assert weights.description_of(network) == description
    with pytest.raises(ValueError, match=r"`recipe` has no effect beside a Description.*'quick'"):
        training.describe(network, description, "quick")
    with pytest.raises(ValueError, match="`recipe` must be given for a dataset of pictures"):
        training.describe(network, images())


def test_arrays_are_shuffled_by_seed_and_epoch(tmp_path):
    x, y = np.zeros((12, 8, 8, 1), "float32"), np.arange(12) % 3
    batches = read(model(), (x, y), training.Recipe(batch_size=5), seed=3).train
    orders = [np.concatenate([part.ravel() for part in batches.order(epoch)]) for epoch in (0, 1)]
    assert (orders[0] != orders[1]).any() and len(set(orders[0])) == 10 == 5 * len(batches)
    again = read(model(), (x, y), training.Recipe(batch_size=5), seed=3).train
    np.testing.assert_array_equal(again.order(1)[0], batches.order(1)[0])


def test_a_model_of_one_batch_size_refuses_a_smaller_last_batch(tmp_path):
    x, y = np.zeros((10, 8, 8, 1), "float32"), np.arange(10) % 3
    batches = tf.data.Dataset.from_tensor_slices((x, y))
    message = r"`data` must hold batches of 4 examples each.*batch\(4, drop_remainder=True\)"
    with pytest.raises(ValueError, match=message):
        fit(model(batch_size=4), (batches.batch(4), None), tmp_path / "new")
    with pytest.raises(ValueError, match="`data` must hold batches of 4 examples each"):
        fit(model(batch_size=4), ((x, y), (x, y)), tmp_path / "new", training.Recipe(batch_size=4))
    assert not (tmp_path / "new").exists()
    whole = batches.batch(4, drop_remainder=True)
    assert len(fit(model(batch_size=4), (whole, whole), tmp_path)["val_loss"]) == 1
