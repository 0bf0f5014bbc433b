"""The page's microphone in a real browser: its fake device plays a WAV file into the page."""

import contextlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import keras
import numpy as np
import pytest
from browser import CHROMIUM, Handler

from keras_residual import export, layers
from keras_residual._description import Description, describe
from keras_residual.export.web.packages import AUDIO

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)

TASKS = os.environ.get(AUDIO.variable)
RATE = 8000
# Presses the page's button and says every 0.2 s what the page shows.
DRIVER = """<!doctype html><iframe id="page" src="index.html" allow="microphone"></iframe><script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const inside = () => document.getElementById("page").contentDocument;
(async () => {
  while (inside()?.body?.dataset.ready !== "yes") await wait(100);
  inside().getElementById("microphone").click();
  for (;;) {
    await wait(200);
    const rows = [...inside().querySelectorAll("#labels li")];
    const shown = rows.map((row) => [...row.children].map((part) => part.innerText));
    const status = inside().getElementById("status").innerText;
    await fetch("report", { method: "POST", body: JSON.stringify({ shown, status }) });
  }
})();
</script>"""


def low_or_high():
    """Returns a network that compares the power below and above 1 kHz."""
    waves = keras.Input((RATE // 2,), name="waveform")
    spectrogram = layers.LogMelSpectrogram(
        RATE, 20, sequence_length=256, sequence_stride=128, fft_length=256, name="spectrogram"
    )
    mean = keras.layers.GlobalAveragePooling1D()(spectrogram(waves))
    scores = keras.layers.Dense(2, activation="softmax", name="classifier")(mean)
    model = keras.Model(waves, scores)
    below = np.arange(20) < 10
    kernel = np.stack([below, ~below], 1).astype("float32") / 10
    model.get_layer("classifier").set_weights([kernel, np.zeros(2, "float32")])
    describe(model, Description(class_names=("low", "high"), sampling_rate=RATE))
    return model


@contextlib.contextmanager
def listening(folder):
    """Serves a page with a `driver.html`; yields its address and what it reports."""
    reports = []

    class Listener(Handler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reports.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/driver.html", reports
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(tmp_path):
    """A served page for the network; yields its address and what it reports."""
    sound = 0.3 * np.random.default_rng(0).normal(size=(20, RATE // 2)).astype("float32")
    (row,) = export.export(
        low_or_high(), tmp_path / "out", ("litert",), None, sound, measure=False
    ).rows
    export.web_page(row.path, tmp_path / "page", tasks_audio=TASKS)
    (tmp_path / "page" / "driver.html").write_text(DRIVER)
    with listening(tmp_path / "page") as found:
        yield found


def hear(address, reports, wave, folder, seconds, enough):
    """Opens the page with a microphone that hears `wave` until a report is `enough`."""
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(folder / "heard.wav", wave, 48000, subtype="PCM_16")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += ["--disable-dev-shm-usage", f"--user-data-dir={folder / 'profile'}"]
    command += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    command += [f"--use-file-for-fake-audio-capture={folder / 'heard.wav'}"]
    command += ["--autoplay-policy=no-user-gesture-required", address]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    browser = subprocess.Popen(command, start_new_session=True, **quiet)
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not any(map(enough, list(reports))):
            time.sleep(0.2)
    finally:
        os.killpg(browser.pid, signal.SIGTERM)
        browser.wait(30)
        shutil.rmtree(folder / "profile", ignore_errors=True)
    return list(reports)


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM or not TASKS, reason="no Chromium, or no @mediapipe/tasks-audio")
@pytest.mark.parametrize(("frequency", "expected"), [(300, "low"), (2500, "high"), (None, None)])
def test_the_page_hears_the_microphone(page, tmp_path, frequency, expected):
    """A low tone, a high one, and silence, for which there is no answer."""
    times = np.arange(5 * 48000) / 48000
    wave = 0.5 * np.sin(2 * np.pi * (frequency or 0) * times)
    if frequency is None:
        found = hear(*page, wave, tmp_path, 90, lambda report: len(page[1]) > 15)
        assert len(found) > 15 and found[-1]["status"] == "Speak."
        assert not any(report["shown"] for report in found)
        return
    found = hear(*page, wave, tmp_path, 90, lambda report: report["shown"])
    assert found and found[-1]["shown"], found[-1:]
    assert found[-1]["shown"][0][0] == expected
    assert {label for label, _ in found[-1]["shown"]} == {"low", "high"}
