"""Results of examples include the command, the date and the machine."""

import datetime
import json
import pathlib
import sys

import keras
import pytest
from common.kept import facts, keep

RESULTS = pathlib.Path(__file__).parents[2] / "examples" / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("*.json")), ids=lambda path: path.stem)
def test_committed_results_say_where_they_come_from(path):
    result = json.loads(path.read_text())
    assert {"date", "machine", "versions"} <= set(result)
    datetime.date.fromisoformat(result["date"])
    assert "keras" in result["versions"] and "core" in result["machine"]
    if path.parent == RESULTS:
        command = result["command"].removeprefix("KERAS_BACKEND=jax ").split()
        assert command[0] in ("python", "keras-residual")
        assert command[0] != "python" or (RESULTS.parents[1] / command[1]).is_file()


def test_facts_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/examples/a.py", "--name", "two words"])
    found = facts(packages=("numpy",))
    backend = keras.backend.backend()
    prefix = "" if backend == "tensorflow" else f"KERAS_BACKEND={backend} "
    assert found["command"] == prefix + "python examples/a.py --name 'two words'"
    assert found["date"] == datetime.date.today().isoformat()
    assert found["versions"]["keras"] == keras.__version__ and backend in found["versions"]
    keep(tmp_path / "new" / "a.json", {"accuracy": 0.5})
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == {**facts(), "accuracy": 0.5}
    with pytest.raises(TypeError):
        keep(tmp_path / "new" / "a.json", {"accuracy": object()})
    assert json.loads((tmp_path / "new" / "a.json").read_text())["accuracy"] == 0.5
