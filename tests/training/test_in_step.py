"""Training with batches made in the step is training with the pipeline, many steps a call."""

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual import data, training

COUNT = 44


def residual_model(**options):
    keras.utils.set_random_seed(0)
    return keras_residual.ResNet(
        "basic", (1,), (4,), stem="conv3", stem_width=4, input_shape=(8, 8, 1), classes=3, **options
    )


def tiny_model():
    """A model that compiles fast, for what does not depend on the layers."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, outputs, name="tiny")


def dataset():
    y = np.arange(COUNT, dtype=np.int32) % 3
    noise = np.random.default_rng(0).integers(0, 64, (COUNT, 8, 8, 1))
    x = (noise + 80 * y[:, None, None, None]).astype(np.uint8)
    return data.load((x, y, x[:10], y[:10]))


def recipe(**options):
    return training.Recipe(learning_rate=0.05, batch_size=12, **options)


def fit(model, output, **options):
    options = {"recipe": recipe(), "data": dataset(), "epochs": 2, "verbose": 0, **options}
    return training.fit(model, output=output, checkpoint_seconds=0, **options)


def assert_equal_weights(one, other, **tolerance):
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, **{"rtol": 0, "atol": 0, **tolerance})


def test_it_learns_what_the_pipeline_teaches(tmp_path):
    images, settings = dataset(), recipe(augmentation="cifar")

    def train(epoch):
        return data.pipeline(
            images.train, batch_size=12, training=True, augmentation="cifar", epoch=epoch,
            repeat=True, drop_remainder=True,
        )  # fmt: skip

    streamed, in_step = residual_model(), residual_model()
    batches = (train, data.pipeline(images.test))
    expected = fit(
        streamed, tmp_path / "a", data=batches, recipe=settings, steps_per_epoch=COUNT // 12
    )
    history = fit(in_step, tmp_path / "b", recipe=settings)
    assert_equal_weights(in_step, streamed, rtol=1e-4, atol=1e-5)
    for name, values in expected.items():
        if name != "seconds":
            np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)


def test_metrics_are_those_of_evaluate(tmp_path):
    model = residual_model()
    history = fit(model, tmp_path, epochs=1)
    images = dataset().test
    loss, accuracy = model.evaluate(images.x / np.float32(255), images.y, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert history["val_accuracy"][-1] == pytest.approx(accuracy)


def test_steps_of_a_call_do_not_change_the_result(tmp_path):
    batches = dataset().batches(12, augmentation="cifar")
    one = residual_model(dropout_rate=0.3)
    fit(one, tmp_path / "one", data=batches, steps_per_call=1)
    three = residual_model(dropout_rate=0.3)
    fit(three, tmp_path / "three", data=batches, steps_per_call=3)
    assert_equal_weights(one, three, rtol=1e-5, atol=1e-6)


class StopBefore(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupted_training_ends_as_the_uninterrupted(tmp_path):
    """With mixed images, averaged weights and dropout's random state."""
    options = {"recipe": recipe(mixup=0.2, cutmix=1.0, ema=0.9, label_smoothing=0.1), "epochs": 4}
    whole = residual_model(dropout_rate=0.3)
    expected = fit(whole, tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        stop = [StopBefore(2)]
        fit(residual_model(dropout_rate=0.3), tmp_path / "parts", callbacks=stop, **options)
    resumed = residual_model(dropout_rate=0.3)
    history = fit(resumed, tmp_path / "parts", **options)
    assert_equal_weights(resumed, whole)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert history[name] == expected[name]


def test_averaged_weights_get_statistics_of_their_own(tmp_path):
    """After a fast training the moving statistics of the last steps would not fit the average."""
    model = residual_model()
    history = fit(model, tmp_path, recipe=recipe(ema=0.8), epochs=8)
    saved = keras.saving.load_model(tmp_path / "model.keras")
    raw = keras.saving.load_model(tmp_path / "checkpoint.keras", compile=False)
    assert_equal_weights(saved, model)
    for ours, theirs in zip(saved.trainable_weights, raw.trainable_weights, strict=True):
        assert (keras.ops.convert_to_numpy(ours) != keras.ops.convert_to_numpy(theirs)).any()
    images = dataset().test
    saved.compile(loss="sparse_categorical_crossentropy")
    loss = saved.evaluate(images.x / np.float32(255), images.y, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)
    pixels = dataset().train.x[dataset().batches(12)[0].order(0)[0][-1]] / np.float32(255)
    in_training = keras.ops.convert_to_numpy(saved(pixels, training=True))
    np.testing.assert_allclose(saved.predict(pixels, verbose=0), in_training, atol=0.15)


def test_seed_and_dataset_belong_to_the_training(tmp_path):
    fit(tiny_model(), tmp_path, epochs=1)
    with pytest.raises(training.CheckpointError, match=r"seed=0 .now 1"):
        fit(tiny_model(), tmp_path, seed=1)


class Batches(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, sorted(logs)))


def test_callbacks_hear_of_each_call(tmp_path):
    heard = Batches()
    fit(tiny_model(), tmp_path, epochs=1, steps_per_call=2, callbacks=[heard])
    assert heard.seen == [(1, ["accuracy", "loss"]), (2, ["accuracy", "loss"])]


def test_no_number_ends_the_training_at_once(tmp_path):
    heard = Batches()
    with pytest.raises(FloatingPointError, match=r"nan in epoch 1. No epoch"):
        fit(
            tiny_model(), tmp_path, steps_per_call=1, callbacks=[heard],
            loss=lambda _, outputs: keras.ops.mean(outputs, axis=-1) * float("nan"),
        )  # fmt: skip
    assert len(heard.seen) == 1
    assert not (tmp_path / "checkpoint.keras").exists()


def test_mixed_precision(tmp_path):
    for dtype in ("mixed_bfloat16", "mixed_float16"):
        history = fit(residual_model(dtype=dtype), tmp_path / dtype)
        assert history["loss"][1] < history["loss"][0]
