"""The GPU benchmark runs on a CPU, one row at a time, and can be resumed."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from peers import torch, torchvision
from support import benchmark

COMMAND = pathlib.Path(__file__).parent / "benchmarks" / "gpu.py"


@pytest.fixture
def gpu(monkeypatch):
    return benchmark("gpu", monkeypatch)


def test_rows_that_are_done_are_not_measured_again(gpu, tmp_path, monkeypatch):
    arguments = gpu.argparse.Namespace(
        output=tmp_path, seconds=60, rows=gpu.ROWS[:3], smoke=True, row=None
    )
    found = {"batch": 2, "milliseconds": {"ours": 2.0, "torch": 3.0}, "ratio": 1.5}
    found["examples_per_second"] = 1000
    (tmp_path / "gpu.json").write_text(
        json.dumps({"rows": {gpu.ROWS[0]: found, gpu.ROWS[1]: {"error": ["out of memory"]}}})
    )
    asked = []

    def measure(command, **options):
        asked.append(command[3])
        return subprocess.CompletedProcess(command, 0, json.dumps({**found, "ratio": 2.0}), "")

    monkeypatch.setattr(gpu.subprocess, "run", measure)
    rows = gpu.run(arguments)
    assert asked == list(gpu.ROWS[1:3])  # What failed is tried again.
    assert [rows[row]["ratio"] for row in gpu.ROWS[:3]] == [1.5, 2.0, 2.0]
    assert json.loads((tmp_path / "gpu.json").read_text())["rows"] == rows


def test_no_row_begins_when_the_time_is_over(gpu, tmp_path, capsys):
    arguments = gpu.argparse.Namespace(
        output=tmp_path, seconds=-1, rows=gpu.ROWS, smoke=True, row=None
    )
    assert gpu.run(arguments) == {}
    assert f"{len(gpu.ROWS)} rows are left" in capsys.readouterr().out


@pytest.mark.slow
def test_all_rows_run_tiny_on_a_cpu(gpu, tmp_path):
    """Without TensorFlow, as on a machine for JAX and torch."""
    pytest.importorskip("jax", reason="needs JAX")
    torch(), torchvision()
    blocked = tmp_path / "blocked" / "tensorflow"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('no TensorFlow here')")
    path = os.pathsep.join([str(blocked.parent), *sys.path])
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": path}
    command = [sys.executable, COMMAND, "--smoke", "--output", tmp_path / "results"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    rows = json.loads((tmp_path / "results" / "gpu.json").read_text())["rows"]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rows) == len(done.stdout.splitlines()) == len(gpu.ROWS)
    assert all(row["milliseconds"]["ours"] > 0 for row in rows.values())
    assert rows["jax.export ResNet50"]["difference"] < 1e-5
