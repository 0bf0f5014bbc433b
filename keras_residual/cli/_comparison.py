"""Comparison of the exported files of one trained model."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_residual import export
from keras_residual.cli._model_files import load_keras
from keras_residual.cli._table import columns, print_table
from keras_residual.cli._units import human_bytes, human_seconds

_TIMED_SECONDS = 0.3
_COLUMNS = columns("Format", "Accuracy", "Size", "Latency", "Worst difference")


@dataclass(frozen=True)
class FormatRow:
    """The measures of one format on the held-out images.

    Attributes:
        format: Name of the format.
        file: Its name.
        accuracy: Share of correct predictions.
        bytes: Size of the file.
        latency_seconds: Median time for one image.
        worst_difference: The largest difference between its probabilities and the trained model's.
    """

    format: str
    file: str
    accuracy: float
    bytes: int
    latency_seconds: float
    worst_difference: float


def compare(
    files: dict[str, Path],
    images: np.ndarray,
    labels: np.ndarray,
    expected: np.ndarray,
    progress: Callable[[str], None],
) -> list[FormatRow]:
    """Loads and measures each file.

    Args:
        files: Path of each file, by the name of its format.
        images: `(n, ...)` held-out inputs.
        labels: `(n,)` integers.
        expected: `(n, classes)` outputs of the trained model.
        progress: Called with what is done next.

    Returns:
        A list of `FormatRow`.
    """
    rows = []
    for name, path in files.items():
        progress(f"Measuring {path.name}")
        size, predict, predict_one = _open(path)
        outputs = predict(images)
        rows.append(
            FormatRow(
                format=name,
                file=path.name,
                accuracy=float((outputs.argmax(-1) == labels).mean()),
                bytes=size,
                latency_seconds=_median_seconds(predict_one, images[:1]),
                worst_difference=float(np.abs(outputs - expected).max()),
            )
        )
    return rows


def _open(path: Path) -> tuple[int, Callable, Callable]:
    if path.suffix == ".keras":
        model = load_keras(path)
        return path.stat().st_size, model.predict_on_batch, model.predict_on_batch
    artefact = export.load(path)
    return artefact.bytes, artefact.predict, artefact


def _median_seconds(call: Callable, argument: np.ndarray) -> float:
    call(argument)
    times, until = [], time.perf_counter() + _TIMED_SECONDS
    while time.perf_counter() < until or len(times) < 5:
        started = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def print_rows(rows: list[FormatRow]) -> None:
    """Prints the rows as a table."""
    print_table(
        _COLUMNS,
        [
            [
                row.format,
                f"{row.accuracy:.2%}",
                human_bytes(row.bytes),
                human_seconds(row.latency_seconds),
                f"{row.worst_difference:.1e}",
            ]
            for row in rows
        ],
    )
