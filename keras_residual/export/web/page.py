"""Writes the page: its own files, a network, and what runs it."""

import hashlib
import importlib.resources
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_residual._files import replacing
from keras_residual.export.errors import ExportError
from keras_residual.export.formats.litert.lstm_runtime import FUSED_LSTM
from keras_residual.export.proof.artefact import Artefact, load
from keras_residual.export.web.packages import AUDIO, TRANSCRIPTS, VISION


@dataclass(frozen=True)
class WebPage:
    """A written web page.

    Attributes:
        directory: Its folder, to be served by any static server; phones need https for the camera.
        bytes: Size of all files.
    """

    directory: Path
    bytes: int


def web_page(
    artefact: Artefact | str | os.PathLike[str],
    directory: str | os.PathLike[str],
    tasks_vision: str | os.PathLike[str] | None = None,
    verification: dict[str, Any] | None = None,
    tasks_audio: str | os.PathLike[str] | None = None,
    node_modules: str | os.PathLike[str] | None = None,
) -> WebPage:
    """Writes a folder with a page that runs a file: on pictures and the camera's, or on sound.

    A file that takes waveforms gets a page with the microphone. If it labels steps, as those of
    transcribers and taggers do, the page shows the transcript with the place of each label;
    recordings longer than the file's input are cut at their quietest places.

    The page is static, needs no build step, and works without a network once it was loaded. It runs
    classifiers in MediaPipe's web tasks and labels over time in LiteRT.js, which are copied next
    to it.

    Args:
        artefact: A LiteRT file for phones, of a classifier; or one of a transcriber or tagger of
            waveforms, quantized to `"int8"`, as LiteRT.js has no fused LSTM.
        directory: The folder to write, replaced as a whole.
        tasks_vision: MediaPipe's web tasks: the folder or `.tgz` file of npm's
            `@mediapipe/tasks-vision`. Defaults to the path in the environment variable
            `KERAS_RESIDUAL_TASKS_VISION`, else to that in `node_modules`, else npm fetches it.
        verification: Optional `accuracy`, or `error_rate`, and `samples` to show.
        tasks_audio: The same of `@mediapipe/tasks-audio`, for a file that takes waveforms, and
            `KERAS_RESIDUAL_TASKS_AUDIO`.
        node_modules: For transcribers and taggers: a `node_modules` folder with `@litertjs/core`.
            Defaults to that in the environment variable `KERAS_RESIDUAL_NODE_MODULES`, else to
            those around the working directory, else npm fetches the packages.

    Returns:
        A `WebPage`.

    Raises:
        ExportError: If the file is none for phones, no classifier and no transcriber or tagger, or
            has a fused LSTM.
        ImportError: If what runs the file cannot be found; the message says how to get it.

    Example:

    >>> web_page("exported/model_int8.tflite", "page")  # doctest: +SKIP
    """
    if not isinstance(artefact, Artefact):
        artefact = load(artefact)
    kind = _runtime_of(artefact)
    given = {"tasks_vision": tasks_vision, "tasks_audio": tasks_audio, "node_modules": node_modules}
    directory = Path(directory)
    with tempfile.TemporaryDirectory() as scratch, replacing(directory) as partial:
        partial.mkdir()
        kind.copy(given[kind.argument], partial, Path(scratch))
        _write_page(kind, artefact, partial, verification or {})
        size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    return WebPage(directory, size)


def _runtime_of(artefact):
    """Returns what runs a file in a page, or raises an ExportError."""
    if artefact.takes_sound:
        if not _labels_steps(artefact):
            return AUDIO
        if FUSED_LSTM in artefact.operations():
            raise ExportError(
                f"{artefact.path} has a fused LSTM, which LiteRT.js cannot run; export it with "
                'quantization="int8".'
            )
        if artefact.fixed_batch != 1 or artefact.input_shape[1] is None:
            raise ExportError(
                f"{artefact.path} must take one waveform of a fixed length; export it with "
                f"batch_size=1. Received: {artefact.input_shape}"
            )
        return TRANSCRIPTS
    if artefact.pixels is None or artefact.facts.get("task") != "classifier":
        raise ExportError(
            f"{artefact.path} must be a LiteRT file for phones, of a classifier "
            '(`export(…, target="phone")` writes one), or of a transcriber or tagger of waveforms.'
        )
    return VISION


def _labels_steps(artefact):
    """Returns whether a file gives logits or probabilities at each of several steps."""
    outputs = artefact.tensors()["outputs"]
    return len(outputs) == 1 and len(outputs[0]["shape"]) == 3


def _write_page(kind, artefact, folder, verification):
    own = importlib.resources.files("keras_residual.export.web")
    for name, source in kind.page.items():
        (folder / name).write_bytes((own / source).read_bytes())
    shutil.copyfile(artefact.path, folder / "model.tflite")
    name = artefact.facts.get("name") or artefact.path.stem
    model = {
        "name": name,
        "file": "model.tflite",
        "bytes": artefact.bytes,
        **_described_input(artefact),
        **verification,
    }
    (folder / "model.json").write_text(json.dumps(model), encoding="utf-8")
    manifest = {
        "name": name,
        "short_name": name,
        "start_url": "./",
        "display": "standalone",
        "background_color": "#f6f7f5",
        "theme_color": "#0b6e5f",
        "icons": [{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}],
    }
    (folder / "manifest.webmanifest").write_text(json.dumps(manifest), encoding="utf-8")
    _write_worker(folder)


def _described_input(artefact):
    if artefact.takes_sound:
        description = artefact.description
        taken = {"samples_taken": artefact.input_shape[1], "rate": description.sampling_rate}
        if not _labels_steps(artefact):
            return taken
        names = description.class_names
        return {**taken, "labels": names, "has_blank": description.task == "transcription"}
    _, height, width, _ = artefact.input_shape
    fit, crop = artefact.facts.get("fit", "stretch"), artefact.facts.get("crop", 1.0)
    return {"width": width, "height": height, "fit": fit, "crop": crop}


def _write_worker(folder):
    """Fills in the list of cached files, and a version that changes with any of them."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    names = [file.relative_to(folder).as_posix() for file in files if file.name != "worker.js"]
    # The variants for old browsers are cached only when they are used.
    kept = ["./", *(name for name in names if "nosimd" not in name and "compat" not in name)]
    worker = folder / "worker.js"
    text = worker.read_text(encoding="utf-8")
    text = text.replace("/*FILES*/[]", json.dumps(kept)).replace("/*VERSION*/", digest.hexdigest())
    worker.write_text(text, encoding="utf-8")
