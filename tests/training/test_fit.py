import csv
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
    options = {"recipe": "quick", "steps_per_epoch": STEPS, "verbose": 0, **options}
    return training.fit(model, tiny_data(), output=output, epochs=epochs, **options)


class StopBefore(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.seen == self.epoch and batch == 1:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.seen = epoch


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


@pytest.mark.parametrize("damage", ["truncated", "foreign", "flipped"])
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path, damage):
    fit(tiny_model(), tmp_path, epochs=1)
    path = tmp_path / "checkpoint.keras"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        with zipfile.ZipFile(path) as archive:
            start = archive.getinfo("model.weights.h5").header_offset
        content[start + 5000] ^= 0xFF
    path.write_bytes({"truncated": content[:900], "foreign": b"x", "flipped": content}[damage])
    with pytest.raises(training.CheckpointError, match=r"checkpoint\.keras") as caught:
        fit(tiny_model(), tmp_path, epochs=2)
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tmp_path):
    fit(tiny_model(), tmp_path, epochs=1)
    before = (tmp_path / "checkpoint.keras").read_bytes()
    with pytest.raises(FloatingPointError, match="epoch 2"):
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
