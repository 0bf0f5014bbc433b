"""Tables for a terminal of any width, which never truncate text or break a word or number.

A table that is too wide is printed in another layout: its text column is wrapped between words, or
moves to a line of its own above the numbers, or every cell gets a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from keras_residual.cli._terminal import console

_GAP = 2
# A narrower column of text is hard to read.
_NARROWEST_TEXT = 12


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its heading, of one or more lines.
        text: Whether it holds text, aligned left, or numbers, aligned right.
        wraps: Whether its text may be wrapped, or moved to a line of its own. At most one column
            of a table.
    """

    heading: str
    text: bool = False
    wraps: bool = False


def columns(text: str, *numbers: str) -> tuple[Column, ...]:
    """Returns a wrapping column of text and columns of numbers with these headings."""
    return (Column(text, text=True, wraps=True), *map(Column, numbers))


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
    """Prints a table in the widest layout that fits the terminal."""
    for line in layout(columns, rows, console.width):
        console.print(line, soft_wrap=True)


def layout(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], width: int
) -> list[Text]:
    """Returns the lines of a table, none wider than `width` unless a single word is."""
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    widths = [_natural(column, number, cells) for number, column in enumerate(columns)]
    wrapping = next((number for number, column in enumerate(columns) if column.wraps), None)
    if _total(widths) <= width:
        return _grid(columns, cells, widths)
    if wrapping is None:
        return _records(columns, cells, width)
    room = width - _total(widths) + widths[wrapping]
    words = [word for row in cells for word in row[wrapping].plain.split()]
    longest = max(map(_width, [*words, *columns[wrapping].heading.split()]), default=0)
    if room >= max(longest, _NARROWEST_TEXT):
        widths[wrapping] = room
        return _grid(columns, cells, widths)
    if _total(widths) - widths[wrapping] <= width:
        return _with_titles(columns, cells, widths, wrapping, width)
    return _records(columns, cells, width)


def _natural(column, number, cells) -> int:
    texts = [*column.heading.split("\n"), *(row[number].plain for row in cells)]
    return max(map(_width, texts))


def _width(text: str) -> int:
    return Text(text).cell_len


def _total(widths) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _grid(columns, cells, widths) -> list[Text]:
    """Returns a line for each row, or more where text is wrapped."""
    heads = [column.heading.split("\n") for column in columns]
    height = max(map(len, heads))
    lines = []
    for number in range(height):
        head = [([""] * (height - len(parts)) + parts)[number] for parts in heads]
        lines.append(_line(columns, [Text(part, "bold") for part in head], widths))
    for row in cells:
        parts = [list(_wrapped(cell, room)) for cell, room in zip(row, widths, strict=True)]
        for number in range(max(map(len, parts))):
            found = [part[number] if number < len(part) else Text() for part in parts]
            lines.append(_line(columns, found, widths))
    return lines


def _line(columns, cells, widths) -> Text:
    line = Text()
    for number, (column, cell, room) in enumerate(zip(columns, cells, widths, strict=True)):
        space = " " * (room - cell.cell_len)
        line.append(" " * _GAP if number else "")
        line.append_text(Text() if column.text else Text(space)).append_text(cell)
        line.append(space if column.text else "")
    line.rstrip()
    return line


def _wrapped(cell: Text, width: int) -> list[Text]:
    """Returns the lines of a text, broken only between words."""
    lines, used = [], 0
    for start, end in _words(cell.plain):
        word = cell[start:end]
        if lines and used + 1 + word.cell_len <= width:
            lines[-1].append(" ").append_text(word)
            used += 1 + word.cell_len
        else:
            lines.append(word)
            used = word.cell_len
    return lines or [Text()]


def _words(text: str):
    """Yields the start and end of each word of a text."""
    position = 0
    for word in text.split():
        position = text.index(word, position)
        yield position, position + len(word)
        position += len(word)


def _with_titles(columns, cells, widths, title, width) -> list[Text]:
    """Returns rows of numbers with their texts on lines above them, or below for a last column.

    Consecutive equal texts above are printed once.
    """

    def without(values):
        return [value for number, value in enumerate(values) if number != title]

    grid = _grid(without(columns), [without(row) for row in cells], without(widths))
    height = len(grid) - len(cells)
    head = Text(columns[title].heading.replace("\n", " "), "bold")
    lines = [*grid[:height], Text("  ").append_text(head)] if title else [head, *grid[:height]]
    before = None
    for row, numbers in zip(cells, grid[height:], strict=True):
        if title:
            lines += [
                numbers,
                *(Text("  ").append_text(t) for t in _wrapped(row[title], width - 2)),
            ]
            continue
        if row[title].plain != before:
            lines += _wrapped(Text(row[title].plain, "bold"), width)
        before = row[title].plain
        lines.append(numbers)
    return lines


def _records(columns, cells, width) -> list[Text]:
    """Returns a line per cell, below the line of the first column."""
    heads = [column.heading.replace("\n", " ") for column in columns]
    left = max(map(_width, heads[1:]), default=0) + 2
    lines = []
    for row in cells:
        title, *facts = row
        lines.append(Text(title.plain, "bold"))
        for head, fact in zip(heads[1:], facts, strict=True):
            for number, part in enumerate(_wrapped(fact, max(1, width - left - _GAP))):
                name = "" if number else f"  {head}"
                lines.append(Text(name.ljust(left + _GAP)).append_text(part))
    return lines
