import shlex

import pytest
from typer.testing import CliRunner

import keras_residual
from keras_residual.cli.main import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command line in an empty folder and returns its result."""
    monkeypatch.chdir(tmp_path)

    def run(line, keep_columns=False):
        if not keep_columns:
            monkeypatch.setenv("COLUMNS", "100")
        return CliRunner().invoke(app, shlex.split(line))

    return run


@pytest.fixture
def refused(run):
    """Runs a command line that must end with one line on standard error and exit code 2."""

    def refused(line):
        result = run(line)
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit)
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("Error: "), result.stderr
        return lines[0]

    return refused


@pytest.fixture
def model(tmp_path):
    """A network for the digits, in a file in the folder where commands run."""
    network = keras_residual.ResNet(
        "basic", (1,), (8,), stem="conv3", stem_width=8, input_shape=(8, 8, 1), classes=10
    )
    network.save(tmp_path / "small.keras")
    return network
