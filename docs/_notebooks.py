"""The notebooks of the documentation: text files (jupytext), and what their cells print."""

import ast
import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).parent / "notebooks"
# Written by `tests/record_notebooks.py`.
OUTPUTS = FOLDER / "outputs.json"


def paths() -> list[Path]:
    return sorted(FOLDER.glob("*.py"))


def cells(path: Path) -> list[tuple[str, str]]:
    """Returns the kind, `"markdown"` or `"code"`, and the text of each cell of a notebook."""
    found = []
    for cell in path.read_text(encoding="utf-8").split("# %%")[1:]:
        kind, _, text = cell.partition("\n")
        if "[markdown]" in kind:
            found.append(("markdown", "\n".join(line[2:] for line in text.strip().splitlines())))
        else:
            found.append(("code", text.strip()))
    return found


def code_of(path: Path) -> list[str]:
    """Returns the code cells of a notebook."""
    return [text for kind, text in cells(path) if kind == "code"]


def code_hash(path: Path) -> str:
    """Returns a hash of a notebook's code that does not depend on its formatting."""
    trees = [ast.dump(ast.parse(text)) for text in code_of(path)]
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()[:16]


def kept_outputs() -> dict[str, dict]:
    """Returns the recorded run of each notebook by its name."""
    return json.loads(OUTPUTS.read_text(encoding="utf-8")) if OUTPUTS.exists() else {}


def page_of(path: Path) -> str:
    """Returns a notebook as Markdown, with what each cell printed and drew."""
    run = kept_outputs()[path.stem]
    outputs = iter(run["outputs"])
    parts = []
    for kind, text in cells(path):
        if kind == "markdown":
            parts.append(text)
            continue
        output = next(outputs)
        parts.append(f"```python\n{text}\n```")
        if output["printed"]:
            lines = "\n".join(output["printed"])
            parts.append(f'```text title="Output"\n{lines}\n```')
        if output["picture"]:
            parts.append(f"![The picture that the cell draws](../images/notebook_{path.stem}.png)")
    packages = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    parts.append(
        f"*Run on {run['date']} in {run['seconds']} s on {run['machine']}, with {packages}. "
        "To open this page in Jupyter:* "
        f"`pip install jupytext && jupytext --to ipynb docs/notebooks/{path.name}`"
    )
    return "\n\n".join(parts) + "\n"
