"""Evaluation of classifiers, class by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_EXAMPLES_SHOWN = 3


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """The results on labelled examples; as text, a table of the classes.

    Attributes:
        class_names: One name for each class.
        confusion: `(classes, classes)` integers, the confusion matrix: true classes as rows,
            predicted ones as columns.
        precision: `(classes,)`, the fraction of correct predictions of a class; 0 for a class that
            was never predicted.
        recall: `(classes,)`, the fraction of the examples of a class that were predicted correctly;
            NaN for a class without examples.
        f1: `(classes,)`, the harmonic mean of both; NaN for a class without examples.
    """

    class_names: tuple[str, ...]
    confusion: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    @property
    def support(self) -> np.ndarray:
        """Number of examples of each class."""
        return self.confusion.sum(axis=1)

    @property
    def accuracy(self) -> float:
        """Fraction of the examples that were predicted correctly."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def macro_f1(self) -> float:
        """Mean of F1 over the classes that have examples."""
        return float(np.nanmean(self.f1))

    def confusions(self, count: int = _EXAMPLES_SHOWN) -> list[tuple[str, str, int]]:
        """Returns the most frequent mistakes: true class, predicted class, count."""
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = [np.unravel_index(place, wrong.shape) for place in order]
        names = self.class_names
        return [(names[row], names[column], int(wrong[row, column])) for row, column in pairs
                if wrong[row, column]]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Returns the report as JSON values, with `None` for undefined numbers."""
        rows = zip(self.class_names, self.precision, self.recall, self.f1, self.support,
                   strict=True)  # fmt: skip
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "classes": {
                name: {
                    "precision": _number(precision),
                    "recall": _number(recall),
                    "f1": _number(f1),
                    "examples": int(support),
                }
                for name, precision, recall, f1, support in rows
            },
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        width = max(5, *(len(name) for name in self.class_names))
        lines = [f"{'class':<{width}}  precision  recall      F1  examples"]
        for name, *values, support in zip(
            self.class_names, self.precision, self.recall, self.f1, self.support, strict=True
        ):
            cells = [f"{'-' if np.isnan(value) else f'{value:.1%}':>{wide}}"
                     for value, wide in zip(values, (9, 6, 6), strict=True)]  # fmt: skip
            lines.append(f"{name:<{width}}  {'  '.join(cells)}  {support:>8,}")
        return "\n".join(lines)


def classification_report(
    labels: Sequence[int], predicted: Sequence[int], class_names: Sequence[str]
) -> ClassificationReport:
    """Compares predictions with labels.

    Args:
        labels: `(n,)` integers, the true classes of examples.
        predicted: `(n,)` integers, the predicted classes; or `(n, classes)` scores.
        class_names: One name for each class.

    Raises:
        ValueError: If there are no examples, the lengths differ, or a class has no name.

    Example:

    >>> report = classification_report([0, 0, 1], [0, 1, 1], ("ants", "bees"))
    >>> report.precision, report.recall
    (array([1. , 0.5]), array([0.5, 1. ]))
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if predicted.ndim == 2:
        predicted = predicted.argmax(-1)
    if labels.shape != predicted.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            "`labels` and `predicted` must have one entry for each of at least one example. "
            f"Received: shapes {labels.shape} and {predicted.shape}"
        )
    count = len(class_names)
    if min(labels.min(), predicted.min()) < 0 or max(labels.max(), predicted.max()) >= count:
        raise ValueError(
            f"`class_names` must name every class, 0 to {max(labels.max(), predicted.max())}. "
            f"Received: {count} names"
        )
    confusion = np.zeros((count, count), int)
    np.add.at(confusion, (labels, predicted), 1)
    right, given, support = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        recall = right / np.where(support, support, np.nan)
        f1 = 2 * right / np.where(support, given + support, np.nan)
    return ClassificationReport(
        tuple(map(str, class_names)), confusion, right / np.maximum(given, 1), recall, f1
    )


def _number(value) -> float | None:
    return None if np.isnan(value) else float(value)
