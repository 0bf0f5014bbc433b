"""Runs the notebooks of the documentation and keeps what their cells print and draw.

    python tests/record_notebooks.py              # all of them, or name some

`docs/notebooks/outputs.json` gets the lines that each cell prints, the date, the machine, the
versions and the seconds; `docs/images/notebook_NAME.png` the figure that a cell ends with. The
pages of the site show both.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from record_example import IMAGES, ROOT, circumstances, last_lines, reduced

# Runs the cells in one namespace, as a notebook does, and draws a figure that ends a cell.
RUNNER = """
import ast, contextlib, io, json
kept, names = [], {"__name__": "__main__"}
for cell in json.load(open("cells.json")):
    tree, stream, last = ast.parse(cell), io.StringIO(), None
    if isinstance(tree.body[-1], ast.Expr):
        last = compile(ast.Expression(tree.body.pop().value), "cell", "eval")
    with contextlib.redirect_stdout(stream):
        exec(compile(tree, "cell", "exec"), names)
        value = eval(last, names) if last else None
    if hasattr(value, "savefig"):
        value.savefig("picture.png", dpi=110)
    kept.append([stream.getvalue(), hasattr(value, "savefig")])
json.dump(kept, open("kept.json", "w"))
"""


def notebooks():
    """Returns the module of the documentation that reads the notebooks."""
    spec = importlib.util.spec_from_file_location("_notebooks", ROOT / "docs" / "_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(path, code):
    """Runs the code cells of a notebook in an empty folder and returns what is kept."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "cells.json").write_text(json.dumps(code), encoding="utf-8")
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", RUNNER],
            cwd=folder,
            check=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        kept = json.loads((folder / "kept.json").read_text(encoding="utf-8"))
        if any(drawn for _, drawn in kept):
            content = reduced(folder / "picture.png")
            (IMAGES / f"notebook_{path.stem}.png").write_bytes(content)
    outputs = [{"printed": last_lines(text), "picture": drawn} for text, drawn in kept]
    return {**circumstances(), "seconds": round(time.monotonic() - started), "outputs": outputs}


def main():
    read = notebooks()
    kept = read.kept_outputs()
    for path in read.paths():
        if path.stem in (sys.argv[1:] or [path.stem]):
            run = record(path, read.code_of(path))
            kept[path.stem] = {**run, "code": read.code_hash(path)}
            text = json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False)
            read.OUTPUTS.write_text(text + "\n", encoding="utf-8")
            print(path.stem, run["seconds"], "s", flush=True)


if __name__ == "__main__":
    main()
