"""What networks are compared by, for each kind of labels."""

from collections.abc import Mapping
from dataclasses import dataclass

LABELS = ("classes", "multi_label", "regression")
"""The kinds of labels that a search knows."""


@dataclass(frozen=True)
class Measure:
    """A metric, and which of its values are good.

    Attributes:
        metric: Its name in the logs of a training.
        title: What tables and pictures call it.
        is_error: Whether smaller is better.
    """

    metric: str
    title: str
    is_error: bool = False

    def value(self, metrics: Mapping[str, float]) -> float | None:
        """Returns the metric, on the examples held out if there are any, `None` without it."""
        return metrics.get(f"val_{self.metric}", metrics.get(self.metric))

    def quality(self, metrics: Mapping[str, float]) -> float | None:
        """Returns the metric as a number of which larger is better."""
        value = self.value(metrics)
        return -value if value is not None and self.is_error else value

    def score(self, value: float, factor: float) -> float:
        """Returns what a search maximizes: the metric, worse by a factor above 1 for what it costs.

        Args:
            value: The metric.
            factor: By how many times the cost takes a share of an accuracy, or multiplies an error.
        """
        return -value * factor if self.is_error else value / factor

    def text(self, value: float) -> str:
        """Returns a value as tables have it, such as `97.57%` or `0.1234`."""
        return f"{value:.4g}" if self.is_error else f"{value:.2%}"

    def curve(self, qualities: tuple[float, ...]) -> list[float]:
        """Returns the values of the metric that belong to a curve of qualities."""
        return [-quality if self.is_error else quality for quality in qualities]


def measure_of(labels: str, units: int) -> Measure:
    """Returns what networks are compared by for labels of a kind.

    Args:
        labels: `"classes"`, `"multi_label"` or `"regression"`.
        units: Number of classes, labels or numbers.
    """
    if labels == "regression":
        return Measure("mean_absolute_error", "error", is_error=True)
    # `training.objective` calls it so where an example has several labels.
    several = labels == "multi_label" and units > 1
    return Measure("binary_accuracy" if several else "accuracy", "accuracy")
