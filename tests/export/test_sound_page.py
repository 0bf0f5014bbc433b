"""The page with the microphone: its files, and in a real browser what it hears in a WAV file."""

import json
import os
import re

import browser
import keras
import numpy as np
import pytest
from browser import CHROMIUM
from export.test_sound import RATE, WORDS, network, waves, write
from export.test_web_page import ANSWERED

from keras_residual import export
from keras_residual.export.web.packages import AUDIO

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)

TASKS = os.environ.get(AUDIO.variable)


def test_a_file_for_sound_gets_the_page_with_the_microphone(tmp_path):
    row = write(network(), tmp_path / "out")
    for name in AUDIO.packages["@mediapipe/tasks-audio"]:
        (tmp_path / "package" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "package" / name).write_text(name)
    made = export.web_page(row.path, tmp_path / "page", tasks_audio=tmp_path / "package")
    assert "AudioClassifier" in (made.directory / "app.js").read_text()
    assert "microphone" in (made.directory / "index.html").read_text()
    model = json.loads((made.directory / "model.json").read_text())
    assert (model["samples_taken"], model["rate"]) == (480, RATE)
    kept = (made.directory / "worker.js").read_text()
    assert "recorder.js" in kept and "tasks-audio/audio_bundle.mjs" in kept
    (tmp_path / "none").mkdir()
    with pytest.raises(ImportError, match=r"npm pack @mediapipe/tasks-audio.*--tasks-audio"):
        export.web_page(row.path, tmp_path / "page", tasks_audio=tmp_path / "none")


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM or not TASKS, reason="no Chromium, or no @mediapipe/tasks-audio")
def test_the_page_hears_what_the_file_hears(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    row = write(network(), tmp_path / "out")
    export.web_page(row.path, tmp_path / "page", tasks_audio=TASKS)
    # A rate that browsers decode to.
    wave = np.tile(waves(1)[0], 20)
    soundfile.write(tmp_path / "page" / "sound.wav", np.repeat(wave, 4), 4 * RATE)
    document = browser.document(tmp_path / "page", "/?sound=sound.wav", ANSWERED)
    found = re.findall(r"<li[^>]*><span>([^<]*)</span><span>([\d.]+) %</span></li>", document)
    assert {name for name, _ in found} == set(WORDS), document[-2000:]
    assert sum(float(share) for _, share in found) == pytest.approx(100, abs=0.5)
    assert re.search(r'id="status"[^>]*>[\d.]+ ms<', document)
