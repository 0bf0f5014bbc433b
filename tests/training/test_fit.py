import csv

import keras
import numpy as np
import pytest
from training.tiny_training import (
    STEPS,
    StopBefore,
    assert_equal_weights,
    fit,
    residual_model,
    tiny_data,
    tiny_model,
)

from keras_residual import training


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


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = training.Recipe("sgd", 0.05, batch_size=12, ema=0.9)
    kept, free = tiny_model(), tiny_model()
    history = fit(kept, tmp_path / "kept", epochs=2, recipe=recipe)
    without = fit(free, None, epochs=2, recipe=recipe)
    assert {**without, "seconds": 0} == {**history, "seconds": 0}
    assert_equal_weights(free, kept)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    with pytest.raises(FloatingPointError, match="No checkpoint is kept"):
        fit(tiny_model(), None, loss=not_a_number)
    with pytest.raises(ValueError, match="`tensorboard` needs a folder"):
        fit(tiny_model(), None, tensorboard=True)


@pytest.mark.parametrize("steps", [4, 7, 8, 11, 40, 1000])
def test_statistics_of_averaged_weights_take_at_most_a_tenth_of_an_epoch(steps):
    from keras_residual.training.averaging import _number_of_batches

    # A forward pass takes a third of a step.
    assert _number_of_batches(128, steps) / 3 <= steps / 10


def test_averaged_weights_are_evaluated_and_kept_apart(tmp_path):
    """The checkpoint has the raw weights, the model file the averaged ones."""
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
    with pytest.raises(ValueError, match="needs a model that outputs logits"):
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
