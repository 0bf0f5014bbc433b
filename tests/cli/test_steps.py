"""Commands show the current step and the remaining time."""

import io
import os
import re

import pytest
from rich.console import Console

from keras_residual import _notices
from keras_residual.cli import _steps, _terminal


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set, and a terminal whose output is recorded."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(_steps, "console", screen)
    steps = _steps.Steps("Starting Keras")
    now = [100.0]
    steps._bar.get_time = lambda: now[0]
    for task in steps._bar.tasks:
        task._get_time = steps._bar.get_time
    return steps, now


def shown(steps):
    (task,) = steps._bar.tasks
    remaining = steps._bar.columns[-1].render(task)
    return task.description, task.completed, task.total, str(remaining)


def test_the_remaining_time_follows_from_finished_steps(clock):
    steps, now = clock
    assert shown(steps) == ("Starting Keras", 0, None, "")
    steps.plan((1, 3, 4))
    steps("Folding")
    assert shown(steps) == ("Folding", 0, 8, "")
    now[0] += 10  # An eighth of the work took 10 s.
    steps("Writing")
    assert shown(steps) == ("Writing", 1, 8, "1 min 10 s left")
    now[0] += 20
    assert shown(steps)[-1] == "50 s left"
    now[0] += 20  # Four eighths took 50 s.
    steps("Measuring")
    assert shown(steps) == ("Measuring", 4, 8, "50 s left")
    now[0] += 60  # Longer than expected, which is no reason to promise the end.
    assert shown(steps)[-1] == "12 s left"


def test_equal_steps_are_counted(clock):
    steps, now = clock
    steps.reach(1, 20)
    assert shown(steps) == ("Starting Keras", 1, 20, "")
    now[0] += 5
    steps.reach(2, 20)
    assert shown(steps) == ("Starting Keras", 2, 20, "1 min 30 s left")


def test_nothing_is_written_where_there_is_no_terminal(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(_steps, "console", Console(file=file))
    with _steps.Steps("Starting Keras") as steps:
        steps.plan((1, 1))
        steps("Writing")
    assert file.getvalue() == ""


def test_the_line_fits_into_80_columns(clock):
    steps, now = clock
    steps.plan((1, 1))
    steps("Folding")
    now[0] += 100
    steps("Comparing model_int8.tflite with the model")
    with steps:
        steps._bar.refresh()
    written = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", _steps.console.file.getvalue())
    lines = written.replace("\r", "\n").splitlines()
    whole = "Comparing model_int8.tflite with the model"
    assert any(whole in line and "1 min 40 s left" in line for line in lines), lines


def test_downloads_tell_while_libraries_are_silenced(capfd):
    with _terminal.quiet():
        os.write(2, b"native")
        with _notices.undisturbed() as stream:
            print("Downloading", file=stream, flush=True)
    assert capfd.readouterr().err == "Downloading\n"


def test_a_download_has_the_terminal_to_itself(clock):
    steps, _ = clock
    with steps:
        assert steps._bar.live.is_started
        with _notices.undisturbed():
            assert not steps._bar.live.is_started
        assert steps._bar.live.is_started
    with _notices.undisturbed():
        assert not steps._bar.live.is_started
