"""Results as JSON, each with its command, day, machine and versions."""

import contextlib
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import sys

RESULTS = pathlib.Path(__file__).parent / "results"
_PACKAGES = ("tensorflow", "keras", "jax", "torch")


def versions() -> dict[str, str]:
    """Returns the versions of the packages that compute, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def keep(folder: pathlib.Path, name: str, **content) -> pathlib.Path:
    """Writes `content` to `NAME.json` in a folder and returns the file."""
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": versions(),
        **content,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path
