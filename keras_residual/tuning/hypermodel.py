"""The spaces as hypermodels of Keras Tuner: networks that are built and trained by a recipe."""

import abc
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_residual import analysis, data
from keras_residual._types import Tensor
from keras_residual.tuning import fitting
from keras_residual.tuning.budget import Cost
from keras_residual.tuning.shrinking import shrunk, smallest
from keras_residual.tuning.space import SearchSpace

# Tan et al., 2019, section 3.1: doubling the cost must raise the accuracy by 5 %.
_TRADEOFF = 0.07


class HyperNetwork(SearchSpace):
    """A space of networks that Keras Tuner builds and trains.

    Its arguments are those of `SearchSpace`.
    """

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares all knobs without building a network."""
        for knob in self.knobs:
            knob.register(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Returns the compiled network.

        A point over the budget, which Keras Tuner's own oracles may propose, is shrunk until it
        fits; `hp` is updated to the values of the network that is returned.
        """
        self.declare_hyperparameters(hp)
        # Latency is checked where the point is chosen, perhaps on another machine.
        if self.objection(hp, timed=False) is not None:
            hp.values.update(self._fitting(hp.values))
        values = self.values(hp)
        model = self.network(self.options(values))
        fitting.compile_by(model, self.recipe(values), 1, self.labels)
        return model

    def _fitting(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns values within the budget near those of a point outside it."""
        known = {knob.name for knob in self.knobs}
        values = {name: value for name, value in given.items() if name in known}
        values = {name: values[name] for name in self.active(values)}
        return shrunk(self, values, random.Random(0)) or self.values(smallest(self))

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        x: Tensor,
        y: Tensor | None = None,
        *,
        epochs: int | None = None,
        initial_epoch: int = 0,
        seed: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **options: Any,
    ) -> dict[str, float]:
        """Trains the network by its recipe and returns the metrics of the last epoch.

        A model that a subclass compiles in its `build` is trained as compiled; if its own layers
        make it exceed `max_parameters` or `max_macs`, the trial fails.

        Args:
            x: Inputs, batches, or a `data.Dataset`, whose `test` split is used for validation.
            y: Labels, if `x` are inputs.
            epochs: Number of epochs. Defaults to the recipe's.
            initial_epoch: Number of epochs that the model has been trained for; the learning rate
                follows its schedule over the remaining ones.
            seed: Determines order and augmentation of a dataset.
            callbacks: Callbacks.
            **options: Those of `model.fit`, if `x` is not a dataset.
        """
        if fitting.is_own_compilation(model):
            self._check_cost(model)
        recipe = self.recipe(self.values(hp))
        epochs = (recipe.epochs if epochs is None else epochs) - initial_epoch
        if isinstance(x, data.Dataset):
            size = self.input_shape[:-1]
            history = fitting.fit_dataset(
                model, recipe, x, size, epochs, seed, callbacks, self.labels
            )
        else:
            options = {"labels": self.labels, **options}
            history = fitting.fit(model, recipe, x, y, epochs, callbacks, **options)
        metrics = {name: values[-1] for name, values in history.items()}
        if self.measure.value(metrics) is not None:
            metrics["score"] = self._score(metrics, hp)
        return metrics

    def _check_cost(self, model):
        """Checks a subclass's network, whose own head is unknown where a point is chosen.

        Raises:
            FailedTrialError: If it has more parameters or operations than the budget allows.
        """
        weights = sum(math.prod(variable.shape) for variable in model.trainable_variables)
        macs = analysis.cost(model).macs if self.budget.max_macs is not None else 0
        if reason := self.budget.objection(Cost(weights, macs)):
            raise keras_tuner.errors.FailedTrialError(
                f"The network as {type(self).__name__}.build returns it is over budget: {reason}."
            )

    def quality(self, logs: Mapping[str, float]) -> float | None:
        """Returns the quality of a network from the logs of an epoch; larger is better.

        `None` if the logs lack the metric, as when a subclass compiles the model with others.
        """
        return self.measure.quality(logs)

    def _score(self, metrics, hp):
        """Returns the metric, penalized by the cost relative to that of the default."""
        factor = 1.0
        if self.tradeoff:
            ours, default = self.cost(hp), self.cost({})
            for name in self.tradeoff:
                factor *= (getattr(ours, name) / getattr(default, name)) ** _TRADEOFF
        return self.measure.score(self.measure.value(metrics), factor)

    @abc.abstractmethod
    def in_words(self, options: dict[str, Any]) -> str:
        """Describes a network in a few words."""
