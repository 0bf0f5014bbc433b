"""Results as JSON, each with the command, the day and the machine that it came from."""

import datetime
import json
import os
import pathlib
import platform
import shlex
import sys

RESULTS = pathlib.Path(__file__).parent / "results"


def keep(folder: pathlib.Path, name: str, **content) -> pathlib.Path:
    """Writes `content` to `NAME.json` in a folder and returns the file."""
    told = {
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        **content,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(told, indent=2) + "\n")
    return path
