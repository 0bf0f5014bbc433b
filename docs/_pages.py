"""Writes the pages that follow from the code: one for each public object, and the navigation.

`mkdocs build` runs it through the plugin gen-files; nothing is written to the source tree.
"""

import ast
import dataclasses
import inspect
import json
import sys
import textwrap
from pathlib import Path

import mkdocs_gen_files

import keras_residual
from keras_residual import training

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import _notebooks  # noqa: E402  (gen-files runs this file outside its folder)

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

# Files of the examples whose results are many, below `examples/results/`.
RECORDS = {"cifar10": "resnet*.json", "ucr_archive": "ucr/*.json"}


def is_documented(member) -> bool:
    return (inspect.isclass(member) or callable(member)) and bool(inspect.getdoc(member))


def summary_of(member) -> str:
    if member is training.recipes:
        return "The recipes by name, and what each says."
    return inspect.getdoc(member).split("\n\n")[0].replace("\n", " ")


def head_of(name: str) -> str:
    """Returns the front matter of a page.

    The search takes `ResNet18` for a beginning too: without a boost, `ResNet18V2D` comes first.
    """
    longer = {other for room in ROOMS for other in getattr(keras_residual, room).__all__}
    count = sum(other.startswith(name) and other != name for other in longer)
    return f"---\ntitle: {name}\nsearch:\n  boost: {1 + min(count, 9)}\n---\n"


def page_of(room: str, name: str, member) -> str | None:
    """Returns the Markdown of a public object, `None` for a plain value."""
    public = f"keras_residual.{room}.{name}"
    if is_documented(member):
        return f"::: {public}"
    if inspect.ismodule(member):
        heading = "\n    options:\n      heading_level: 2"
        inner = [f"::: {public}.{function}{heading}" for function in documented_in(member)]
        return "\n\n".join([f"# {room}.{name}", inspect.getdoc(member), *inner])
    return recipes_page() if member is training.recipes else None


def documented_in(module) -> list[str]:
    names = getattr(module, "__all__", None) or sorted(vars(module))
    return [
        name
        for name in names
        if not name.startswith("_")
        and is_documented(getattr(module, name))
        and getattr(module, name).__module__.startswith("keras_residual.")
    ]


def recipes_page() -> str:
    """Returns a table of the recipes, with the fields in which each differs from the defaults."""
    lines = ["# training.recipes", "", summary_of(training.recipes)]
    lines += [
        "[`Recipe`](Recipe.md) says what the fields mean.",
        "",
        "| recipe | fields |",
        "|---|---|",
    ]
    default = training.Recipe()
    for name, recipe in training.recipes.items():
        fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
        changed = [
            f"`{key}={value!r}`" for key, value in fields.items() if value != getattr(default, key)
        ]
        lines.append(f"| `{name}` | {', '.join(changed)} |")
    return "\n".join(lines)


def write_room(room: str, about: str) -> list[str]:
    """Writes the pages of one room and its table of contents; returns the names with a page."""
    namespace = getattr(keras_residual, room)
    lines = [f"# keras_residual.{room}", "", about, "", "| name | what it is |", "|---|---|"]
    values, documented = [], []
    for name in sorted(namespace.__all__, key=str.lower):
        member = getattr(namespace, name)
        content = page_of(room, name, member)
        if content is None:
            values.append(f"`{name}`")
            continue
        documented.append(name)
        with mkdocs_gen_files.open(f"reference/{room}/{name}.md", "w") as file:
            file.write(f"{head_of(name)}\n{content}\n")
        lines.append(f"| [`{name}`]({name}.md) | {summary_of(member)} |")
    if values:
        lines += ["", f"Also: {', '.join(values)}."]
    with mkdocs_gen_files.open(f"reference/{room}/index.md", "w") as file:
        file.write("\n".join(lines) + "\n")
    return documented


def write_gallery() -> None:
    """Writes the gallery: what each example says of itself, its picture and its recorded run."""
    lines = ["# Gallery", ""]
    lines += ["The programs in `examples/`, with the time that each takes and a recorded result."]
    for path in sorted((ROOT / "examples").glob("*.py")):
        about, _, text = ast.get_docstring(ast.parse(path.read_text("utf-8"))).partition("\n")
        title, _, more = about.rstrip(".").partition(": ")
        lines += ["", f"## {title}", "", *([f"{more[0].upper()}{more[1:]}.", ""] if more else [])]
        if (ROOT / "docs" / "images" / f"{path.stem}.png").exists():
            lines += [f"![{title}](images/{path.stem}.png)", ""]
        lines += [_references(text.strip("\n")), *recorded_runs(path.stem)]
    with mkdocs_gen_files.open("gallery.md", "w") as file:
        file.write("\n".join(lines) + "\n")


def _references(text):
    """Returns the text of an example with its references as a list of Markdown."""
    before, heading, references = text.partition("\nReference:\n")
    return f"{before}\n**Reference**\n\n{textwrap.dedent(references)}" if heading else text


def recorded_runs(stem: str) -> list[str]:
    """Returns how, when and where the kept runs of an example took place, as lines of Markdown."""
    results = ROOT / "examples" / "results"
    paths = sorted(results.glob(RECORDS.get(stem, f"{stem}.json")))
    if not paths:
        return []
    runs = [json.loads(path.read_text("utf-8")) for path in paths]
    dates = sorted({run["date"] for run in runs})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    machines = "; ".join(sorted({run["machine"] for run in runs}))
    packages = ", ".join(f"{name} {version}" for name, version in runs[-1]["versions"].items())
    place = f"{machines}, which did other work too, with {packages}"
    if len(runs) > 1:
        return ["", f"*{len(runs)} runs from {when} on {place}.*"]
    (run,) = runs
    spent = f" in {run['seconds']} s" if "seconds" in run else ""
    if "processor_seconds" in run:
        spent += f" ({run['processor_seconds']} s of CPU time)"
    return ["", f"*Run on {when}{spent} on {place}:* `{run['command']}`"]


def write_notebooks() -> None:
    """Writes each notebook as a page, with what its cells print."""
    for path in _notebooks.paths():
        with mkdocs_gen_files.open(f"notebooks/{path.stem}.md", "w") as file:
            file.write(_notebooks.page_of(path))


write_gallery()
write_notebooks()
contents = []
for room, about in ROOMS.items():
    contents.append(f"* [{room}]({room}/index.md)")
    contents += [f"    * [{name}]({room}/{name}.md)" for name in write_room(room, about)]
with mkdocs_gen_files.open("reference/SUMMARY.md", "w") as file:
    file.write("\n".join(contents) + "\n")
