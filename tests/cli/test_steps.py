"""What commands show while they work: the step, and how long it may yet take."""

import io

import pytest
from rich.console import Console

from keras_residual.cli import _steps


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set, and a terminal that is written down."""
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
    assert shown(steps) == ("Writing", 1, 8, "about 1 min 10 s left")
    now[0] += 20
    assert shown(steps)[-1] == "about 50 s left"
    now[0] += 20  # Four eighths took 50 s.
    steps("Measuring")
    assert shown(steps) == ("Measuring", 4, 8, "about 50 s left")
    now[0] += 60
    assert shown(steps)[-1] == "almost done"


def test_equal_steps_are_counted(clock):
    steps, now = clock
    steps.reach(0, 20)
    now[0] += 5
    steps.reach(1, 20)
    assert shown(steps) == ("Starting Keras", 1, 20, "about 1 min 35 s left")


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
    lines = _steps.console.file.getvalue().replace("\r", "\n").splitlines()
    assert any("about 1 min 40 s left" in line for line in lines)
