"""Results of examples as JSON, each with the command, the day, the machine and the versions."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import sys

import keras


def facts(packages=()):
    """Returns how and where this program runs.

    Args:
        packages: Names of further packages whose versions matter, such as one with the data.
    """
    backend = keras.backend.backend()
    script = pathlib.Path(sys.argv[0])
    # The command as typed in the folder that contains examples/.
    command = ["python", f"{script.parent.name}/{script.name}", *sys.argv[1:]]
    prefix = f"KERAS_BACKEND={backend} " if backend != "tensorflow" else ""
    names = ("keras-residual", "keras", backend, "numpy", *packages)
    return {
        "command": prefix + shlex.join(command),
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"python": platform.python_version()}
        | {name.replace("-", "_"): version(name) for name in names},
    }


def add_options(parser):
    """Adds the options for a seed and for the files that an example writes."""
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=pathlib.Path, help="a JSON file to write")
    parser.add_argument("--picture", type=pathlib.Path, help="a PNG file to draw")
    return parser


def keep(path, result, packages=()):
    """Writes a result with `facts`; an interruption leaves the old file or the new one.

    Args:
        path: The `.json` file.
        result: A dict; its own entries, such as a command, replace those of `facts`.
        packages: As in `facts`.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    text = json.dumps({**facts(packages), **result}, indent=1)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def version(package):
    """Returns the version of an installed package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # such as tensorflow-cpu's
        return getattr(__import__(package), "__version__", "unknown")
