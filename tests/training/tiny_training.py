"""A model and tiny images that train quickly, and ways to interrupt the training."""

import contextlib
import re
import warnings

import keras
import numpy as np

import keras_residual
from keras_residual import training

EPOCHS, STEPS = 4, 3


def residual_model(classes=3, **options):
    keras.utils.set_random_seed(0)
    return keras_residual.ResNet(
        "basic",
        (1,),
        (4,),
        stem="conv3",
        stem_width=4,
        input_shape=(8, 8, 1),
        classes=classes,
        **options,
    )


def tiny_model(units=4, activation="softmax"):
    """A model that compiles fast, for what does not depend on the layers."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(units, "relu")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation)(x), name="tiny")


def tiny_data():
    y = np.arange(36, dtype=np.int32) % 3
    noise = np.random.default_rng(0).integers(0, 64, (36, 8, 8, 1))
    x = (noise + 80 * y[:, None, None, None]).astype(np.uint8)

    def train(epoch):
        return keras_residual.data.pipeline(
            x, y, batch_size=12, training=True, augmentation="shift", epoch=epoch, repeat=True
        )

    return train, keras_residual.data.pipeline(x[:9], y[:9])


def fit(model, output, epochs=EPOCHS, **options):
    fixed = {"recipe": "quick", "steps_per_epoch": STEPS, "verbose": 0, "checkpoint_seconds": 0}
    return training.fit(model, tiny_data(), output=output, epochs=epochs, **{**fixed, **options})


class StopBefore(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.seen == self.epoch and batch == 1:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.seen = epoch


class EndAfter(keras.callbacks.Callback):
    """Ends the training in good order, as early stopping does."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epochs:
            self.model.stop_training = True


@contextlib.contextmanager
def warned(message):
    """Expects a warning; Keras on NumPy may add others."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert any(re.search(message, str(warning.message)) for warning in caught)


def assert_equal_weights(one, other):
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
