"""The trials of each algorithm, within the budget."""

import json

import keras_tuner
import pytest
from toy import ToySpace, search

from keras_residual import tuning
from keras_residual.tuning import oracles

pytestmark = pytest.mark.usefixtures("quick_garbage_collection")


@pytest.mark.parametrize("algorithm", ["random", "grid", "bayesian", "hyperband", "evolution"])
def test_every_algorithm_stays_within_the_budget(algorithm, tmp_path):
    space = ToySpace(max_parameters=100)
    result = search(
        tmp_path,
        space,
        algorithm=algorithm,
        max_trials=7,
        epochs=2 if algorithm != "hyperband" else 4,
    )
    assert len(result.completed) == 7 and not result.failed
    assert all(row.cost.parameters <= 100 for row in result.rows)
    assert result.rejected > 0
    points = [json.dumps(row.values, sort_keys=True) for row in result.rows]
    assert algorithm == "hyperband" or len(set(points)) == 7


def test_evolution_changes_one_or_two_values_of_a_good_trial(tmp_path):
    """The formula's best of 36 points is the largest; a walk from the middle must get there.

    Behind the default stand four random points, two with its size, as the space has no recipe.
    """
    values = [row.values for row in search(tmp_path, algorithm="evolution", max_trials=20).rows]
    assert values[0] == {"units": 8, "layers": 1, "activation": "relu"}
    changes = [
        min(sum(value != before[name] for name, value in new.items()) for before in values[:number])
        for number, new in enumerate(values)
        if number > 4
    ]
    assert set(changes) <= {1, 2}
    assert {(point["units"], point["layers"]) for point in values} >= {(32, 3)}


def test_evolution_first_tries_recipes_and_options_of_the_default_size(tmp_path):
    """Two thirds of the points have another network, and a random one all three the same four."""
    space = ToySpace(batch_size=[32, 64, 128], warmup=[0.0, 0.1, 0.2], max_parameters=50)
    rows = search(tmp_path, space, algorithm="evolution", max_trials=20).rows
    first = rows[0].values
    assert first["units"] == 4 and first["batch_size"] == 64  # narrowed to the budget
    recipes = {(row.values["batch_size"], row.values["warmup"]) for row in rows[:5]}
    assert len(recipes) == 5
    for number, row in enumerate(rows[:5]):
        same = (
            ("units", "layers", "activation") if number % 2 or not number else ("units", "layers")
        )
        assert {name: row.values[name] for name in same} == {name: first[name] for name in same}
    # Every second one may have other options of the network, of the same size.
    assert len({row.values["activation"] for row in (rows[2], rows[4])} - {"relu"}) > 0


def test_evolution_keeps_conditional_values_together():
    knobs = tuning.HyperResNet((8, 8, 1), 10, max_parameters=20_000)
    oracle = oracles.EvolutionOracle(knobs, None, objective=keras_tuner.Objective("score", "max"))
    knobs.declare_hyperparameters(oracle.hyperparameters)
    for _ in range(100):
        values = oracle.draw()
        assert list(values) == knobs.active(values)
        assert ("cardinality" in values) == (values["block"] == "bottleneck")
        assert ("sgd_learning_rate" in values) == (values["optimizer"] == "sgd")


def test_hyperband_restarts_until_there_are_enough_trials(tmp_path):
    """Once through its brackets are 22 trials of at most 9 epochs."""
    assert len(search(tmp_path, algorithm="hyperband", max_trials=30, epochs=9).completed) == 30


def test_the_grid_is_every_point_within_the_budget_once(tmp_path):
    space = ToySpace(max_parameters=60)
    result = search(tmp_path, space, algorithm="grid", max_trials=100)
    found = {(row.values["units"], row.values["layers"]) for row in result.rows}
    every = {
        (units, layers)
        for units in (1, 2, 4, 8, 16, 32)
        for layers in (1, 2, 3)
        if space.cost({"units": units, "layers": layers}).parameters <= 60
    }
    assert found == every
    assert len(result.rows) == 2 * len(every) and result.rejected == 36 - len(result.rows)
    assert (result.rows[0].values["units"], result.rows[0].values["layers"]) == (8, 1)


@pytest.mark.parametrize(
    ("algorithm", "seed"), [("evolution", 0), ("random", 1), ("random", 2), ("bayesian", 0)]
)
def test_it_ends_when_every_point_within_the_budget_has_been_tried(algorithm, seed, tmp_path):
    """Not when a walk finds nothing new nearby, nor when some random points were tried before."""
    space = ToySpace(max_parameters=200)
    every = len(search(tmp_path / "grid", space, algorithm="grid", max_trials=100).rows)
    assert every > 20
    rows = search(tmp_path / "it", space, algorithm=algorithm, max_trials=100, seed=seed).rows
    assert len({json.dumps(row.values, sort_keys=True) for row in rows}) == len(rows) == every


@pytest.mark.parametrize("algorithm", ["random", "hyperband"])
def test_the_first_trial_is_the_default_or_a_smaller_one(algorithm, tmp_path):
    result = search(tmp_path / "free", algorithm=algorithm, max_trials=1, epochs=4)
    assert result.rows[0].values == {"units": 8, "layers": 1, "activation": "relu"}
    space = ToySpace(max_parameters=50)
    (row,) = search(tmp_path, space, algorithm=algorithm, max_trials=1, epochs=4).rows
    assert row.values["units"] == 4 and row.values["activation"] == "relu"


def test_a_tiny_feasible_part_of_the_space_is_found(tmp_path):
    smallest = ToySpace().cost({"units": 1, "layers": 1}).parameters
    result = search(tmp_path, ToySpace(max_parameters=smallest), max_trials=3)
    assert {row.cost.parameters for row in result.completed} == {smallest}
    assert len(result.completed) == 2  # the two activations


def test_the_same_seed_tries_the_same(tmp_path):
    values = [
        [row.values for row in search(tmp_path / name, seed=seed).rows]
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    assert values[0] == values[1] != values[2]
