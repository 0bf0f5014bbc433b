"""The command that compares the speed of two commits detects a slower one."""

import contextlib
import json
import pathlib
import subprocess
import sys

import pytest
from support import benchmark

COMMAND = pathlib.Path(__file__).parent / "benchmarks" / "compare.py"


@pytest.fixture
def compare(monkeypatch):
    return benchmark("compare", monkeypatch)


class Pretended:
    """Stands for the process of a commit that takes a fixed time."""

    def __init__(self, milliseconds):
        self.value, self.calls = milliseconds, 0

    def milliseconds(self, row):
        self.calls += 1
        return self.value

    def end(self):
        pass


@pytest.fixture
def run(compare, tmp_path, monkeypatch):
    """Runs the command with commits that take given milliseconds."""

    def run(before, after):
        workers = iter([Pretended(before), Pretended(after)])
        monkeypatch.setattr(compare, "checked_out", lambda commits: _trees())
        monkeypatch.setattr(compare, "Worker", lambda tree: next(workers))
        monkeypatch.setattr(compare, "hash_of", lambda commit: commit)
        arguments = ["compare.py", "old", "new", "--rows", "pipeline", "--page"]
        monkeypatch.setattr(sys, "argv", [*arguments, "--output", str(tmp_path)])
        return compare.main()

    return run


def _trees():
    return contextlib.nullcontext(["before", "after"])


def test_a_commit_that_is_a_tenth_slower_fails(run, tmp_path, capsys):
    assert run(100.0, 112.0) == 1
    assert "Slower by more than a tenth: pipeline" in capsys.readouterr().out
    (kept,) = json.loads((tmp_path / "history.json").read_text())
    assert kept["rows"]["pipeline"]["ratio"] == pytest.approx(100 / 112)
    assert kept["versions"]["keras"] and kept["machine"]


def test_runs_are_added_and_drawn(run, tmp_path):
    assert run(100.0, 109.0) == 0
    assert run(100.0, 50.0) == 0
    assert len(json.loads((tmp_path / "history.json").read_text())) == 2
    page = (tmp_path / "history.html").read_text()
    assert page.count("<circle") == 2 and "old to new" in page


@pytest.mark.slow
def test_two_commits_are_measured(tmp_path):
    git = ["git", "-C", str(COMMAND.parents[2])]
    if subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True).returncode:
        pytest.skip("needs the repository's history")
    listed = [*git, "worktree", "list"]
    trees = subprocess.run(listed, capture_output=True, text=True).stdout
    command = [sys.executable, COMMAND, "HEAD", "HEAD", "--rows", "pipeline", "--rounds", "5"]
    done = subprocess.run([*command, "--output", tmp_path], capture_output=True, text=True)
    (kept,) = json.loads((tmp_path / "history.json").read_text())
    assert done.returncode in (0, 1), done.stderr
    assert kept["before"] == kept["after"] and kept["rows"]["pipeline"]["after_ms"] > 0
    after = subprocess.run(listed, capture_output=True, text=True).stdout
    assert len(after.splitlines()) == len(trees.splitlines())
