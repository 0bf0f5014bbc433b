"""The files of an export appear together, whenever the process is killed."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keras_residual import _files
from keras_residual.export import _publish

SCRIPT = """
import contextlib, importlib.util, os, pathlib, sys, types
# The journal is the subject; without the lock the program starts at once.
locks = types.ModuleType("keras_residual._locks")
locks.claimed = contextlib.contextmanager(lambda folder: (yield folder.mkdir(exist_ok=True)))
sys.modules |= {"keras_residual": types.ModuleType("keras_residual"), locks.__name__: locks}
spec = importlib.util.spec_from_file_location("publish", sys.argv[1])
publish = importlib.util.module_from_spec(spec)
spec.loader.exec_module(publish)
folder, left = pathlib.Path(sys.argv[2]), int(sys.argv[3])

def killed(event, arguments):
    global left
    if event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "open") and watched:
        left -= 1
        if left == 0:
            os._exit(9)

watched = True
sys.addaudithook(killed)
with publish.published(folder) as new:
    (new / "model.tflite").write_text("new")
    (new / "card.json").write_text("new")
    (new / "saved_model").mkdir()
    (new / "saved_model" / "weights").write_text("new")
"""


def state(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and _publish.WORKSHOP not in path.parts
    }


def files(text):
    return dict.fromkeys(("model.tflite", "card.json", "saved_model/weights"), text)


def earlier(folder):
    folder.mkdir()
    (folder / "other.txt").write_text("mine")
    (folder / "saved_model").mkdir()
    for name, text in files("old").items():
        (folder / name).write_text(text)


def run(folder, step):
    command = [sys.executable, "-I", "-c", SCRIPT, _publish.__file__, str(folder), str(step)]
    return subprocess.run(command, timeout=60).returncode


def test_a_kill_at_every_step_leaves_the_old_set_or_the_new(tmp_path):
    ends, step = [], 0
    while not ends or ends[-1] == 9:
        step += 1
        folder = tmp_path / str(step)
        earlier(folder)
        ends.append(run(folder, step))
        # Before the journal nothing of the old set is touched.
        if not (folder / _publish.WORKSHOP / _publish.JOURNAL).exists() and ends[-1] == 9:
            assert state(folder) in ({**files("old"), "other.txt": "mine"}, NEW)
        _publish.finish(folder)
        assert state(folder) in ({**files("old"), "other.txt": "mine"}, NEW)
        assert not (folder / _publish.WORKSHOP).exists()
    assert ends[-1] == 0 and state(folder) == NEW
    assert len(ends) > 19


NEW = {**files("new"), "other.txt": "mine"}


def test_the_next_export_finishes_what_a_killed_one_began(tmp_path):
    folder = tmp_path / "out"
    earlier(folder)
    workshop = folder / _publish.WORKSHOP
    (workshop / "new").mkdir(parents=True)
    (workshop / "new" / "card.json").write_text("new")
    (workshop / _publish.JOURNAL).write_text('["card.json"]')
    with _publish.published(folder) as new:
        assert (folder / "card.json").read_text() == "new"
        (new / "model.tflite").write_text("newest")
    assert (folder / "model.tflite").read_text() == "newest"
    assert (folder / "card.json").read_text() == "new"


@pytest.mark.parametrize("text", ["", "{", '["other"]', "[" * 9999])
def test_a_damaged_journal_does_not_matter(tmp_path, text):
    folder = tmp_path / "out"
    earlier(folder)
    workshop = folder / _publish.WORKSHOP
    (workshop / "new").mkdir(parents=True)
    (workshop / "new" / "card.json").write_text("new")
    (workshop / _publish.JOURNAL).write_text(text)
    _publish.finish(folder)
    assert (folder / "card.json").read_text() == "new" and not workshop.exists()


def test_a_folder_that_was_being_replaced_comes_back(tmp_path):
    """A process killed between the two renames leaves neither; the next call finds both."""
    place, workshop = tmp_path / "page", tmp_path / ".page.partial"
    for finished, expected in ((True, "new"), (False, "old")):
        workshop.mkdir()
        (workshop / ".before").mkdir()
        (workshop / ".before" / "index.html").write_text("old")
        if finished:
            (workshop / "page").mkdir()
            (workshop / "page" / "index.html").write_text("new")
        with pytest.raises(ValueError, match="stopped"), _files.replacing(place):
            raise ValueError("stopped")
        assert (place / "index.html").read_text() == expected and not workshop.exists()
        shutil.rmtree(place)


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    place, replace = tmp_path / "page", os.replace
    place.mkdir()
    (place / "index.html").write_text("old")

    def failing(source, target):
        if Path(source).parent.name == ".page.partial" and Path(source).name == "page":
            raise OSError("disk")
        return replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="disk"), _files.replacing(place) as partial:
        partial.mkdir()
    assert (place / "index.html").read_text() == "old"


def test_a_second_export_to_the_same_folder_is_refused(tmp_path):
    refused = []

    def second():
        try:
            with _publish.published(tmp_path / "out"):
                pass
        except OSError as error:
            refused.append(str(error))

    with _publish.published(tmp_path / "out") as new:
        (new / "model.tflite").write_text("first")
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1 and f"{tmp_path / 'out'} is in use" in refused[0]
    assert state(tmp_path / "out") == {"model.tflite": "first"}


def test_a_failed_export_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), _publish.published(tmp_path / "new") as new:
        (new / "model.tflite").write_text("half")
        raise RuntimeError
    assert not (tmp_path / "new").exists()
    earlier(tmp_path / "old")
    with pytest.raises(RuntimeError), _publish.published(tmp_path / "old") as new:
        raise RuntimeError
    assert state(tmp_path / "old") == {**files("old"), "other.txt": "mine"}
