"""The points of a space that a search has tried."""

from collections.abc import Mapping
from typing import Any

from keras_tuner.engine.trial import TrialStatus

ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


def of_space(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a point without the bookkeeping that algorithms store with them."""
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}


class Tried:
    """The set of points that a search has tried, with lookup in constant time.

    Points of ended trials, which no longer change, are kept in a hash set.

    Args:
        oracle: The oracle of the search.

    Example:

    >>> {"units": 8} in Tried(oracle)  # doctest: +SKIP
    True
    """

    def __init__(self, oracle):
        self._oracle = oracle
        self._known, self._running = 0, []
        self._points = set()

    def __contains__(self, values: Mapping[str, Any]) -> bool:
        running = self._points_of_running()
        point = frozenset(values.items())
        return point in self._points or point in running

    def _points_of_running(self):
        """Adds newly ended trials to the set and returns the points of running ones."""
        order = self._oracle.start_order
        trials = [*self._running, *(self._oracle.trials[name] for name in order[self._known :])]
        self._known = len(order)
        self._running = [trial for trial in trials if trial.status not in ENDED]
        self._points.update(_point(trial) for trial in trials if trial.status in ENDED)
        return [_point(trial) for trial in self._running]


def _point(trial):
    return frozenset(of_space(trial.hyperparameters.values).items())
