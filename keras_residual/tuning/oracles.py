"""Search algorithms that respect a budget: those of Keras Tuner, and evolution."""

import itertools
import random
import warnings

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import TrialStatus

from keras_residual.tuning.budgeted_oracle import PARENT, BudgetedOracle
from keras_residual.tuning.combinations import combinations
from keras_residual.tuning.lineage import may_inherit
from keras_residual.tuning.shrinking import is_one_of
from keras_residual.tuning.tried import of_space

# Share of the changes with which a network cannot inherit that are trained from scratch.
_FROM_SCRATCH = 0.25


class RandomSearchOracle(BudgetedOracle, keras_tuner.oracles.RandomSearchOracle):
    """Random search; points over the budget are replaced."""

    ends_by_chance = True


class HyperbandOracle(BudgetedOracle, keras_tuner.oracles.HyperbandOracle):
    """Hyperband; points over the budget are replaced."""

    def __init__(self, *args, max_trials=None, **options):
        super().__init__(*args, **options)
        self.max_trials = max_trials

    def check_state(self, state):
        rounds = {bracket["bracket_num"]: len(bracket["rounds"]) for bracket in state["brackets"]}
        numbers = range(self._get_num_brackets())
        known = {*rounds, state["current_bracket"]} <= set(numbers)
        if not known or any(count != number + 1 for number, count in rounds.items()):
            raise ValueError("its brackets do not match those of the algorithm")


class BayesianOptimizationOracle(BudgetedOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimization; a point over the budget is replaced by the nearest of 16 that fit."""

    candidates, ends_by_chance = 16, True

    def populate_space(self, trial_id):
        # Keras Tuner's generator carries its state from point to point and loses it in a restart.
        self._random_state = np.random.RandomState((self.seed + len(self.trials)) % 2**32)
        # With few trials, fitting the Gaussian process often hits the bounds of its kernel.
        with warnings.catch_warnings(action="ignore"):
            return super().populate_space(trial_id)

    def replacement(self, values):
        drawn = [point for _ in range(self.candidates) if (point := self.feasible_draw())]
        return min(drawn, key=lambda point: self._distance(point, values), default=None)

    def _distance(self, ours, theirs):
        total = 0.0
        for hp in self.hyperparameters.space:
            if hp.name in ours and hp.name in theirs:
                total += (hp.value_to_prob(ours[hp.name]) - hp.value_to_prob(theirs[hp.name])) ** 2
            elif hp.name in ours or hp.name in theirs:
                total += 1.0
        return total


class _DrawingOracle(keras_tuner.Oracle):
    """A base oracle that proposes whatever `draw` returns."""

    def populate_space(self, trial_id):
        return {"status": TrialStatus.RUNNING, "values": self.draw()}


class EvolutionOracle(BudgetedOracle, _DrawingOracle):
    """Evolution: each new point is one of the best so far with one or two values changed.

    The search starts with the default point, followed by `random_starts` points with a random
    recipe: in a few trials a good recipe gains more than a network of another size, and the default
    network is within the budget and quick to train. Every second one has other options of the
    network as well, such as the pooling of an LSTM. After that, the parent of a point is
    the best of a random half of the last `population` trials; older trials die out, so that one
    lucky result does not dominate the search.

    Args:
        inherit: Whether a trial records its parent, so that it can inherit the parent's weights.
            Most changes that cannot keep the parent's function are then replaced by others, as a
            network trained from scratch rarely catches up with those that inherit.
        *args, **options: Those of `BudgetedOracle`.

    Reference:
        - [Real et al., 2019](https://arxiv.org/abs/1802.01548).
    """

    population, random_starts = 24, 4

    def __init__(self, *args, inherit: bool = False, **options):
        super().__init__(*args, **options)
        self.inherit, self._last_parent = inherit, None
        if self.max_trials is not None:
            self.random_starts = min(self.random_starts, self.max_trials // 5)

    def lineage(self):
        inherits = self.inherit and self._last_parent is not None
        return {PARENT: self._last_parent.trial_id} if inherits else {}

    def random_point(self):
        self._last_parent = None
        return super().random_point()

    def draw(self):
        if 0 < len(self.trials) <= self.random_starts:
            return self._random_start(same_network=len(self.trials) % 2 == 1)
        while True:
            self.draws += 1
            order = random.Random(f"{self.seed} {self.draws}")
            self._last_parent = parent = self._parent(order)
            best = self.first_point() if parent is None else of_space(parent.hyperparameters.values)
            child = self._changed(best, order)
            inherits = self.inherit and parent is not None
            if not inherits or may_inherit(self.hypermodel, best, child):
                return child
            if order.random() < _FROM_SCRATCH:
                return child

    def _random_start(self, same_network):
        """Returns the first point with another recipe, and with other options of the same size
        unless the network is to be the same; a random point if there is nothing to change."""
        point, kept = self.random_point(), set(self.hypermodel.architecture_knobs)
        if not same_network:
            knobs, sizes = self.hypermodel.knobs, self.hypermodel.sizes
            kept &= {knob.name for knob in knobs if is_one_of(sizes, knob)}
        drawn = {name: value for name, value in point.items() if name not in kept}
        if not drawn:
            return point
        # A damaged first trial has no values.
        first = self.trials[self.start_order[0]].hyperparameters.values or self.first_point()
        values = {**{name: first[name] for name in kept & set(first)}, **drawn}
        return {name: values[name] for name in self.hypermodel.active(values)}

    def _changed(self, values, order):
        """Returns a point with one or two values changed."""
        values = {**{knob.name: knob.default for knob in self.hypermodel.knobs}, **values}
        active = set(self.hypermodel.active(values))
        knobs = [knob for knob in self.hypermodel.knobs if knob.name in active]
        for knob in order.sample(knobs, min(len(knobs), order.choice((1, 2)))):
            values[knob.name] = knob.near(values[knob.name], order)
        return {name: values[name] for name in self.hypermodel.active(values)}

    def _parent(self, order):
        trials = [self.trials[trial_id] for trial_id in self.end_order]
        completed = [trial for trial in trials if trial.status == TrialStatus.COMPLETED]
        population = completed[-self.population :]
        if not population:
            return None
        candidates = order.sample(population, (len(population) + 1) // 2)
        best = max if self.objective.direction == "max" else min
        return best(candidates, key=lambda trial: trial.score)


class GridSearchOracle(BudgetedOracle, keras_tuner.oracles.GridSearchOracle):
    """Grid search, defaults first; points over the budget are skipped."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.position, self._left = 0, None

    def populate_space(self, trial_id):
        if self._left is None:
            every = combinations(self.hyperparameters.space)
            self._left = itertools.islice(every, self.position, None)
        for values in self._left:
            self.position += 1
            if self.hypermodel.objection(values) is None:
                return {"status": TrialStatus.RUNNING, "values": values}
            self.rejected += 1
        return {"status": TrialStatus.STOPPED, "values": None}

    def get_state(self):
        return {**super().get_state(), "position": self.position}

    def set_state(self, state):
        self.position, self._left = state["position"], None
        super().set_state(state)
