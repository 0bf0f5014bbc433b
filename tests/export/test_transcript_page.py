"""The page for labels over time: its files, and in a real browser what it hears."""

import json
import os
import pathlib
import re

import browser
import keras
import numpy as np
import pytest
from browser import CHROMIUM
from export.test_microphone import DRIVER, hear, listening

from keras_residual import ResidualLSTMTranscriber, export, layers, training
from keras_residual._description import Description
from keras_residual.export import ExportError
from keras_residual.export.web.packages import NODE_MODULES, TRANSCRIPTS

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)

MODULES = os.environ.get(NODE_MODULES, "")
HAS_LITERT = (pathlib.Path(MODULES) / "@litertjs" / "core").is_dir()
RATE, SECONDS = 8000, 1.0
needs_a_browser = pytest.mark.skipif(
    not CHROMIUM or not HAS_LITERT, reason=f"no Chromium, or no @litertjs/core in {NODE_MODULES}"
)


def tones(*frequencies, rate=RATE, seconds=0.25):
    """Returns tones one after the other, with silence around each."""
    times = np.arange(round(seconds * rate)) / rate
    silence = np.zeros(round(0.15 * rate))
    parts = [silence]
    for frequency in frequencies:
        parts += [0.5 * np.sin(2 * np.pi * frequency * times) * np.hanning(len(times)), silence]
    return np.concatenate(parts).astype("float32")


def low_or_high(task="transcription"):
    """Returns a network that writes l for what is below 1 kHz, and h for what is above."""
    waves = keras.Input((round(RATE * SECONDS),), name="waveform")
    spectrogram = layers.LogMelSpectrogram(
        RATE, 20, sequence_length=256, sequence_stride=128, fft_length=256, name="spectrogram"
    )
    scores = keras.layers.Dense(3, name="classifier")(spectrogram(waves))
    model = keras.Model(waves, scores, name="tones")
    below = (np.arange(20) < 10) / 10
    kernel = np.stack([below, below[::-1], np.zeros(20)], 1).astype("float32")
    model.get_layer("classifier").set_weights([kernel, np.array([0, 0, -10], "float32")])
    names = ("l", "h") if task == "transcription" else ("low", "high", "silence")
    described = Description(task=task, class_names=names, sampling_rate=RATE)
    training.describe(model, described)
    return model


def page_of(model, folder, **packages):
    wave = tones(300, 2500, 300)[None, :RATE]
    (row,) = export.export(
        model, folder / "out", ("litert",), None, wave, batch_size=1, measure=False
    ).rows
    return export.web_page(row.path, folder / "page", **packages)


@pytest.fixture
def modules(tmp_path):
    """A stand-in for npm's packages, for tests that only look at files."""
    for package, files in TRANSCRIPTS.packages.items():
        for name in files:
            place = tmp_path / "node_modules" / package / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(name)
    return tmp_path / "node_modules"


def test_a_transcriber_gets_the_page_for_transcripts(tmp_path, modules, monkeypatch):
    made = page_of(low_or_high(), tmp_path, node_modules=modules)
    model = json.loads((made.directory / "model.json").read_text())
    assert (model["name"], model["samples_taken"], model["rate"]) == ("tones", 8000, RATE)
    assert model["labels"] == ["l", "h"] and model["has_blank"]
    page = (made.directory / "index.html").read_text()
    imports = json.loads(re.search(r'importmap">\s*({.*})', page)[1])["imports"]
    assert imports.keys() == TRANSCRIPTS.packages.keys()
    assert all((made.directory / path).is_file() for path in imports.values())
    kept = (made.directory / "worker.js").read_text()
    assert "core/wasm/litert_wasm_internal.wasm" in kept and "compat" not in kept
    # Found around the working directory as well.
    monkeypatch.delenv(NODE_MODULES, raising=False)
    monkeypatch.chdir(modules.parent)
    assert not json.loads(
        (page_of(low_or_high("tagging"), tmp_path).directory / "model.json").read_text()
    )["has_blank"]
    with pytest.raises(ImportError, match=r"npm install @litertjs/core .*--node-modules"):
        page_of(low_or_high(), tmp_path, node_modules=tmp_path / "none")


def test_files_that_the_page_cannot_run_are_refused(tmp_path, modules):
    spectrogram = {"sampling_rate": RATE, "sequence_length": 256, "fft_length": 256}
    model = ResidualLSTMTranscriber((RATE,), classes=2, units=8, spectrogram=spectrogram)
    training.describe(model, Description(task="transcription", sampling_rate=RATE))
    with pytest.raises(ExportError, match=r'fused LSTM, which LiteRT.js.*quantization="int8"'):
        page_of(model, tmp_path, node_modules=modules)
    (row,) = export.export(low_or_high(), tmp_path / "any", ("litert",), measure=False).rows
    with pytest.raises(ExportError, match=r"one waveform of a fixed length.*batch_size=1"):
        export.web_page(row.path, tmp_path / "page", node_modules=modules)
    assert not (tmp_path / "page").exists()


def heard_in(folder, wave, rate):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(folder / "sound.wav", np.stack([wave, wave], 1), rate)
    condition = "page.body.dataset.ready || page.querySelector('#status.error')"
    document = browser.document(folder, "/?sound=sound.wav", condition)
    assert re.search(r'id="status"[^>]*>[\d.]+ ms for [\d.]+ s<', document), document[-2000:]
    return re.search(r'id="transcript"[^>]*>([^<]*)<', document)[1]


@pytest.mark.slow
@needs_a_browser
def test_the_page_transcribes_a_recording(tmp_path):
    made = page_of(low_or_high(), tmp_path, node_modules=MODULES)
    assert heard_in(made.directory, tones(300, 2500, rate=48000), 48000) == "lh"
    # Longer than what the network takes: cut in silence, so that no tone is heard twice or lost.
    wave = tones(300, 300, 2500, 300, 2500, 2500, 2500, 300, rate=44100)
    assert heard_in(made.directory, wave, 44100) == "llhlhhhl"
    assert heard_in(made.directory, np.zeros(16000, "float32"), 16000) == ""
    made = page_of(low_or_high("tagging"), tmp_path, node_modules=MODULES)
    assert heard_in(made.directory, tones(2500, 300, rate=16000), 16000) == "high low"


@pytest.mark.slow
@needs_a_browser
def test_the_page_transcribes_what_the_microphone_hears(tmp_path):
    made = page_of(low_or_high(), tmp_path, node_modules=MODULES)
    shown = "[inside().getElementById('transcript').innerText]"
    (made.directory / "driver.html").write_text(
        re.sub(r"rows\.map\(.*?innerText\)\)", shown, DRIVER)
    )
    # The fake device plays the file again and again.
    wave = tones(300, 2500, 2500, rate=48000)
    with listening(made.directory) as page:
        found = hear(*page, wave, tmp_path, 90, lambda report: "lhh" in report["shown"][0])
    assert found and "lhh" in found[-1]["shown"][0], found[-3:]
