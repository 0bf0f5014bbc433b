"""Runs an example as its documentation says, and records what the gallery shows.

    python tests/record_example.py gradient_flow --picture runs/gradient_flow.png

`examples/results/NAME.json` gets the command, the date, the machine, the versions, the seconds and
the last printed lines; `docs/images/NAME.png` the picture. Arguments after `--` are passed on to
the example.
"""

import argparse
import datetime
import importlib.metadata
import io
import json
import os
import pathlib
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
RESULTS, IMAGES = ROOT / "examples" / "results", ROOT / "docs" / "images"
LINES = 16
WIDTH, COLOURS = 900, 64
# Of Keras.
_PROGRESS = re.compile(r"━|\x1b|^Epoch \d+/\d+$")
_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy")


def versions():
    """Returns the versions of the packages that compute, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def circumstances():
    """Returns when, where and with what something was run."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": versions(),
    }


def record(name, arguments, folder):
    """Runs an example in a folder and returns what is kept of it."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    path = ROOT / "examples" / f"{name}.py"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(path), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "command": " ".join(["python", f"examples/{name}.py", *arguments]),
        **circumstances(),
        "seconds": round(time.monotonic() - started),
        "processor_seconds": round(spent),
        "printed": last_lines(result.stdout),
    }


def last_lines(text):
    """Returns the last lines that a terminal shows: a carriage return writes over a line."""
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.strip("\n").split("\n")]
    return [line for line in lines if line and not _PROGRESS.search(line)][-LINES:]


def reduced(picture):
    """Returns a picture as the bytes of a small PNG."""
    from PIL import Image

    with Image.open(picture) as image:
        image = image.convert("RGB")
        if image.width > WIDTH:
            image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.LANCZOS)
        stream = io.BytesIO()
        image.quantize(COLOURS, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--picture", help="what the example draws, relative to where it runs")
    # argparse takes `--` for a part of the positional arguments before it.
    words = sys.argv[1:]
    border = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:border])
    with tempfile.TemporaryDirectory() as folder:
        result = record(options.name, words[border + 1 :], folder)
        if options.picture:
            content = reduced(pathlib.Path(folder) / options.picture)
            (IMAGES / f"{options.name}.png").write_bytes(content)
    text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    (RESULTS / f"{options.name}.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
