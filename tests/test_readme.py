"""The tables of the README are what the code says. `python tests/test_readme.py` rewrites them.

Counts come from `models/golden_counts.csv`, with which `models/test_counts.py` compares the code.
"""

import csv
import pathlib
import re

import keras_residual

README = pathlib.Path(__file__).parent.parent / "README.md"
COUNTS = pathlib.Path(__file__).parent / "models" / "golden_counts.csv"
BEGIN, END = "<!-- models -->\n", "<!-- /models -->"


def models_table() -> str:
    """Returns the table of all models."""
    from keras_residual.models.registry import VARIANTS

    with COUNTS.open(encoding="utf-8") as table:
        counts = {row["name"]: row for row in csv.DictReader(table)}
    rows = [
        "| model | parameters | trainable | MACs | input | paper |",
        "|---|---:|---:|---:|---|---|",
    ]
    for name in keras_residual.list_models():
        variant = VARIANTS[name]
        parameters, trainable, macs = (
            int(counts[name][column]) for column in ("parameters", "trainable_parameters", "macs")
        )
        size = "×".join(str(n) for n in variant.input_shape)
        rows.append(
            f"| `{name}` | {parameters:,} | {trainable:,} "
            f"| {macs / 1e9:.3f} G | {size} | {variant.paper} |"
        )
    return "\n".join(rows) + "\n"


def test_models_table_is_current():
    text = README.read_text(encoding="utf-8")
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == models_table()


def test_every_named_file_exists():
    text = README.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:keras_residual|tests|examples|saved_models)/[\w/.]*)`", text)
    assert paths
    missing = [path for path in paths if not (README.parent / path).exists()]
    assert not missing


if __name__ == "__main__":
    content = README.read_text(encoding="utf-8")
    start, stop = content.index(BEGIN) + len(BEGIN), content.index(END)
    README.write_text(content[:start] + models_table() + content[stop:], encoding="utf-8")
