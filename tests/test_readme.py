"""The table of models agrees with the code, and files named in the documentation exist.

`tests/write_tables.py` rewrites the table.
"""

import re

import pytest
import tables
from models import counting

import keras_residual

PAGES = [tables.ROOT / "README.md", *sorted((tables.ROOT / "docs").rglob("*.md"))]


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
    assert tables.read(tables.MODELS, "models") == models_table()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_named_file_exists(page):
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:keras_residual|tests|examples|saved_models|docs)/[\w/.]*)`", text)
    missing = [path for path in paths if not (tables.ROOT / path).exists()]
    assert not missing


def test_readme_is_short():
    assert len((tables.ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def write() -> None:
    """Rewrites the table of models."""
    tables.write(tables.MODELS, "models", models_table())
