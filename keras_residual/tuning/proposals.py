"""How an oracle proposes new points within the budget."""

import itertools
import random
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import TrialStatus

from keras_residual.tuning.combinations import combinations
from keras_residual.tuning.shrinking import narrowed, shrunk, smallest
from keras_residual.tuning.tried import of_space

_DRAWS = 40
_SMALL_SPACE = 4096


class Proposals:
    """Mixin that keeps the proposals of a Keras Tuner oracle within the budget and new.

    It counts the random values drawn in `draws` and the points rejected in `rejected`.
    """

    ends_by_chance = False
    """Whether Keras Tuner's oracle stops after a few random draws that have all been tried."""

    def populate_space(self, trial_id):
        response = self._within_budget(super().populate_space(trial_id))
        if response["status"] == TrialStatus.RUNNING:
            response["values"] = {**response["values"], **self.lineage()}
        return response

    def lineage(self) -> dict[str, Any]:
        """Returns the values that record the parent of a new trial."""
        return {}

    def _within_budget(self, response):
        if response["status"] == TrialStatus.STOPPED and self.ends_by_chance:
            response = {"status": TrialStatus.RUNNING, "values": self.random_point()}
        if response["status"] != TrialStatus.RUNNING:
            return response
        values = response["values"]
        bookkeeping = {name: value for name, value in values.items() if name.startswith("tuner/")}
        if not self.trials:
            values = {**self.first_point(), **bookkeeping}
            return {"status": TrialStatus.RUNNING, "values": values}
        if self.hypermodel.objection(values) is not None:
            self.rejected += 1
        elif "tuner/trial_id" in values or of_space(values) not in self._tried:
            return response
        replacement = self.replacement(values)
        if replacement is None:
            return {"status": TrialStatus.STOPPED, "values": None}
        return {"status": TrialStatus.RUNNING, "values": {**replacement, **bookkeeping}}

    def first_point(self) -> dict[str, Any]:
        """Returns the default point, made narrower or otherwise smaller if it is over budget."""
        default = {knob.name: knob.default for knob in self.hypermodel.knobs}
        default = {name: default[name] for name in self.hypermodel.active(default)}
        if self.hypermodel.objection(default) is None:
            return default
        self.rejected += 1
        space = self.hypermodel
        return (
            narrowed(space, default)
            or shrunk(space, default, random.Random(self.seed))
            or self._smallest()
        )

    def replacement(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """Returns a point within the budget that replaces `values`, `None` if there is none."""
        return self.feasible_draw()

    def feasible_draw(self) -> dict[str, Any] | None:
        """Returns a random untried point within the budget, or `None` if none is found.

        A point over the budget is shrunk until it fits: the best networks are mostly those that
        use most of the budget.
        """
        tried = self._tried
        # The algorithm may draw only points already tried while others are left.
        for draw in (self.draw, self.random_point):
            for _ in range(_DRAWS):
                values = draw()
                if self.hypermodel.objection(values) is not None:
                    self.rejected += 1
                    order = random.Random(f"{self.seed} {self.draws}")
                    values = shrunk(self.hypermodel, values, order)
                if values is not None and values not in tried:
                    return values
        values = self._smallest()
        return self._first_left(tried) if values in tried else values

    def _first_left(self, tried):
        """Returns the first untried point of a small space, where draws may miss the last ones."""
        for values in itertools.islice(combinations(self.hyperparameters.space), _SMALL_SPACE):
            if values not in tried and self.hypermodel.objection(values) is None:
                return values
        return None

    def _smallest(self):
        values = self.hypermodel.values(smallest(self.hypermodel))
        return {name: values[name] for name in self.hypermodel.active(values)}

    def draw(self) -> dict[str, Any]:
        """Returns the point that the algorithm proposes next."""
        return self.random_point()

    def random_point(self) -> dict[str, Any]:
        """Returns random values of the active hyperparameters."""
        point = keras_tuner.HyperParameters()
        for hp in self.hyperparameters.space:
            point.merge([hp])
            if point.is_active(hp):
                self.draws += 1
                point.values[hp.name] = hp.random_sample(1_000_003 * self.seed + self.draws)
        return point.values
