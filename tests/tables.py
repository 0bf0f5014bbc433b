"""Generated tables in the documentation: the text between `<!-- NAME -->` and `<!-- /NAME -->`."""

import pathlib

ROOT = pathlib.Path(__file__).parent.parent
MODELS = ROOT / "docs" / "models.md"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"


def read(page: pathlib.Path, name: str) -> str:
    """Returns a table as the page has it."""
    _, table, _ = _parts(page, name)
    return table


def write(page: pathlib.Path, name: str, table: str) -> None:
    """Puts a table into the page."""
    before, _, after = _parts(page, name)
    page.write_text(before + table + after, encoding="utf-8")


def _parts(page, name):
    text = page.read_text(encoding="utf-8")
    start = text.index(f"<!-- {name} -->\n") + len(f"<!-- {name} -->\n")
    end = text.index(f"<!-- /{name} -->", start)
    return text[:start], text[start:end], text[end:]
