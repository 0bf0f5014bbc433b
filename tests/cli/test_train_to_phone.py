"""A folder of photographs becomes a page that tells them apart on a phone, by three commands."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import browser
import keras
import numpy as np
import pytest
from export import photographs

from keras_residual import export
from keras_residual.export._pictures import decoded, stretched
from keras_residual.export.web.packages import TASKS_VISION, VISION

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)

NAMES = ("flower", "temple", "cat", "coffee")
TRAIN = "train --model resnet8 --weights cifar10 --dataset photos --output runs/photos"
EXPORT = "export runs/photos --web --output runs/phone"
PREDICT = "predict runs/photos {} --json"


def write_photographs(folder, count):
    """Writes pieces of four photographs, those of one in one folder, and further ones beside."""
    for name in NAMES:
        (folder / "photos" / name).mkdir(parents=True)
    for index, path in enumerate(photographs.written(folder, count, seed=0)):
        path.rename(folder / "photos" / NAMES[index % len(NAMES)] / path.name)
    (folder / "new").mkdir()
    return photographs.written(folder / "new", 8, seed=5)


def best_names(lines):
    """Returns the best class of each picture, of what `predict --json` prints."""
    return [found["answers"][0]["name"] for found in json.loads(lines)]


def test_the_file_of_a_training_answers_as_the_model(run, tmp_path, monkeypatch):
    new = write_photographs(tmp_path, 40)
    (tmp_path / "tasks" / "wasm").mkdir(parents=True)
    for name in VISION.packages["@mediapipe/tasks-vision"]:
        (tmp_path / "tasks" / name).write_text("")
    monkeypatch.setenv(TASKS_VISION, str(tmp_path / "tasks"))
    for line in (f"{TRAIN} --epochs 2 --set head_epochs=2 --image-size 32", EXPORT):
        result = run(line)
        assert result.exit_code == 0, result.output
    file = export.load(tmp_path / "runs" / "phone" / "web" / "model.tflite")
    assert set(file.labels) == set(NAMES)
    levels = np.stack([stretched(decoded(path), file.input_shape[1:3]) for path in new])
    model = keras.saving.load_model(tmp_path / "runs" / "photos" / "model.keras")
    expected = model.predict(levels / np.float32(255), verbose=0)
    np.testing.assert_allclose(file.predict(levels), expected, atol=1e-5)


TASKS = os.environ.get(TASKS_VISION)


@contextlib.contextmanager
def started(*words, folder):
    """Yields a process of Python with its lines at hand, ended at the end."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *words], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def typed(line, folder):
    """Runs a command line in a process of its own and returns its standard output."""
    words = [sys.executable, "-m", "keras_residual.cli", *line.split()]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a training of photographs, and photographs that it has not seen."""
    folder = tmp_path_factory.mktemp("user")
    new = write_photographs(folder, 160)
    typed(f"{TRAIN} --epochs 10", folder)
    return folder, new


@pytest.mark.slow
@pytest.mark.skipif(
    not browser.CHROMIUM or not TASKS, reason="no Chromium, or no @mediapipe/tasks-vision"
)
@pytest.mark.skipif(not browser.node_has_sockets(), reason="no Node of version 20 or later")
@pytest.mark.parametrize("options", ["", " --quantization int8 --data photos"])
def test_the_page_answers_as_the_model(trained, options):
    folder, new = trained
    typed(EXPORT + options, folder)
    words = ("http.server", "0", "--bind", "127.0.0.1", "--directory", "runs/phone/web")
    with started(*words, folder=folder) as server:
        address = re.search(r"http://[\d.:]+", server.stdout.readline())[0]
        found = browser.chosen("online", address, new, folder / "page.png")
    best = best_names(typed(PREDICT.format(" ".join(map(str, new))), folder))
    assert len(set(best)) > 2
    assert [answers[0][0] for answers in found["online"]] == best
    assert (folder / "page.png").stat().st_size > 5000
