"""A search reports its result, can be resumed, and survives failures."""

import concurrent.futures
import csv
import dataclasses
import functools
import json
import random
import signal
import time

import pytest
from processes import completed, process, wait_until
from toy import Lines, ToySpace, X, Y, search

from keras_residual import data, tuning
from keras_residual._locks import claimed
from keras_residual.tuning import pictures
from keras_residual.tuning.budget import Cost

pytestmark = pytest.mark.usefixtures("quick_garbage_collection")


def trials(folder):
    """The content of a search's trial files, by number."""
    paths = (folder / "search").glob("trial_*/trial.json")
    states = [json.loads(path.read_text()) for path in paths]
    return {int(state["trial_id"]): state for state in states}


def test_what_fails_is_recorded_with_its_reason_and_the_search_goes_on(tmp_path):
    space = ToySpace(
        units=8, layers=1, activation="relu", mishap=["none", "nan", "memory", "error"]
    )
    result = search(tmp_path, space, algorithm="grid", max_trials=10)
    assert [row.status for row in result.rows] == ["COMPLETED", "FAILED", "FAILED", "FAILED"]
    assert [row.reason for row in result.failed] == [
        "The loss became nan.",
        "MemoryError: 20 GB were asked for",
        "RuntimeError: two lines",
    ]
    assert (
        "MemoryError: 20 GB were asked for" in (tmp_path / "search/trial_02/trial.json").read_text()
    )
    assert "3 failed" in str(result)


def test_a_search_in_which_everything_fails_ends(tmp_path):
    with pytest.raises(tuning.SearchError, match="Ten trials in a row failed; the last: Runtime"):
        search(tmp_path, ToySpace(mishap="error"), max_trials=30)
    assert len(trials(tmp_path)) == 10


def test_a_search_by_minutes_ends_and_goes_on(tmp_path):
    space = ToySpace(seconds=0.1)
    for limit in (0.25, 0.6):
        result = search(tmp_path, space, max_trials=30, max_minutes=limit / 60)
        seconds = [row.metrics["seconds"] for row in result.completed]
        in_order = [row.metrics["seconds"] for row in result.rows]
        assert sum(in_order[:-1]) < limit <= sum(seconds)


def test_the_space_of_the_caller_is_not_changed(tmp_path):
    space = ToySpace()
    before = dict(vars(space))
    search(tmp_path, space, objective=("accuracy", "macs"), max_trials=2)
    assert vars(space) == before


def test_more_trials_can_be_asked_for(tmp_path):
    """In a folder, too, whose name Keras Tuner would take for a pattern."""
    tmp_path = tmp_path / "of [many]*"
    first = search(tmp_path, max_trials=3)
    more = search(tmp_path, max_trials=12)
    assert more.rows[:3] == first.rows and len(more.completed) == 12
    assert len(search(tmp_path, max_trials=2, resume=False).rows) == 2


@pytest.mark.parametrize(
    ("changes", "differing"),
    [({"seed": 5}, "seed"), ({"algorithm": "grid"}, "algorithm"), ({"epochs": 3}, "epochs")],
)
def test_another_search_is_not_mixed_in(changes, differing, tmp_path):
    search(tmp_path, max_trials=1)
    with pytest.raises(ValueError, match=f"holds another search: {differing} differ"):
        search(tmp_path, **changes)


def test_a_search_on_other_arrays_is_another_search(tmp_path):
    search(tmp_path, max_trials=1)
    with pytest.raises(ValueError, match="holds another search: source differ"):
        tuning.search(ToySpace(), (X + 1, Y), tmp_path, max_trials=2, epochs=1)


def test_the_recipe_tells_equal_networks_apart(tmp_path):
    space = ToySpace(units=8, layers=1, activation="relu", batch_size=[32, 64], warmup=[0.0, 0.1])
    result = search(tmp_path, space, algorithm="grid", max_trials=4)
    heads, *lines = result.table()
    assert heads[-1] == "network; recipe" and len({line[-1] for line in lines}) == 4
    assert sum("batches of 32" in line[-1] for line in lines) == 2
    assert result.table(1)[0][-1] == "network" and "recipe" not in result.table(1)[1][-1]
    assert str(result).endswith("Pareto front of accuracy and macs: trial 0")


def test_several_objectives_trade_accuracy_for_cost(tmp_path):
    result = search(tmp_path, objective=("accuracy", "macs"), algorithm="grid", max_trials=20)
    for row in result.completed:
        relative = row.cost.macs / result.hypermodel.cost({}).macs
        assert row.metrics["score"] == pytest.approx(row.accuracy * relative**-0.07, rel=1e-6)
    front = result.pareto()
    assert front == result.pareto("macs") and len(front) > 3
    for row in result.completed:
        at_most = [other for other in front if other.cost.macs <= row.cost.macs]
        assert at_most and at_most[-1].accuracy >= row.accuracy
    assert result.best.accuracy < max(row.accuracy for row in result.completed)
    trials = [row.trial for row in front]
    assert f"Pareto front of accuracy and macs: trials {', '.join(trials)}" in str(result)
    result.report(pictures=False)
    rows = csv.DictReader((tmp_path / "trials.csv").read_text().splitlines())
    assert [row["trial"] for row in rows if row["pareto"]] == sorted(trials, key=int)


def test_the_picture_keeps_the_knobs_that_tell_most_of_accuracy(tmp_path, monkeypatch):
    """The formula of the accuracy has no activation, and hardly the layers."""
    result = search(tmp_path, algorithm="grid", max_trials=36)
    knobs = result.hypermodel.knobs
    telling = functools.partial(pictures.most_telling, knobs, result.rows, result.value)
    assert telling() == knobs
    for room, names in ((1, ["units"]), (2, ["units", "layers"])):
        monkeypatch.setattr(pictures, "_MOST_AXES", room)
        assert [knob.name for knob in telling()] == names


def test_a_front_over_several_costs_is_what_brute_force_finds(tmp_path):
    rng = random.Random(0)
    rows = [
        tuning.TrialRow(
            f"{number}",
            "COMPLETED",
            {"score": 0.0, "val_accuracy": rng.randrange(6) / 6},
            {},
            Cost(rng.randrange(6), rng.randrange(6)),
        )
        for number in range(40)
    ]
    result = tuning.SearchResult(ToySpace(), tuple(rows), tmp_path, 1, 0, {})

    def point(row):
        return row.cost.parameters, row.cost.macs, -row.accuracy

    def beats(other, row):
        pairs = list(zip(point(other), point(row), strict=True))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    assert result.costs == ("macs",)
    bounded = dataclasses.replace(result, hypermodel=ToySpace(max_parameters=100))
    assert bounded.costs == ("parameters",)
    unbeaten = {point(row) for row in rows if not any(beats(other, row) for other in rows)}
    front = result.pareto("parameters", "macs")
    assert [point(row) for row in front] == sorted(unbeaten) and len(front) > 3
    with pytest.raises(ValueError, match="`costs` must be one of 'parameters', 'macs'"):
        result.pareto("size")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "annealing"}, "`algorithm` must be one of 'evolution'"),
        ({"max_trials": 0}, "`max_trials` must be a positive integer"),
        ({"max_minutes": float("nan")}, "`max_minutes` must be a number in"),
        ({"max_minutes": -1}, "`max_minutes` must be a number in"),
        ({"max_minutes": 0}, r"`max_minutes` must be a number in \(0, inf\)"),
        ({"validation": 0.0}, r"`validation` must be a number in \(0, 1\)"),
        ({"validation": 1}, r"`validation` must be a number in \(0, 1\)"),
        ({"objective": "macs"}, "`objective` must hold 'accuracy'"),
        ({"objective": ("accuracy", "size")}, "`objective` must be one of"),
        ({"epochs": -1}, "`epochs` must be a positive integer"),
    ],
)
def test_wrong_arguments(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        search(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "`source` must be a Dataset or a pair of arrays"),
        ((X, Y, Y), "`source` must be a Dataset or a pair of arrays"),
        ((X[:, :3], Y), r"input_shape, \(4,\). Received: x of shape \(20, 3\)"),
        ((X, Y[:5]), "an integer label for each of 20 examples. Received: y of shape"),
        ((X, Y / 2), "an integer label .* float64"),
        ((X, Y + 1), "labels from 0 to 1, the space's classes. Received: labels from 1 to 2"),
        ((X[:0], Y[:0]), "Received: no example"),
        ((X[:2], Y[:2]), "`validation` must leave an example in each"),
        (data.load("digits"), r"examples that the space takes, with input_shape=\(4,\)"),
    ],
)
def test_wrong_sources(source, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        tuning.search(ToySpace(), source, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_restarted_search_removes_earlier_results(tmp_path):
    search(tmp_path, max_trials=2).report(pictures=False)
    (tmp_path / "notes.txt").write_text("mine")
    search(tmp_path, max_trials=2, resume=False)
    names = {path.name for path in tmp_path.iterdir()}
    assert not {"best.json", "trials.csv"} & names and "notes.txt" in names


def test_damaged_files_are_named_and_set_aside(tmp_path):
    before = search(tmp_path, max_trials=4)
    damaged = tmp_path / "search" / "trial_1" / "trial.json"
    damaged.write_text(damaged.read_text()[:50])
    lines = Lines()
    after = search(tmp_path, listener=lines, max_trials=6)
    (line,) = lines.lines
    assert str(damaged) in line and "is now trial.json.damaged" in line
    assert damaged.with_name("trial.json.damaged").stat().st_size == 50
    assert [row.status for row in after.rows].count("COMPLETED") == 5
    assert after.rows[1].reason == line
    assert [after.rows[index] for index in (0, 2, 3)] == [before.rows[i] for i in (0, 2, 3)]

    oracle = tmp_path / "search" / "oracle.json"
    oracle.write_text("{")
    again = search(tmp_path, listener=lines, max_trials=8)
    assert str(oracle) in lines.lines[-1]
    assert again.rows[:6] == after.rows and len(again.completed) == 7


def check_kills(folder, kills):
    moments = random.Random(kills)
    # More points than trials.
    units = {"units": list(range(1, 33))}
    space, options = {"seconds": 0.05, **units}, {"max_trials": 8 * kills}
    for kill in range(1, kills + 1):
        running = process(folder, space, options)
        wait_until(lambda kill=kill: len(completed(folder)) >= 6 * kill, running)
        time.sleep(moments.uniform(0, 0.15))
        running.send_signal(signal.SIGKILL)
        running.communicate()
    before = completed(folder)
    whole = search(folder, ToySpace(**space), **options)
    assert len(whole.completed) == 8 * kills and not whole.failed
    after = completed(folder)
    assert len(before) >= 6 * kills and all(after[name] == before[name] for name in before)
    alone = search(folder / "alone", ToySpace(**units), **options)
    assert [row.values for row in alone.rows[:6]] == [row.values for row in whole.rows[:6]]


def test_killed_at_any_moment_it_loses_at_most_the_trial_in_flight(tmp_path):
    check_kills(tmp_path, kills=1)


@pytest.mark.slow
def test_killed_again_and_again(tmp_path):
    check_kills(tmp_path, kills=10)


def test_a_trial_that_kills_its_process_is_given_up(tmp_path):
    space = ToySpace(units=8, layers=1, activation="relu", mishap=["none", "killed"])
    for _ in range(3):
        with pytest.raises(SystemExit):
            search(tmp_path, space, algorithm="grid")
    result = search(tmp_path, space, algorithm="grid")
    assert [row.status for row in result.rows] == ["COMPLETED", "FAILED"]
    assert result.failed[0].reason.startswith("The process ended 3 times during this trial")


def test_two_searches_do_not_write_to_one_folder(tmp_path):
    with claimed(tmp_path):
        in_thread = concurrent.futures.ThreadPoolExecutor(1).submit(search, tmp_path)
        with pytest.raises(tuning.SearchError, match="is in use"):
            in_thread.result()
    assert not (tmp_path / "search.json").exists()
    assert len(search(tmp_path, max_trials=1).completed) == 1
