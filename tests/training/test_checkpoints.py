"""The files of a training, and how it resumes from whatever files there are."""

import csv
import errno
import json
import re
import resource
import zipfile

import keras
import pytest
from training.tiny_training import (
    STEPS,
    EndAfter,
    StopBefore,
    assert_equal_weights,
    fit,
    residual_model,
    tiny_model,
    warned,
)

from keras_residual import training


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


def test_a_finished_training_is_not_repeated_and_may_be_prolonged(tmp_path):
    first = tiny_model()
    history = fit(first, tmp_path, epochs=2)
    again = tiny_model()
    assert fit(again, tmp_path, epochs=2) == history
    assert_equal_weights(again, first)
    longer = fit(tiny_model(), tmp_path, epochs=3)
    assert len(longer["loss"]) == 3
    assert longer["loss"][:2] == history["loss"]


def test_without_resuming_it_starts_again(tmp_path):
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
    elif damage.startswith("method"):
        for start, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
            for found in re.finditer(re.escape(start), bytes(content)):
                content[found.start() + place] = int(damage.removeprefix("method"))
    path.write_bytes({"truncated": content[:900], "foreign": b"x"}.get(damage, content))


# Stored bytes that are decompressed make each decompressor raise an error of its own.
@pytest.mark.parametrize(
    "damage", ["truncated", "foreign", "flipped", "method8", "method12", "method14"]
)
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
    """During one epoch the system refuses longer files, as on a full disk."""

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
