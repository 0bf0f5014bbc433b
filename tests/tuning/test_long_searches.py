"""The cost of a trial does not grow with the number of earlier trials."""

import itertools
import json

import keras_tuner
import pytest
from keras_tuner.engine.trial import TrialStatus
from toy import ToySpace

from keras_residual.tuning import budgeted_oracle, oracles
from keras_residual.tuning.tried import Tried

pytestmark = pytest.mark.usefixtures("quick_garbage_collection")


@pytest.fixture
def oracle(tmp_path):
    def make(kind=oracles.RandomSearchOracle, space=None):
        space = space or ToySpace()
        made = kind(space, tmp_path, objective=keras_tuner.Objective("score", "max"), seed=1)
        space.declare_hyperparameters(made.hyperparameters)
        return made

    return make


def run(oracle, count):
    """Runs trials, each of which scores 1, and returns their values."""
    found = []
    for _ in range(count):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"score": 1.0})
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
        found.append(dict(trial.hyperparameters.values))
    return found


def test_the_state_of_the_oracle_is_written_twice_a_trial(oracle, monkeypatch):
    """When it starts and when it ends, as its size grows with the number of trials."""
    written = []
    write = budgeted_oracle.write_text

    def counted(path, text):
        written.append(path.name)
        write(path, text)

    made = oracle()
    monkeypatch.setattr(budgeted_oracle, "write_text", counted)
    run(made, 5)
    assert written.count("oracle.json") == 10
    state = json.loads((made.folder / "oracle.json").read_text())
    assert state["end_order"] == made.end_order and not state["ongoing_trials"]


class Counted(dict):
    """Values of a point that count how often they are read."""

    reads = 0

    def items(self):
        type(self).reads += 1
        return super().items()


def test_ended_trials_are_read_once(oracle):
    made = oracle()
    run(made, 5)
    for trial in made.trials.values():
        trial.hyperparameters.values = Counted(trial.hyperparameters.values)
    tried, new = Tried(made), {"units": 8, "layers": 9}
    Counted.reads = 0
    assert not any(new in tried for _ in range(10))
    assert Counted.reads == 5


def test_running_and_ended_points_are_tried(oracle):
    made = oracle()
    tried = Tried(made)
    assert {"units": 8, "layers": 1, "activation": "relu"} not in tried
    first = made.create_trial("a")
    values = dict(first.hyperparameters.values)
    assert values in tried and {**values, "tuner/parent": "0"} not in tried
    # What a space changes while a trial runs counts.
    first.hyperparameters.values["units"] = 16
    assert {**values, "units": 16} in tried and values not in tried
    first.status = TrialStatus.FAILED
    made.end_trial(first)
    assert {**values, "units": 16} in tried


def test_a_grid_is_walked_through_once(oracle, monkeypatch):
    steps = []
    every = oracles.combinations

    def counted(space):
        for values in every(space):
            steps.append(values)
            yield values

    monkeypatch.setattr(oracles, "combinations", counted)
    found = run(oracle(oracles.GridSearchOracle), 12)
    assert found == steps == list(itertools.islice(every(oracle().hyperparameters.space), 12))


def test_a_grid_goes_on_where_it_was(oracle):
    made = oracle(oracles.GridSearchOracle)
    before = run(made, 4)
    state, trials = made.get_state(), made.trials
    again = oracle(oracles.GridSearchOracle)
    again.trials.update(trials)
    again.set_state(state)
    expected = list(itertools.islice(oracles.combinations(again.hyperparameters.space), 7))
    assert before + run(again, 3) == expected
