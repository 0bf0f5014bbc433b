"""Reports as one self-contained HTML page that also fits a phone's screen."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keras_residual._files import write_text

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
img { max-width: 100%; display: block; } p { max-width: 44rem; }
pre { background: #f4f4f4; padding: .6rem .8rem; white-space: pre-wrap; }
div.table { overflow-x: auto; overflow-wrap: normal; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .15rem .8rem .15rem 0; text-align: right; vertical-align: top; }
td:first-child, th:first-child, td.text, th.text { text-align: left; }
td.text { min-width: 9rem; } td.text:last-child { min-width: 26rem; }
div.wide { overflow-x: auto; }
tr.best td { font-weight: 600; }
td svg { display: block; }
details { margin-top: .5rem; } summary { cursor: pointer; }
"""
_WIDTH, _HEIGHT = 90, 20


@dataclass(frozen=True)
class Markup:
    """HTML that is put into a table cell unescaped.

    Attributes:
        html: The markup.
    """

    html: str


@dataclass
class Page:
    """A heading and sections of text, pictures and tables.

    Attributes:
        title: The heading.
    """

    title: str
    _sections: list[str] = field(default_factory=list)

    def add(
        self,
        heading: str,
        text: str,
        picture: bytes | None = None,
        rows: Sequence[Sequence[object]] = (),
        *,
        command: str = "",
        is_open: bool = False,
        least_width: int = 0,
        text_columns: Sequence[int] = (),
        best: int | None = None,
    ) -> None:
        """Adds a section.

        Args:
            heading: Its heading.
            text: A paragraph.
            picture: A PNG file's content.
            rows: A table whose first row are its headings; cells are texts, numbers or `Markup`.
            command: A line to be copied into a terminal.
            least_width: Width of the picture in rem below which it is scrolled instead of shrunk.
            is_open: Whether the table is shown without a click.
            text_columns: Numbers of the columns that hold text, in addition to the first.
            best: Number of the row to stress, from 0, without the headings.
        """
        parts = [f"<h2>{html.escape(heading)}</h2>", f"<p>{html.escape(text)}</p>"]
        if command:
            parts.append(f"<pre>{html.escape(command)}</pre>")
        if picture is not None:
            source = base64.b64encode(picture).decode()
            least = f' style="min-width: {least_width}rem"' if least_width else ""
            alt = html.escape(heading)
            image = f'<img alt="{alt}"{least} src="data:image/png;base64,{source}">'
            parts.append(f'<div class="wide">{image}</div>' if least_width else image)
        if rows:
            table = _table(rows, set(text_columns), best)
            folded = f"<details><summary>Table</summary>{table}</details>"
            parts.append(table if is_open else folded)
        self._sections.append("\n".join(parts))

    def write(self, path: Path, subtitle: str) -> None:
        """Writes the page to a file."""
        write_text(
            path,
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head><body>\n"
            f"<h1>{html.escape(self.title)}</h1>\n<p>{html.escape(subtitle)}</p>\n"
            + "\n".join(self._sections)
            + "\n</body></html>\n",
        )


def _table(rows, texts, best) -> str:
    head, *body = rows
    lines = [_row(head, texts, "th")]
    for number, row in enumerate(body):
        lines.append(_row(row, texts, "td", ' class="best"' if number == best else ""))
    return '<div class="table"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _row(values, texts, tag, attributes="") -> str:
    cells = []
    for number, value in enumerate(values):
        content = value.html if isinstance(value, Markup) else html.escape(str(value))
        kind = ' class="text"' if number in texts else ""
        cells.append(f"<{tag}{kind}>{content}</{tag}>")
    return f"<tr{attributes}>" + "".join(cells) + "</tr>"


def sparkline(values: Sequence[float], low: float, high: float) -> Markup:
    """Returns a small line of values, for a cell of a table.

    Args:
        values: The values, from left to right.
        low: Value at the bottom.
        high: Value at the top.
    """
    if not values:
        return Markup("")
    span, last = max(high - low, 1e-12), max(len(values) - 1, 1)
    points = [
        (
            2 + (_WIDTH - 4) * place / last,
            _HEIGHT - 2 - (_HEIGHT - 4) * min(max((value - low) / span, 0.0), 1.0),
        )
        for place, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return Markup(
        f'<svg role="img" aria-label="learning curve" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}"><polyline points="{line}" fill="none" '
        f'stroke="#2f6db5" stroke-width="1.5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="#2f6db5"/></svg>'
    )
