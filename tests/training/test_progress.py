"""The progress stored in a checkpoint is checked before the model is changed."""

import json
import zipfile

import numpy as np
import pytest
from training.tiny_training import EndAfter, assert_equal_weights, fit, residual_model, warned

from keras_residual import training
from keras_residual.training.progress import Progress, checked_progress

ROW = {"epoch": 1, "loss": 0.5, "seconds": 1.0}
GOOD = {"settings": {}, "rows": [ROW], "random_states": [[0, 1]], "torch_state": []}


def test_a_good_one_is_read():
    assert checked_progress(GOOD) == Progress(**GOOD)
    assert checked_progress({"settings": {}, "rows": []}).torch_state == []


@pytest.mark.parametrize(
    "content",
    [
        [],
        "training",
        None,
        7,
        {},
        {"rows": []},
        {**GOOD, "epochs": 3},
        {**GOOD, "settings": []},
        {**GOOD, "settings": "x"},
        {**GOOD, "rows": {}},
        {**GOOD, "rows": [[]]},
        {**GOOD, "rows": [None]},
        {**GOOD, "rows": [{"epoch": 1}]},
        {**GOOD, "rows": [{**ROW, "epoch": 2}]},
        {**GOOD, "rows": [{**ROW, "loss": "0.5"}]},
        {**GOOD, "rows": [{**ROW, "loss": True}]},
        {**GOOD, "rows": [{**ROW, "loss": None}]},
        {**GOOD, "rows": [{**ROW, "loss": [1.0]}]},
        {**GOOD, "rows": [{**ROW, "loss": 10**400}]},
        {**GOOD, "random_states": [0, 1]},
        {**GOOD, "random_states": {"a": [0, 1]}},
        {**GOOD, "random_states": [[0.5, 1]]},
        {**GOOD, "random_states": [[-1, 1]]},
        {**GOOD, "random_states": [[2**70, 1]]},
        {**GOOD, "torch_state": [256]},
        {**GOOD, "torch_state": "abc"},
    ],
)
def test_other_forms_are_refused(content):
    with pytest.raises(ValueError, match=r"training\.json"):
        checked_progress(content)


def forge(path, text):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["training.json"] = text.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def forged(path, **changes):
    with zipfile.ZipFile(path) as archive:
        content = json.loads(archive.read("training.json"))
    forge(path, json.dumps({**content, **changes}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training of two epochs with dropout, which has a random state."""
    folder = tmp_path_factory.mktemp("trained")
    fit(residual_model(dropout_rate=0.3), folder, epochs=3, callbacks=[EndAfter(2)])
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": [{"epoch": 1}]},
        {"random_states": []},
        {"random_states": [[0, 1, 2]]},
        {"random_states": [[0, 1]] * 5},
        {"random_states": [[2**64 - 1, 0]]},
        {"settings": 3},
    ],
)
def test_a_forged_one_falls_back_to_the_one_before(folder, changes):
    forged(folder / "checkpoint.keras", **changes)
    with warned("is damaged. Going on from the one before.*epoch 1"):
        history = fit(residual_model(dropout_rate=0.3), folder, epochs=2)
    assert len(history["loss"]) == 2


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", "nothing"])
def test_without_another_the_model_stays_as_it_is(folder, text):
    (folder / "checkpoint.previous.keras").unlink()
    forge(folder / "checkpoint.keras", text)
    model = residual_model(dropout_rate=0.3)
    with pytest.raises(training.CheckpointError, match="is damaged") as caught:
        fit(model, folder, epochs=3)
    assert "\n" not in str(caught.value)
    assert_equal_weights(model, residual_model(dropout_rate=0.3))


def test_the_model_is_as_it_was_if_the_weights_of_another_do_not_fit(folder):
    """The first layers fit and are loaded before the last is seen not to."""
    keras_weights = residual_model(classes=4, dropout_rate=0.3).get_weights()
    model = residual_model(classes=4, dropout_rate=0.3)
    with pytest.raises(training.CheckpointError, match="another model"):
        fit(model, folder, epochs=3)
    for ours, theirs in zip(model.get_weights(), keras_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
