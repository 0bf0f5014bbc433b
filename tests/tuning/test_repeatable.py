"""The same search gives the same numbers, whatever is cached and however often it is killed."""

import random

import keras
import keras_tuner
import numpy as np
import pytest
from toy import Lines, ToySpace, search

from keras_residual import analysis, tuning

pytestmark = pytest.mark.usefixtures("quick_garbage_collection")


def test_initial_weights_do_not_depend_on_what_has_been_counted():
    space = tuning.HyperResNet((8, 8, 1), 10, "ResNet8", max_parameters=20_000, depth=1, stages=2)
    weights = []
    for _ in range(2):
        hp = keras_tuner.HyperParameters()
        space.declare_hyperparameters(hp)
        hp.values.update(width1=4, width2=8, stem_width=4)  # not yet counted the first time
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        weights.append(space.build(hp).get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_counting_and_timing_leave_the_random_state_alone(monkeypatch):
    monkeypatch.setattr(
        "keras_residual.tuning.latency.measured", lambda *_: random.random() + np.random.rand()
    )
    space = ToySpace()
    space.tradeoff = ("latency_ms",)
    before = random.getstate(), np.random.get_state()[1].tolist()
    analysis.cost("ResNet8")
    analysis.cost(space.network(space.options(space.defaults)))
    model_state = random.getstate()
    space.cost({})
    assert random.getstate() == model_state
    assert np.random.get_state()[1].tolist() == before[1]


class Interrupts(Lines):
    def __init__(self, trial):
        super().__init__()
        self.trial = trial

    def trial_began(self, trial):
        if int(trial.trial_id) == self.trial:
            raise KeyboardInterrupt


RECIPES = {"batch_size": [32, 64, 128], "warmup": [0.0, 0.1, 0.2]}


@pytest.mark.parametrize(
    ("algorithm", "knobs"),
    [
        *((name, {}) for name in ("random", "grid", "bayesian", "hyperband", "evolution")),
        ("evolution", RECIPES),
    ],
    ids=str,
)
def test_an_interrupted_search_tries_what_an_uninterrupted_tries(algorithm, knobs, tmp_path):
    # Fitting Gaussian processes takes seconds a point.
    trials = 5 if algorithm == "bayesian" else 15 if knobs else 9
    space = ToySpace(**knobs)
    options = {"space": space, "algorithm": algorithm, "max_trials": trials, "epochs": 4}
    whole = search(tmp_path / "whole", **options)
    for trial in (2, trials - 1):
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / "parts", listener=Interrupts(trial), **options)
    parts = search(tmp_path / "parts", **options)
    assert [row.values for row in parts.rows] == [row.values for row in whole.rows]
