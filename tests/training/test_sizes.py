"""Another size in tests than in training, random sizes, and repeated augmentation."""

import json
import zipfile

import keras
import numpy as np
import pytest

from keras_residual import data, training

COUNT = 36
RECIPE = training.Recipe(
    learning_rate=0.02, batch_size=12, rand_augment=7.0, repeats=3, augmentation="shift"
)


def model(size=None):
    """A model that compiles fast."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((size, size, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.Dense(3, "softmax")(x), name="tiny")


def dataset():
    y = np.arange(COUNT, dtype=np.int32) % 3
    noise = np.random.default_rng(0).integers(0, 64, (COUNT, 8, 8, 1))
    x = (noise + 80 * y[:, None, None, None]).astype(np.uint8)
    return data.load((x, y, x[:10], y[:10]))


def fit(model, output, recipe=RECIPE, **options):
    options = {"epochs": 3, "checkpoint_seconds": 0, "verbose": 0, **options}
    return training.fit(model, dataset(), recipe, output, **options)


class StopAfter(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def changed(**options):
    return training.Recipe(**{**vars(RECIPE), **options})


@pytest.mark.parametrize("options", [{}, {"image_size": 10, "test_image_size": 12}])
def test_an_interrupted_training_ends_as_the_uninterrupted(tmp_path, options):
    """In the step, and in a pipeline."""
    whole, resumed = model(), model()
    expected = fit(whole, tmp_path / "whole", changed(**options))
    with pytest.raises(KeyboardInterrupt):
        fit(model(), tmp_path / "parts", changed(**options), callbacks=[StopAfter()])
    history = fit(resumed, tmp_path / "parts", changed(**options))
    assert history["loss"] == expected["loss"] and history["val_loss"] == expected["val_loss"]
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_evaluated_at_the_size_of_the_test(tmp_path):
    trained, images = model(), dataset().test
    history = fit(trained, tmp_path, changed(test_image_size=12), epochs=1)
    batches = data.pipeline(images, image_size=12)
    assert next(iter(batches))[0].shape == (10, 12, 12, 1)
    loss, _ = trained.evaluate(batches, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-5)


def test_a_model_of_one_size_cannot_be_tested_at_another(tmp_path):
    message = r"`model` must take images of any size, .*\(None, None, 1\).*test_image_size=12"
    with pytest.raises(ValueError, match=message):
        fit(model(8), tmp_path / "new", changed(test_image_size=12))
    assert not (tmp_path / "new").exists()
    fit(model(8), tmp_path, changed(test_image_size=8), epochs=1)


def test_checkpoints_from_before_these_settings_go_on(tmp_path):
    """They lack newer settings, which then have their defaults."""
    plain = changed(rand_augment=0.0, repeats=1)
    fit(model(), tmp_path, plain, epochs=1)
    path = tmp_path / "checkpoint.keras"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    progress = json.loads(members["training.json"])
    for name in ("rand_augment", "repeats", "test_image_size", "test_crop"):
        del progress["settings"][name]
    members["training.json"] = json.dumps(progress).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert len(fit(model(), tmp_path, plain, epochs=2)["loss"]) == 2
    with pytest.raises(training.CheckpointError, match=r"rand_augment=0.0 .now 7.0"):
        fit(model(), tmp_path, changed(repeats=1))
