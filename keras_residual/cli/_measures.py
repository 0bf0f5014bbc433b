"""Metrics of multi-label and regression models."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_residual.cli._table import columns, print_table
from keras_residual.cli._terminal import console, in_one_line

# The metric that `training.fit` reports for each kind of labels.
METRICS = {"classes": "accuracy", "multi_label": "accuracy", "regression": "mean_absolute_error"}
# Largest number of labels in the table.
_MOST = 20


@dataclass(frozen=True)
class Measures:
    """Metrics of each label or number.

    Attributes:
        kind: `"multi_label"` or `"regression"`.
        names: One for each label or number.
        columns: The metrics, one value for each name.
        mean: The mean of the first column.
        count: Number of examples.
        seconds: Total time of the predictions.
    """

    kind: str
    names: Sequence[str]
    columns: dict[str, list[float]]
    mean: float
    count: int
    seconds: float

    @property
    def headline(self) -> str:
        """The mean as a sentence."""
        if self.kind == "multi_label":
            return f"Held-out accuracy of a label {self.mean:.2%}"
        return f"Held-out mean absolute error {self.mean:.4g}"

    def as_dict(self) -> dict:
        """Returns the measures as JSON types."""
        names, count = list(self.names), self.count
        return {"report": {"names": names, **self.columns, "mean": self.mean, "count": count}}

    def print_headline(self, batch_size: int) -> None:
        """Prints the mean as a sentence."""
        console.print(self.headline, markup=False, soft_wrap=in_one_line())

    def draw(self, folder: Path) -> list[str]:
        """Returns the names of the pictures that it draws, which are none."""
        return []

    def print_table(self) -> None:
        """Prints a row for each label or number."""
        headings = [column.replace("_", " ").capitalize() for column in self.columns]
        rows = [
            [name, *(f"{values[row]:.4g}" for values in self.columns.values())]
            for row, name in enumerate(self.names[:_MOST])
        ]
        print_table(columns("Name", *headings), rows)


def measure(
    predict: Callable[[np.ndarray], np.ndarray],
    batches: Iterable,
    kind: str,
    names: Sequence[str],
    known: Sequence[str] | None = None,
) -> Measures:
    """Returns the metrics of a model's predictions for the examples in batches.

    Args:
        predict: The model.
        batches: Batches `(inputs, labels)` of NumPy arrays.
        kind: `"multi_label"` or `"regression"`.
        names: One for each label or number; of transcripts each character.
        known: For transcripts, the model's characters. Defaults to `names`.

    Raises:
        ValueError: If the model outputs another number of values.
    """
    if kind == "text":
        from keras_residual.cli import _transcripts

        return _transcripts.measure(predict, batches, names, known)
    found, expected, seconds = [], [], 0.0
    for inputs, labels in batches:
        started = time.perf_counter()
        found.append(np.asarray(predict(inputs), np.float64))
        seconds += time.perf_counter() - started
        expected.append(labels)
        if found[-1].shape != labels.shape:
            raise ValueError(
                f"The model outputs {found[-1].shape[1:]}; the data has {len(names)} "
                f"{'labels' if kind == 'multi_label' else 'numbers'} per example."
            )
    y, outputs = np.concatenate(expected), np.concatenate(found)
    columns = (_of_labels if kind == "multi_label" else _of_numbers)(y, outputs)
    made = {name: [float(value) for value in values] for name, values in columns.items()}
    mean = float(np.mean(next(iter(made.values()))))
    return Measures(kind, names, made, mean, len(y), seconds)


def _of_labels(y, outputs) -> dict:
    """Accuracy, precision and recall of each label; outputs are probabilities or logits."""
    probabilities = outputs.min() >= 0 and outputs.max() <= 1
    predicted, true = outputs > (0.5 if probabilities else 0.0), y > 0.5
    both = (predicted & true).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return {
            "accuracy": (predicted == true).mean(axis=0),
            "precision": np.nan_to_num(both / predicted.sum(axis=0)),
            "recall": np.nan_to_num(both / true.sum(axis=0)),
        }


def _of_numbers(y, outputs) -> dict:
    """Errors of each number, and its share of explained variance."""
    errors = outputs - y
    spread = np.square(y - y.mean(axis=0)).sum(axis=0)
    return {
        "mean_absolute_error": abs(errors).mean(axis=0),
        "root_mean_squared_error": np.sqrt(np.square(errors).mean(axis=0)),
        "r2": 1 - np.square(errors).sum(axis=0) / np.maximum(spread, 1e-12),
    }
