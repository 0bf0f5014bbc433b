"""Learning curves of trials, and early stopping by the median rule."""

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from keras_residual.tuning.schema import finite

CURVE = "tuner/curve"
"""Key of the quality after an epoch, which workers report after each epoch."""
INHERITS = "tuner/inherits"
"""Key, in the same report, of whether the network started from inherited weights."""
STATE = {"values": [finite], "inherits": bool}
"""The schema of `Curves.state`."""
# Fewest trials to compare with, and the share of its epochs that a trial is given before.
_FEWEST, _GRACE = 3, 0.3


class Curves:
    """The quality of each trial after each of its epochs; larger is better.

    Args:
        epochs: Epochs of a trial, which is not stopped in its first 30 %; `None` to stop no trial.
    """

    def __init__(self, epochs: int | None = None):
        self.epochs = epochs
        self._of: dict[str, dict[str, Any]] = {}

    def of(self, trial_id: str) -> tuple[float, ...]:
        """Returns the curve of a trial, empty if it is unknown."""
        return tuple(self._of.get(trial_id, {}).get("values", ()))

    def add(self, trial_id: str, epoch: int, report: Mapping[str, float]) -> None:
        """Adds the quality after an epoch, counted from 0; a restarted trial loses its curve."""
        values = self._of.get(trial_id, {}).get("values", [])[:epoch]
        inherits = bool(report.get(INHERITS, False))
        self._of[trial_id] = {"values": [*values, float(report[CURVE])], "inherits": inherits}

    def is_hopeless(self, trial_id: str, completed: Iterable[str]) -> bool:
        """Returns whether a trial should be stopped by the median rule.

        It should if its best epoch so far is worse than the median, over the completed trials, of
        their mean up to the same epoch. Networks with inherited weights are compared only with
        each other, as their curves start higher.

        Args:
            trial_id: The trial.
            completed: The trials to compare with.

        Reference:
            - Golovin et al., 2017, Google Vizier: A Service for Black-Box Optimization.
        """
        ours = self._of[trial_id]
        epochs_seen = len(ours["values"])
        if self.epochs is None or epochs_seen < max(1, math.ceil(_GRACE * self.epochs)):
            return False
        others = [self._of[other] for other in completed if other in self._of]
        means = [
            statistics.fmean(other["values"][:epochs_seen])
            for other in others
            if other["inherits"] == ours["inherits"] and len(other["values"]) >= epochs_seen
        ]
        return len(means) >= _FEWEST and max(ours["values"]) < statistics.median(means)

    def state(self, trial_id: str) -> dict[str, Any] | None:
        """Returns a trial's curve as JSON values in the shape of `STATE`, or `None`."""
        return self._of.get(trial_id)

    def restore(self, states: Mapping[str, dict[str, Any]]) -> None:
        """Restores curves that `state` returned, of trials whose curve is unknown."""
        self._of = {**states, **self._of}
