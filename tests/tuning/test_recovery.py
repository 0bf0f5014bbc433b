"""Files of a search that are absent, damaged, or JSON of another shape."""

import copy
import json
import shutil

import pytest
from toy import Lines, ToySpace, search

pytestmark = pytest.mark.usefixtures("quick_garbage_collection")

OTHER_SHAPES = ([], {}, 3, None, "text", [[]], {"a": {}}, True, 1e400, -1)
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a search of four trials."""
    folder = tmp_path_factory.mktemp("begun")
    search(folder, max_trials=4)
    return folder


@pytest.fixture
def folder(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "copy")
    return tmp_path / "copy"


def resumed(folder, **options):
    lines = Lines()
    return search(folder, listener=lines, **{"max_trials": 6, **options}), lines.lines


@pytest.mark.parametrize("absent", [(1,), (3,), (0, 2), (0, 1, 2, 3)])
def test_the_number_of_an_absent_trial_is_not_given_to_another(folder, absent):
    for number in absent:
        shutil.rmtree(folder / "search" / f"trial_{number}")
    result, lines = resumed(folder, max_trials=7)
    assert [row.trial for row in result.rows] == [str(number) for number in range(7)]
    assert [row.trial for row in result.failed] == [str(number) for number in absent]
    assert all("was missing" in row.reason for row in result.failed)
    assert len(lines) == len(absent) and all("was missing" in line for line in lines)


def test_an_absent_file_of_the_oracle_is_written_again(folder):
    (folder / "search" / "oracle.json").unlink()
    result, (line,) = resumed(folder)
    assert "oracle.json was missing" in line
    assert len(result.completed) == 6 and len({str(row.values) for row in result.rows}) == 6


def changes(state, path=()):
    """Yields every way to replace one value of a JSON object by one of another shape."""
    for key, value in state.items() if isinstance(state, dict) else ():
        for other in OTHER_SHAPES:
            if type(other) is not type(value):
                yield (*path, key), other
        yield from changes(value, (*path, key))


def replaced(state, path, value):
    state = copy.deepcopy(state)
    place = state
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return state


def test_the_oracle_is_read_whole_or_restarts_its_plan(folder):
    """Every field of its file replaced by every other shape; then all are resumed, four trials."""
    path = folder / "search" / "oracle.json"
    content = path.read_text()
    state = json.loads(content)
    kinds = [(place, other) for place, other in changes(state) if "hyperparameters" not in place]
    assert len(kinds) > 100
    for place, other in kinds[::5]:
        path.write_text(json.dumps(replaced(state, place, other)))
        result, _ = resumed(folder, max_trials=4)
        assert len(result.completed) == 4, (place, other)


def test_trials_that_were_lost_do_not_end_the_search(tmp_path):
    search(tmp_path, max_trials=12)
    for number in range(11):
        shutil.rmtree(tmp_path / "search" / f"trial_{number:02d}")
    result, _ = resumed(tmp_path, max_trials=14)
    assert len(result.failed) == 11 and len(result.completed) == 3


@pytest.mark.parametrize("algorithm", ["grid", "bayesian", "hyperband"])
def test_forged_plans_neither_crash_nor_train_for_ever(algorithm, tmp_path):
    options = {"algorithm": algorithm, "epochs": 4}
    search(tmp_path, max_trials=3, **options)
    path = tmp_path / "search" / "oracle.json"
    state = json.loads(path.read_text())
    forged = [
        {"max_epochs": 10**9, "hyperband_iterations": 10**9, "factor": 0},
        {"brackets": [{"bracket_num": 0, "rounds": [[{"past_id": "99", "id": "98"}]]}]},
        {"brackets": [{"bracket_num": 10**9, "rounds": []}], "current_bracket": 10**9},
        {"position": -1, "seed_state": -5, "alpha": "x", "num_initial_points": None},
        {"start_order": ["0", "0", "77"], "retry_queue": ["999999999999999999999"]},
    ]
    for number, changed in enumerate(forged, start=4):
        path.write_text(json.dumps({**state, **changed}))
        result, _ = resumed(tmp_path, max_trials=number, **options)
        assert len(result.rows) <= number + 10


@pytest.mark.parametrize("content", ["[]", "3", "{", "", DEEP, '"text"', '{"keras_residual": 3}'])
def test_a_damaged_file_of_the_oracle_is_set_aside(folder, content):
    (folder / "search" / "oracle.json").write_text(content)
    result, lines = resumed(folder)
    assert any("oracle.json.damaged" in line for line in lines)
    assert len(result.completed) == 6


@pytest.mark.parametrize(
    "change",
    [
        {"score": None},
        {"score": "high"},
        {"status": "DONE"},
        {"status": 3},
        {"trial_id": "3"},
        {"metrics": []},
        {"metrics": {"metrics": {}}},
        {"metrics": {"metrics": {"score": {"direction": "max", "observations": []}}}},
        {"hyperparameters": {"space": [], "values": {"units": 7}}},
        {"hyperparameters": {"space": [], "values": {"units": 8, "depth": 1}}},
        {"hyperparameters": {"space": [3], "values": {}}},
        {"message": []},
        [],
    ],
    ids=str,
)
def test_a_trial_of_another_shape_counts_as_failed(folder, change):
    path = folder / "search" / "trial_1" / "trial.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, **change} if isinstance(change, dict) else change))
    result, (line,) = resumed(folder)
    assert "trial.json was damaged" in line
    assert [row.trial for row in result.failed] == ["1"] and len(result.completed) == 5
    assert "5 trials completed, 1 failed" in str(result)


@pytest.mark.parametrize("content", ["[]", "3", "{", DEEP, None], ids=range(5))
def test_the_settings_are_written_again_where_the_search_is_known(folder, content):
    path = folder / "search.json"
    before = path.read_text()
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    result, (line,) = resumed(folder)
    assert "search.json" in line and "rewritten" in line
    assert path.read_text() == before and len(result.completed) == 6


@pytest.mark.parametrize("content", ["[]", None])
def test_a_search_that_nobody_can_tell_is_left_alone(folder, content):
    path = folder / "search.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match="cannot be identified"):
        resumed(folder, seed=1)
    assert len(list((folder / "search").glob("trial_*"))) == 4


@pytest.mark.parametrize("content", ["[]", '{"x": "fast"}', '{"x": -1}', "\x00", DEEP])
def test_damaged_latencies_are_measured_again(folder, content):
    (folder / "latency.json").write_text(content)
    assert len(resumed(folder)[0].completed) == 6


def test_a_search_leaves_the_space_as_it_was(tmp_path):
    space = ToySpace()
    before = dict(vars(space))
    result = search(tmp_path, space, max_trials=1, objective=("accuracy", "macs"))
    assert vars(space) == before and result.hypermodel is not space
