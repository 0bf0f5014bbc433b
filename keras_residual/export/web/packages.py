"""Packages of npm that a page runs a file with: which, where they are found, and their files."""

import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

TASKS_VISION = "KERAS_RESIDUAL_TASKS_VISION"
TASKS_AUDIO = "KERAS_RESIDUAL_TASKS_AUDIO"
NODE_MODULES = "KERAS_RESIDUAL_NODE_MODULES"
_SECONDS = 120
_COMMON = {name: name for name in ("style.css", "icon.svg", "worker.js", "common.js")}


@dataclass(frozen=True)
class Runtime:
    """What runs a file in a page.

    Attributes:
        packages: The files that a page needs of each package on npm.
        argument: Argument of `web_page` with the path where they are.
        variable: Environment variable with that path.
        page: The page's own files: source names by the names in the page.
    """

    packages: dict[str, tuple[str, ...]]
    argument: str
    variable: str
    page: dict[str, str]

    @property
    def is_one(self) -> bool:
        """Whether it is a single package, whose own folder or archive is given."""
        return len(self.packages) == 1

    @property
    def missing(self) -> str:
        """The error message if they cannot be found."""
        names, option = " ".join(self.packages), self.argument.replace("_", "-")
        if self.is_one:
            return (
                f"MediaPipe's web tasks are missing. Run: npm pack {names}, and give the file it "
                f"writes as `{self.argument}` (--{option}), or its path in {self.variable}."
            )
        return (
            f"LiteRT.js is missing. Run: npm install {names}, in the working directory or where "
            f"`{self.argument}` (--{option}) or {self.variable} says."
        )

    def copy(self, given: str | os.PathLike[str] | None, folder: Path, scratch: Path) -> None:
        """Copies the files of all packages into a folder of a page.

        Args:
            given: Where they are: the folder or archive of the only package, or a `node_modules`
                folder. `None` to look in the environment variable, around the working directory,
                and on npm.
            folder: The folder of the page.
            scratch: A folder for temporary files.

        Raises:
            ImportError: If they cannot be found; the message says how to get them.
        """
        found = self._found(given or os.environ.get(self.variable), scratch)
        for package, files in self.packages.items():
            path = found[package]
            missing = [name for name in files if not (path / name).is_file()]
            if missing:
                raise ImportError(f"{path} has no {missing[0]}. {self.missing}")
            for name in files:
                place = folder / package.rpartition("/")[2] / name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path / name, place)

    def _found(self, named, scratch):
        """Returns the folder of each package."""
        if named and self.is_one:
            ((package, files),) = self.packages.items()
            path = Path(named)
            return {package: self._unpacked(path, files, scratch) if path.is_file() else path}
        if named:
            return {package: Path(named) / package for package in self.packages}
        places = [place / "node_modules" for place in (Path.cwd(), *Path.cwd().parents)]
        for place in places:
            found = {package: place / package for package in self.packages}
            if all(path.is_dir() for path in found.values()):
                return found
        return {
            package: self._unpacked(self._fetched(package, scratch), files, scratch)
            for package, files in self.packages.items()
        }

    def _fetched(self, package, scratch):
        npm = shutil.which("npm")
        if npm is None:
            raise ImportError(self.missing)
        folder = scratch / package
        folder.mkdir(parents=True)
        command = [npm, "pack", package, "--silent", "--pack-destination", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS, cwd=folder)
        except (subprocess.SubprocessError, OSError) as error:
            raise ImportError(f"npm could not fetch {package}. {self.missing}") from error
        return next(folder.glob("*.tgz"))

    def _unpacked(self, archive, files, scratch):
        """Extracts only the needed files from an npm package."""
        folder = scratch / f"unpacked-{archive.stem}"
        wanted = {f"package/{name}": name for name in files}
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
            raise ImportError(
                f"{archive} is not an npm package ({error}). {self.missing}"
            ) from error
        return folder


def _of_tasks(kind):
    variants = ("internal", "nosimd_internal")
    files = (f"wasm/{kind}_wasm_{name}.{end}" for name in variants for end in ("js", "wasm"))
    return (f"{kind}_bundle.mjs", *files)


def _of_litert():
    variants = ("internal", "compat_internal")
    files = (f"wasm/litert_wasm_{name}.{end}" for name in variants for end in ("js", "wasm"))
    return ("dist/index.js", *files)


VISION = Runtime(
    {"@mediapipe/tasks-vision": _of_tasks("vision")},
    "tasks_vision",
    TASKS_VISION,
    {**_COMMON, "index.html": "index.html", "app.js": "app.js"},
)
_OF_SOUND = {**_COMMON, "microphone.js": "microphone.js", "recorder.js": "recorder.js"}
AUDIO = Runtime(
    {"@mediapipe/tasks-audio": _of_tasks("audio")},
    "tasks_audio",
    TASKS_AUDIO,
    {**_OF_SOUND, "index.html": "sound.html", "app.js": "sound.js"},
)
# MediaPipe has no task for labels over time.
TRANSCRIPTS = Runtime(
    {"@litertjs/core": _of_litert(), "@litertjs/wasm-utils": ("dist/index.js",)},
    "node_modules",
    NODE_MODULES,
    {**_OF_SOUND, "index.html": "transcript.html", "app.js": "transcript.js"},
)
