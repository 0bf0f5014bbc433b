import contextlib
import csv
import errno
import json
import re
import resource
import warnings
import zipfile

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual import training

EPOCHS, STEPS = 4, 3


def residual_model(**options):
    keras.utils.set_random_seed(0)
    return keras_residual.ResNet(
        "basic", (1,), (4,), stem="conv3", stem_width=4, input_shape=(8, 8, 1), classes=3, **options
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
    """A warning comes; others, of Keras on NumPy, may."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert any(re.search(message, str(warning.message)) for warning in caught)


def not_a_number(_, outputs):
    return keras.ops.mean(outputs, axis=-1) * float("nan")


def test_validation_data_may_come_later(tmp_path):
    train, validation = tiny_data()
    options = {"recipe": "quick", "output": tmp_path, "steps_per_epoch": STEPS, "verbose": 0}
    training.fit(tiny_model(), (train, None), epochs=1, **options)
    history = training.fit(tiny_model(), (train, validation), epochs=2, **options)
    assert np.isnan(history["val_loss"][0]) and np.isfinite(history["val_loss"][1])
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert rows[0]["val_loss"] == "" and float(rows[1]["val_loss"]) == history["val_loss"][1]


def assert_equal_weights(one, other):
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_interrupted_training_ends_as_the_uninterrupted(tmp_path):
    """Dropout too, which draws from a state that Keras leaves out of its files."""
    whole = residual_model(dropout_rate=0.3)
    expected = fit(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        interrupted = residual_model(dropout_rate=0.3)
        fit(interrupted, tmp_path / "parts", callbacks=[StopBefore(2)])
    resumed = residual_model(dropout_rate=0.3)
    history = fit(resumed, tmp_path / "parts")
    assert_equal_weights(resumed, whole)
    for name in ("loss", "val_loss", "accuracy", "learning_rate"):
        assert history[name] == expected[name]


def test_log_and_checkpoint_after_each_epoch(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_model(), tmp_path, callbacks=[StopBefore(2)])
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"} <= set(rows[0])
    assert not (tmp_path / "model.keras").exists()
    assert training.finished_epochs(tmp_path) == 2
    usable = keras.saving.load_model(tmp_path / "checkpoint.keras")
    assert int(keras.ops.convert_to_numpy(usable.optimizer.iterations)) == 2 * STEPS


def test_model_file_has_the_last_weights_and_no_optimizer(tmp_path):
    model = tiny_model()
    fit(model, tmp_path, epochs=1)
    saved = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal_weights(saved, model)
    assert not hasattr(saved, "optimizer")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.keras",
        "log.csv",
        "model.keras",
    ]


def test_a_finished_training_is_not_repeated_and_may_be_prolonged(tmp_path):
    first = tiny_model()
    history = fit(first, tmp_path, epochs=2)
    again = tiny_model()
    assert fit(again, tmp_path, epochs=2) == history
    assert_equal_weights(again, first)
    longer = fit(tiny_model(), tmp_path, epochs=3)
    assert len(longer["loss"]) == 3
    assert longer["loss"][:2] == history["loss"]


def test_without_resuming_it_starts_anew(tmp_path):
    history = fit(tiny_model(), tmp_path, epochs=1)
    assert fit(tiny_model(), tmp_path, epochs=1, resume=False)["loss"] == history["loss"]


def test_leftovers_of_a_killed_write_are_removed(tmp_path):
    (tmp_path / ".checkpoint.keras.partial").mkdir()
    (tmp_path / ".checkpoint.keras.partial" / "checkpoint.keras").write_bytes(b"half")
    fit(tiny_model(), tmp_path, epochs=1)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "he2015"}, "optimizer='adamw' .now 'sgd'"),
        ({"steps_per_epoch": 2}, "steps_per_epoch=3 .now 2"),
        ({"settings": {"seed": 1}}, "seed=None .now 1"),
    ],
)
def test_another_training_in_the_folder_is_refused(tmp_path, change, message):
    fit(tiny_model(), tmp_path, epochs=1)
    with pytest.raises(training.CheckpointError, match=message):
        fit(tiny_model(), tmp_path, epochs=2, **change)


def test_a_checkpoint_of_other_layers_is_refused(tmp_path):
    fit(tiny_model(), tmp_path, epochs=1)
    with pytest.raises(training.CheckpointError, match="another model"):
        fit(tiny_model(units=6), tmp_path, epochs=2)


def damaged(path, damage):
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        with zipfile.ZipFile(path) as archive:
            start = archive.getinfo("model.weights.h5").header_offset
        content[start + 5000] ^= 0xFF
    path.write_bytes({"truncated": content[:900], "foreign": b"x", "flipped": content}[damage])


@pytest.mark.parametrize("damage", ["truncated", "foreign", "flipped"])
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path, damage):
    fit(tiny_model(), tmp_path, epochs=1)
    damaged(tmp_path / "checkpoint.keras", damage)
    with pytest.raises(training.CheckpointError, match=r"checkpoint\.keras") as caught:
        fit(tiny_model(), tmp_path, epochs=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "flipped"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    whole = tiny_model()
    fit(whole, tmp_path / "whole", epochs=4)
    fit(tiny_model(), tmp_path / "parts", epochs=4, callbacks=[EndAfter(3)])
    damaged(tmp_path / "parts" / "checkpoint.keras", damage)
    resumed = tiny_model()
    with warned("is damaged. Going on from the one before.*epoch 2"):
        fit(resumed, tmp_path / "parts", epochs=4)
    assert_equal_weights(resumed, whole)


def test_killed_between_two_checkpoints_the_one_before_counts(tmp_path):
    whole = tiny_model()
    fit(whole, tmp_path / "whole", epochs=3)
    fit(tiny_model(), tmp_path / "parts", epochs=3, callbacks=[EndAfter(2)])
    (tmp_path / "parts" / "checkpoint.keras").unlink()
    assert training.finished_epochs(tmp_path / "parts") == 1
    resumed = tiny_model()
    fit(resumed, tmp_path / "parts", epochs=3)
    assert_equal_weights(resumed, whole)


def test_a_full_disk_costs_a_checkpoint_and_not_the_training(tmp_path, monkeypatch):
    """A write that fails halfway, in the second of three epochs."""
    whole = tiny_model()
    expected = fit(whole, tmp_path / "whole", epochs=3)
    model, save, calls = tiny_model(), keras.Model.save, []

    def failing(self, path, *arguments, **options):
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half a checkpoint")
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(self, path, *arguments, **options)

    monkeypatch.setattr(keras.Model, "save", failing)
    with warned("epoch 2 could not be written.*No space left.*epoch 1"):
        history = fit(model, tmp_path / "full", epochs=3)
    assert history["loss"] == expected["loss"]
    assert_equal_weights(model, whole)
    assert training.finished_epochs(tmp_path / "full") == 3
    before = zipfile.ZipFile(tmp_path / "full" / "checkpoint.previous.keras")
    assert len(json.loads(before.read("training.json"))["rows"]) == 1
    assert not list((tmp_path / "full").glob(".*"))


class FilesUpTo(keras.callbacks.Callback):
    """The system refuses longer files while one epoch lasts, as it does on a full disk."""

    def __init__(self, epoch, size):
        super().__init__()
        self.epoch, self.size = epoch, size

    def _limit(self, size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def on_epoch_begin(self, epoch, logs=None):
        self._limit(self.size if epoch == self.epoch else resource.RLIM_INFINITY)

    def on_train_end(self, logs=None):
        self._limit(resource.RLIM_INFINITY)


@pytest.mark.parametrize("size", [0, 3_000, 12_000])
def test_what_the_system_refuses_to_write_costs_a_checkpoint(tmp_path, size):
    with warned("checkpoint of epoch 2 could not be written"):
        history = fit(tiny_model(), tmp_path, epochs=3, callbacks=[FilesUpTo(1, size)])
    assert len(history["loss"]) == training.finished_epochs(tmp_path) == 3
    assert keras.saving.load_model(tmp_path / "model.keras")
    assert not list(tmp_path.glob(".*"))


def test_an_earlier_stop_is_saved(tmp_path):
    model = tiny_model()
    history = fit(model, tmp_path, callbacks=[EndAfter(2)], checkpoint_seconds=1000)
    assert len(history["loss"]) == training.finished_epochs(tmp_path) == 2
    saved = keras.saving.load_model(tmp_path / "checkpoint.keras")
    assert_equal_weights(saved, model)


def test_checkpoints_take_little_of_the_time(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_model(), tmp_path, callbacks=[StopBefore(3)], checkpoint_seconds=1000)
    assert training.finished_epochs(tmp_path) == 1, "only the first was due"
    whole, resumed = tiny_model(), tiny_model()
    fit(whole, tmp_path / "whole")
    fit(resumed, tmp_path)
    assert_equal_weights(resumed, whole)


def test_averaged_weights_are_evaluated_and_kept_apart(tmp_path):
    """The checkpoint goes on with the raw weights, the model file has the averaged ones."""
    recipe = training.Recipe("sgd", 0.05, batch_size=12, ema=0.9)
    whole, resumed = tiny_model(), tiny_model()
    history = fit(whole, tmp_path / "whole", recipe=recipe)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_model(), tmp_path / "parts", recipe=recipe, callbacks=[StopBefore(2)])
    fit(resumed, tmp_path / "parts", recipe=recipe)
    assert_equal_weights(resumed, whole)
    raw = keras.saving.load_model(tmp_path / "whole" / "checkpoint.keras")
    averaged = keras.saving.load_model(tmp_path / "whole" / "model.keras")
    assert_equal_weights(averaged, whole)
    assert (raw.get_weights()[0] != averaged.get_weights()[0]).any()
    averaged.compile(loss="sparse_categorical_crossentropy")
    loss = averaged.evaluate(tiny_data()[1], verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)


def test_mixed_and_smoothed_labels(tmp_path):
    """The loss against NumPy, and accuracy against shares of classes and class numbers."""
    shares = np.array([[0.7, 0.3, 0.0], [0.0, 0.2, 0.8]], np.float32)
    logits = np.array([[2.0, 0.0, 1.0], [0.5, 1.5, 1.0]], np.float32)
    target = 0.9 * shares + 0.1 / 3
    log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -(target * log_softmax).sum(1).mean()
    loss = training.CrossEntropy(label_smoothing=0.1)(shares, logits)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    sigmoid = 1 / (1 + np.exp(-logits))
    expected = -(target * np.log(sigmoid) + (1 - target) * np.log(1 - sigmoid)).mean()
    binary = training.CrossEntropy("binary_cross_entropy", 0.1)
    assert float(binary(shares, logits)) == pytest.approx(expected, rel=1e-5)
    smoothed = training.CrossEntropy(label_smoothing=0.1)
    assert float(smoothed(np.array([1, 2]), logits)) == pytest.approx(
        float(smoothed(np.eye(3, dtype="float32")[[1, 2]], logits))
    )
    accuracy = training.Accuracy()
    accuracy.update_state(shares, logits)
    accuracy.update_state(np.array([0, 0]), logits)
    assert float(accuracy.result()) == 0.5


def test_binary_cross_entropy_needs_logits(tmp_path):
    recipe = training.Recipe(loss="binary_cross_entropy")
    with pytest.raises(ValueError, match="needs a model that puts out logits"):
        fit(tiny_model(), tmp_path, recipe=recipe)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tmp_path):
    fit(tiny_model(), tmp_path, epochs=1)
    before = (tmp_path / "checkpoint.keras").read_bytes()
    with pytest.raises(FloatingPointError, match=r"nan in epoch 2.*epoch 1.*lower learn"):
        fit(tiny_model(), tmp_path, epochs=2, loss=not_a_number)
    assert (tmp_path / "checkpoint.keras").read_bytes() == before


def test_data_of_known_length_needs_no_steps(tmp_path):
    _, batches = tiny_data()
    history = training.fit(tiny_model(), (batches, batches), "quick", tmp_path, epochs=1, verbose=0)
    assert len(history["val_loss"]) == 1


def test_a_model_that_puts_out_logits_trains_on_them(tmp_path):
    model = tiny_model(activation=None)
    history = fit(model, tmp_path, epochs=2)
    assert history["loss"][1] < history["loss"][0]
    assert model.loss.from_logits


def test_mixed_precision(tmp_path):
    history = fit(residual_model(dtype="mixed_bfloat16"), tmp_path, epochs=2)
    assert history["loss"][1] < history["loss"][0]


def test_tensorboard_log(tmp_path):
    fit(tiny_model(), tmp_path, epochs=1, tensorboard=True)
    assert list((tmp_path / "tensorboard").rglob("events.*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "he2016"}, "Unknown recipe: 'he2016'. Did you mean he2015?"),
        ({"epochs": 0}, "`epochs` must be a positive integer. Received: epochs=0"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be a positive integer"),
        ({"steps_per_epoch": None}, "`steps_per_epoch` must be given"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, message):
    arguments = {"epochs": 1, **arguments}
    with pytest.raises(ValueError) as caught:
        fit(tiny_model(), tmp_path / "new", **arguments)
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_data_must_be_a_pair(tmp_path):
    with pytest.raises(ValueError, match="`data` must be"):
        training.fit(tiny_model(), tiny_data()[1], output=tmp_path)
