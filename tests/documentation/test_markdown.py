"""Markdown that Python-Markdown would silently show in another way."""

import itertools
import re

import pytest
import tables

PAGES = [*tables.ROOT.glob("*.md"), *sorted((tables.ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def lines_of(page):
    """Returns the lines of a page outside code, each with a number to be found by."""
    text = FENCED.sub(lambda code: "\n" * code[0].count("\n"), page.read_text(encoding="utf-8"))
    return list(enumerate(text.splitlines(), start=1))


def faults_of(page, is_fault):
    """Returns the numbers of lines that must not follow the line before them."""
    pairs = itertools.pairwise(lines_of(page))
    return [number for (_, before), (number, line) in pairs if is_fault(before, line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(tables.ROOT)))
def test_tables_end_with_an_empty_line(page):
    """A line that follows at once would become a row."""
    assert not faults_of(
        page,
        lambda row, line: (
            row.startswith("|") and line.strip() and not line.startswith(("|", "<!--"))
        ),
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(tables.ROOT)))
def test_rows_have_as_many_cells_as_their_head(page):
    faults, columns = [], None
    for number, line in lines_of(page):
        cells = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) - 1
        if not line.startswith("|"):
            columns = None
        elif columns is None:
            columns = cells
        elif cells != columns:
            faults.append(number)
    assert not faults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(tables.ROOT)))
def test_lists_begin_after_an_empty_line(page):
    """Otherwise their first item would be a part of the paragraph before."""
    item = r"- |\d+\. "

    def continues(before, line):
        is_text = before.strip() and not before.startswith(" ")
        return re.match(item, line) and is_text and not re.match(f"{item}|#", before)

    assert not faults_of(page, continues)
