"""The tables of the README are what the code says; `tests/write_tables.py` rewrites them."""

import pathlib
import re

from models import counting

import keras_residual

README = pathlib.Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- models -->\n", "<!-- /models -->"


def models_table() -> str:
    """Returns the table of all models, with counts that `tests/models` keeps exact."""
    from keras_residual.models.registry import VARIANTS

    rows = [
        "| model | parameters | trainable | MACs | input | paper |",
        "|---|---:|---:|---:|---|---|",
    ]
    for name in keras_residual.list_models():
        variant = VARIANTS[name]
        trainable, parameters, macs = counting.stated(name)
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


def write() -> None:
    """Rewrites the table of models."""
    content = README.read_text(encoding="utf-8")
    start, stop = content.index(BEGIN) + len(BEGIN), content.index(END)
    README.write_text(content[:start] + models_table() + content[stop:], encoding="utf-8")
