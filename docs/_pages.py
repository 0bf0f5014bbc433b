"""Writes the pages that follow from the code: one for each public object, and the navigation.

`mkdocs build` runs it through the plugin gen-files; nothing is written to the source tree.
"""

import ast
import inspect
from pathlib import Path

import mkdocs_gen_files

import keras_residual

ROOT = Path(__file__).parent.parent
ROOMS = {
    "models": "Networks by name, and the builders behind them.",
    "layers": "The blocks that the networks are made of.",
    "weights": "Weights from elsewhere: loading, converting, freezing, sharing.",
    "data": "Datasets, input pipelines and augmentation.",
    "training": "Recipes, and a training that survives crashes.",
    "tuning": "Search for a network within a budget.",
    "export": "Files for servers, browsers and phones, compared with the model.",
    "inference": "Pictures in, class names out, whatever the model is stored as.",
    "analysis": "Costs, explanations, and a look inside.",
}


def is_documented(member) -> bool:
    return (inspect.isclass(member) or callable(member)) and bool(inspect.getdoc(member))


def summary_of(member) -> str:
    return inspect.getdoc(member).split("\n\n")[0].replace("\n", " ")


def write_room(room: str, about: str) -> list[str]:
    """Writes the pages of one room and its table of contents; returns the names with a page."""
    namespace = getattr(keras_residual, room)
    lines = [f"# keras_residual.{room}", "", about, "", "| name | what it is |", "|---|---|"]
    values, documented = [], []
    for name in sorted(namespace.__all__, key=str.lower):
        member = getattr(namespace, name)
        if not is_documented(member):
            values.append(f"`{name}`")
            continue
        documented.append(name)
        page = f"reference/{room}/{name}.md"
        public = f"keras_residual.{room}.{name}"
        with mkdocs_gen_files.open(page, "w") as file:
            members = "\n    options:\n      members: true" if inspect.isclass(member) else ""
            file.write(f"---\ntitle: {name}\n---\n\n::: {public}{members}\n")
        lines.append(f"| [`{name}`]({name}.md) | {summary_of(member)} |")
    if values:
        lines += ["", f"Also: {', '.join(values)}."]
    with mkdocs_gen_files.open(f"reference/{room}/index.md", "w") as file:
        file.write("\n".join(lines) + "\n")
    return documented


def write_gallery() -> None:
    """Writes the gallery: what each example says of itself, with its picture if there is one."""
    lines = ["# Gallery", "", "Each example says what it takes and what came out when it was run."]
    for path in sorted((ROOT / "examples").glob("*.py")):
        title, _, text = ast.get_docstring(ast.parse(path.read_text("utf-8"))).partition("\n")
        lines += ["", f"## {title.rstrip('.')}", ""]
        if (ROOT / "docs" / "images" / f"{path.stem}.png").exists():
            lines += [f"![{title}](images/{path.stem}.png)", ""]
        lines += [text.strip()]
    with mkdocs_gen_files.open("gallery.md", "w") as file:
        file.write("\n".join(lines) + "\n")


def write_notebooks() -> None:
    """Writes each notebook as a page; `jupytext --to ipynb FILE` makes a notebook of it."""
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.py")):
        parts = []
        for cell in path.read_text("utf-8").split("# %%")[1:]:
            kind, _, text = cell.partition("\n")
            if "[markdown]" in kind:
                parts.append("\n".join(line[2:] for line in text.strip().splitlines()))
            else:
                parts.append(f"```python\n{text.strip()}\n```")
        with mkdocs_gen_files.open(f"notebooks/{path.stem}.md", "w") as file:
            file.write("\n\n".join(parts) + "\n")


write_gallery()
write_notebooks()
contents = []
for room, about in ROOMS.items():
    contents.append(f"* [{room}]({room}/index.md)")
    contents += [f"    * [{name}]({room}/{name}.md)" for name in write_room(room, about)]
with mkdocs_gen_files.open("reference/SUMMARY.md", "w") as file:
    file.write("\n".join(contents) + "\n")
