"""Learning curves are kept, and end hopeless trials by the median rule."""

import json

import numpy as np
import pytest
from toy import ToySpace, search

from keras_residual.tuning import service
from keras_residual.tuning.curves import CURVE, INHERITS, Curves

pytestmark = pytest.mark.usefixtures("quick_garbage_collection")


def added(curves, trial_id, values, inherits=False):
    for epoch, value in enumerate(values):
        curves.add(trial_id, epoch, {CURVE: value, INHERITS: float(inherits)})


def four(inherits=False):
    """Three completed trials, whose means over two epochs are 0.6, 0.7 and 0.5."""
    curves = Curves(epochs=6)
    for trial_id, values in (("0", [0.5, 0.7, 0.9]), ("1", [0.6, 0.8]), ("2", [0.4, 0.6])):
        added(curves, trial_id, values, inherits)
    return curves


@pytest.mark.parametrize(
    ("values", "hopeless"),
    [([0.1], False), ([0.1, 0.59], True), ([0.59, 0.1], True), ([0.1, 0.6], False)],
)
def test_the_median_rule(values, hopeless):
    """Two of six epochs pass before a trial is judged, by its best one."""
    curves = four()
    added(curves, "3", values)
    assert curves.is_hopeless("3", ["0", "1", "2"]) == hopeless
    assert not curves.is_hopeless("3", ["0", "1"])
    unjudged = Curves(None)
    added(unjudged, "3", values)
    assert not unjudged.is_hopeless("3", ["0", "1", "2"])


def test_networks_with_inherited_weights_are_compared_with_each_other():
    curves = four()
    added(curves, "3", [0.1, 0.2], inherits=True)
    assert not curves.is_hopeless("3", ["0", "1", "2"])
    curves = four(inherits=True)
    added(curves, "3", [0.1, 0.2], inherits=True)
    assert curves.is_hopeless("3", ["0", "1", "2"])


def test_a_restarted_trial_loses_its_curve():
    curves = Curves(3)
    added(curves, "0", [0.1, 0.2, 0.3])
    added(curves, "0", [0.4])
    assert curves.of("0") == (0.4,) and curves.of("1") == ()


class Learning(ToySpace):
    """Networks that reach their accuracy in a straight line over the epochs."""

    def fit(self, hp, model, x, y=None, *, epochs=None, callbacks=(), **options):
        final = super().fit(hp, model, x, y)["accuracy"]
        model.stop_training = False
        for callback in callbacks:
            callback.set_model(model)
        for epoch in range(epochs):
            accuracy = final * (epoch + 1) / epochs
            for callback in callbacks:
                callback.on_epoch_end(epoch, {"loss": 1.0, "val_accuracy": accuracy})
            if model.stop_training:
                break
        return {"accuracy": accuracy, "val_accuracy": accuracy, "score": accuracy}


def test_hopeless_trials_end_early_and_the_best_stays(tmp_path):
    options = {"algorithm": "grid", "max_trials": 18, "epochs": 6}
    whole = search(tmp_path / "whole", Learning(activation="relu"), **options)
    assert {len(row.curve) for row in whole.rows} == {6}
    assert whole.best.curve[-1] == whole.best.accuracy
    options |= {"early_stopping": "median"}
    result = search(tmp_path / "median", Learning(activation="relu"), **options)
    ended = [row for row in result.rows if "stopped" in row.metrics]
    assert 1 < len(ended) < 15 and len(result.completed) == 18
    assert all(2 <= len(row.curve) == row.metrics["stopped"] < 6 for row in ended)
    assert result.best.values == whole.best.values and result.best not in ended
    assert f"Ended early by their learning curves: {len(ended)}" in str(result)
    again = search(tmp_path / "median", Learning(activation="relu"), **options)
    assert [row.curve for row in again.rows] == [row.curve for row in result.rows]


@pytest.fixture
def stopped(tmp_path):
    """A search of which some trials were stopped, as its folder, arguments and curves."""
    options = {"algorithm": "grid", "max_trials": 8, "epochs": 6, "early_stopping": "median"}
    found = search(tmp_path, Learning(activation="relu"), **options)
    curves = {row.trial: row.curve for row in found.rows}
    assert {len(curve) for curve in curves.values()} > {6}
    return tmp_path, options, curves


def curves_of(folder, options):
    rows = search(folder, Learning(activation="relu"), **options).rows
    return {row.trial: row.curve for row in rows}


@pytest.mark.parametrize("content", [None, "{", '{"keras_residual": {}}'])
def test_curves_survive_a_damaged_file_of_the_oracle(stopped, content):
    folder, options, curves = stopped
    path = folder / "search" / "oracle.json"
    assert "curve" not in path.read_text()
    path.unlink() if content is None else path.write_text(content)
    assert curves_of(folder, options) == curves


@pytest.mark.parametrize("curve", [{"values": [float("nan")], "inherits": False}, [0.5], None])
def test_a_damaged_curve_costs_its_trial_only(stopped, curve):
    folder, options, curves = stopped
    path = folder / "search" / "trial_3" / "trial.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "curve": curve}))
    assert curves_of(folder, options) == {**curves, "3": ()}
    assert path.with_name("trial.json.damaged").exists()


def test_curves_in_the_files_of_an_earlier_version_are_read(stopped):
    """It stored them in the oracle's file."""
    folder, options, curves = stopped
    moved = {}
    for trial in curves:
        path = folder / "search" / f"trial_{trial}" / "trial.json"
        state = json.loads(path.read_text())
        moved[trial] = state.pop("curve")
        path.write_text(json.dumps(state))
    path = folder / "search" / "oracle.json"
    state = json.loads(path.read_text())
    state["keras_residual"]["curves"] = moved
    path.write_text(json.dumps(state))
    assert curves_of(folder, options) == curves


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early_stopping": "mean"}, "`early_stopping` must be one of 'median'"),
        ({"early_stopping": "median", "algorithm": "hyperband"}, "`early_stopping` must be None"),
    ],
)
def test_wrong_arguments(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        search(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_worker_hears_from_the_chief_that_its_trial_is_hopeless():
    class Chief:
        """As much of an oracle as the call needs."""

        def update_trial(self, trial_id, metrics, step):
            self.received = trial_id, metrics, step
            return self

        def get_state(self):
            space = {"space": [], "values": {}}
            return {
                "trial_id": "3", "hyperparameters": space, "metrics": {"metrics": {}},
                "score": None, "best_step": None, "status": "STOPPED", "message": None,
            }  # fmt: skip

    chief = Chief()
    arguments = {"trial_id": "3", "metrics": {CURVE: np.float32(0.5)}, "step": 2}
    arguments["metrics"] = {name: float(value) for name, value in arguments["metrics"].items()}
    assert service._call(chief, "update_trial", arguments)["status"] == "STOPPED"
    assert chief.received == ("3", {CURVE: 0.5}, 2)
