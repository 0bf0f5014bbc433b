"""The page for phones, used in a real browser served from the loopback."""

import json
import os
import pathlib
import re

import browser
import keras
import numpy as np
import pytest
from browser import CHROMIUM
from export.phone_networks import RGB, described, network, write

from keras_residual import export
from keras_residual.export.web.packages import TASKS_VISION, VISION

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)

TASKS = os.environ.get(TASKS_VISION)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    model = described(network(), white=1.0)
    folder = tmp_path_factory.mktemp("exported")
    return write(model, folder, "int8", RGB / np.float32(255)).rows[0].path


@pytest.fixture
def tasks(tmp_path):
    """A stand-in for npm's package, for tests that only look at files."""
    folder = tmp_path / "package"
    for name in VISION.packages["@mediapipe/tasks-vision"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_a_folder_with_everything_a_browser_needs(artefact, tasks, tmp_path):
    written = export.web_page(artefact, tmp_path / "page", tasks, {"accuracy": 0.5, "samples": 10})
    files = {path.relative_to(tmp_path / "page").as_posix() for path in files_in(written.directory)}
    assert {"index.html", "app.js", "worker.js", "model.tflite", "model.json"} <= files
    model = json.loads((tmp_path / "page" / "model.json").read_text())
    assert (model["width"], model["height"], model["accuracy"]) == (16, 16, 0.5)
    worker = (tmp_path / "page" / "worker.js").read_text()
    kept = json.loads(re.search(r"FILES = (\[.*\]);", worker)[1])
    assert set(kept) == {"./", *(file for file in files - {"worker.js"} if "nosimd" not in file)}
    version = re.search(r'CACHE = "(\w{64})"', worker)[1]
    (tasks / "vision_bundle.mjs").write_text("newer")
    export.web_page(artefact, tmp_path / "page", tasks)
    assert version not in (tmp_path / "page" / "worker.js").read_text()
    # No address of another server: the page works offline, and tells nobody of the pictures.
    for path in files_in(written.directory):
        if path.suffix in (".html", ".js", ".css", ".json") and "tasks-vision" not in path.parts:
            assert not re.search(r"(?<!xmlns=\")https?://", path.read_text())


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_missing_tasks_are_named(artefact, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportError, match=r"has no vision_bundle.mjs.*npm pack"):
        export.web_page(artefact, tmp_path / "page", tmp_path / "empty")
    (tmp_path / "broken.tgz").write_bytes(b"no archive")
    with pytest.raises(ImportError, match="not an npm package"):
        export.web_page(artefact, tmp_path / "page", tmp_path / "broken.tgz")
    monkeypatch.delenv(TASKS_VISION, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match=r"npm pack @mediapipe/tasks-vision"):
        export.web_page(artefact, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_files_that_are_none_for_phones_are_refused(tasks, tmp_path):
    (row,) = write(network(), tmp_path).rows
    with pytest.raises(export.ExportError, match="must be a LiteRT file for phones"):
        export.web_page(row.path, tmp_path / "page", tasks)


@pytest.fixture
def served(tmp_path):
    with browser.serving(tmp_path / "page") as server:
        yield server.address


# The page has answered, or says why it cannot.
ANSWERED = "page.body.dataset.ready || page.querySelector('#status.error')"


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM or not TASKS, reason="no Chromium, or no @mediapipe/tasks-vision")
def test_the_page_answers_as_the_file_does(artefact, tmp_path):
    image = pytest.importorskip("PIL.Image")
    export.web_page(artefact, tmp_path / "page", TASKS)
    image.fromarray(RGB[0]).save(tmp_path / "page" / "picture.png")
    document = browser.document(tmp_path / "page", "/?picture=picture.png", ANSWERED)
    assert 'data-ready="yes"' in document, document[-3000:]
    found = re.findall(r"<li[^>]*><span>([^<]*)</span><span>([\d.]+) %</span></li>", document)
    scores = export.load(artefact).predict(RGB[:1])[0]
    best = sorted(zip("abcde", scores, strict=True), key=lambda item: -item[1])
    assert {name for name, _ in found} == set("abcde")
    for (_, shown), (_, expected) in zip(found, best, strict=True):
        assert float(shown) == pytest.approx(100 * expected, abs=0.8)
    assert re.search(r'id="status"[^>]*>[\d.]+ ms<', document)
    assert pathlib.Path(tmp_path / "page" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM or not TASKS, reason="no Chromium, or no @mediapipe/tasks-vision")
@pytest.mark.skipif(not browser.node_has_sockets(), reason="no Node of version 20 or later")
def test_the_page_answers_when_its_server_has_ended(artefact, tmp_path, served):
    image = pytest.importorskip("PIL.Image")
    export.web_page(artefact, tmp_path / "page", TASKS)
    # A photograph that lies on its side, as phones store them.
    exif = image.Exif()
    exif[0x0112] = 6
    upright = np.kron(RGB[0], np.ones((6, 6, 1), np.uint8))
    image.fromarray(np.rot90(upright)).save(tmp_path / "lying.png", exif=exif)
    found = browser.chosen("offline", served, [tmp_path / "lying.png"], tmp_path / "page.png")
    assert found["isDown"] and found["offline"] == found["online"]
    scores = dict(zip("abcde", export.load(artefact).predict(RGB[:1])[0], strict=True))
    for label, share in found["offline"][0]:
        # The browser scales the picture down itself.
        assert float(share.strip(" %")) == pytest.approx(100 * scores[label], abs=3)
    assert (tmp_path / "page.png").stat().st_size > 5000
