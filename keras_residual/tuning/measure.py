"""The metric that networks are compared by, for each kind of labels."""

from collections.abc import Mapping
from dataclasses import dataclass

LABELS = ("classes", "multi_label", "regression")
"""The kinds of labels that a search supports."""


@dataclass(frozen=True)
class Measure:
    """A metric and its direction.

    Attributes:
        metric: Name of the metric in training logs.
        title: Name of the metric in tables and pictures.
        is_error: Whether smaller is better.
    """

    metric: str
    title: str
    is_error: bool = False

    def value(self, metrics: Mapping[str, float]) -> float | None:
        """Returns the metric, on held-out examples if there are any, `None` if it is missing."""
        return metrics.get(f"val_{self.metric}", metrics.get(self.metric))

    def quality(self, metrics: Mapping[str, float]) -> float | None:
        """Returns the metric as a number where larger is better."""
        value = self.value(metrics)
        return -value if value is not None and self.is_error else value

    def score(self, value: float, factor: float) -> float:
        """Returns the score that a search maximizes: the metric, penalized by cost.

        Args:
            value: The metric.
            factor: Penalty for the cost, by which an accuracy is divided or an error multiplied;
                above 1 for a network that costs more than the default.
        """
        return -value * factor if self.is_error else value / factor

    def text(self, value: float) -> str:
        """Returns a value formatted for tables, such as `97.57%` or `0.1234`."""
        return f"{value:.4g}" if self.is_error else f"{value:.2%}"

    def curve(self, qualities: tuple[float, ...]) -> list[float]:
        """Returns the values of the metric for a curve of qualities."""
        return [-quality if self.is_error else quality for quality in qualities]


def measure_of(labels: str, units: int) -> Measure:
    """Returns the metric for a kind of labels.

    Args:
        labels: `"classes"`, `"multi_label"` or `"regression"`.
        units: Number of classes, labels or numbers.
    """
    if labels == "regression":
        return Measure("mean_absolute_error", "error", is_error=True)
    # The name that `training.objective` uses if an example has several labels.
    several = labels == "multi_label" and units > 1
    return Measure("binary_accuracy" if several else "accuracy", "accuracy")
