"""The page of a search: its best network, the pictures, and every trial with its curve."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_residual._page import Page, sparkline
from keras_residual._words import counted
from keras_residual.tuning.recipe_knobs import recipe_in_words

BEST, REPORT = "best.json", "report.html"
_COSTS = {
    "parameters": "parameters",
    "macs": "MACs",
    "file_size": "int8 bytes",
    "latency_ms": "ms",
}
_PICTURES = {
    "progress": ("Progress", "The best result so far over the training time of all trials."),
    "learning_curves": (
        "Learning curves",
        "Every trial, the best in red. Dashed: stopped early. Dotted: started with "
        "inherited weights.",
    ),
    "parallel_coordinates": (
        "Knobs",
        "Each line is a trial: the values of its knobs and, on the right, its result.",
    ),
}


def write(result: Any, pictures: Iterable[Path], dataset: str) -> Path:
    """Writes the page of a `SearchResult` and returns its path.

    Args:
        result: The result; at least one trial has completed.
        pictures: Pictures of the search, which the page takes in.
        dataset: Name or path of the data, for the command that trains the best network.
    """
    best = result.best
    page = Page(f"Search around {result.hypermodel.builder}")
    command = ["keras-residual", "train", "--model", str(result.output / BEST)]
    page.add(
        "Best network",
        _best_in_words(result),
        command=shlex.join([*command, "--dataset", dataset]),
    )
    for path in pictures:
        heading, text = _PICTURES.get(path.stem, (None, None))
        if heading is None:
            cost = path.stem.removeprefix("accuracy_").replace("_", " ")
            heading = f"{result.measure.title.capitalize()} against {cost}"
            text = "Grey points are trials; the line is the Pareto front."
        # Its axes stand side by side, each with labels of its own.
        least = 92 if path.stem == "parallel_coordinates" else 0
        page.add(heading, text, path.read_bytes(), least_width=least)
    rows, order = _rows(result)
    page.add(
        "Trials",
        f"{counted(len(result.rows), 'trial')}, the best first. The last column lists the knobs "
        f"that differ from those of trial {result.rows[0].trial}.",
        rows=rows,
        is_open=True,
        text_columns=(len(rows[0]) - 2, len(rows[0]) - 1),
        best=order.index(best),
    )
    path = result.output / REPORT
    page.write(path, ". ".join(result.remarks()) + ".")
    return path


def _best_in_words(result) -> str:
    row, measure = result.best, result.measure
    costs = [f"{getattr(row.cost, name):,.6g} {title}" for name, title in _known(row.cost)]
    reached = f"{measure.title} {measure.text(result.value(row))}"
    if result.retrained is not None:
        again = measure.text(measure.value(result.retrained))
        reached += (
            f" with inherited weights, the sum of several trainings; {again} trained from scratch "
            f"for {counted(result.epochs, 'epoch')}"
        )
    network = result.in_words(row)
    return (
        f"Trial {row.trial}: {network}. {reached[0].upper()}{reached[1:]}. {', '.join(costs)}. "
        f"Recipe: {recipe_in_words(result.recipe(row))}."
    )


def _known(cost) -> list[tuple[str, str]]:
    return [(name, title) for name, title in _COSTS.items() if getattr(cost, name) is not None]


def _rows(result):
    """Returns the rows of the table, headings first, and the trials in their order."""
    measure = result.measure
    order = [*result.completed, *(row for row in result.rows if row not in result.completed)]
    names = list(dict.fromkeys(pair for row in order if row.cost for pair in _known(row.cost)))
    titles = [title for _, title in names]
    shown = [quality for row in order for quality in row.curve]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    # A single outlier would flatten all other curves.
    low = max(low, high - 1.0) if measure.is_error else low
    head = ["trial", measure.title, "curve", "seconds", *titles, "remark", "network", "knobs"]
    rows = [head]
    for row in order:
        value = measure.value(row.metrics)
        costs = ["" if row.cost is None else _number(getattr(row.cost, name)) for name, _ in names]
        seconds = row.metrics.get("seconds")
        rows.append(
            [
                row.trial,
                "" if value is None else measure.text(value),
                sparkline(row.curve, low, high),
                "" if seconds is None else f"{seconds:.1f}",
                *costs,
                _remark(row),
                result.in_words(row) if row.values else "",
                _knobs(row, result.rows[0]),
            ]
        )
    return rows, order


def _number(value) -> str:
    return "" if value is None else f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"


def _remark(row) -> str:
    if row.reason:
        return f"failed: {row.reason}"
    inherited = "inherited" if row.metrics.get("inherited") else ""
    stopped = row.metrics.get("stopped")
    ended = "" if stopped is None else f"ended after epoch {stopped:.0f}"
    return ", ".join(filter(None, (inherited, ended)))


def _knobs(row, first) -> str:
    own = {name: value for name, value in row.values.items() if value != first.values.get(name)}
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in own.items()
    )
