"""What the spaces have in common: knobs, budget, and training by a recipe."""

import abc
import dataclasses
import functools
import json
import math
import tempfile
from collections.abc import Mapping, Sequence

import keras
import keras_tuner

from keras_residual import _checks, data, training
from keras_residual.training import Recipe, recipes
from keras_residual.tuning.budget import Budget, Spent
from keras_residual.tuning.knobs import Interval, turned
from keras_residual.tuning.latency import Latencies
from keras_residual.tuning.recipe_knobs import recipe_knobs, recipe_of
from keras_residual.tuning.shrinking import smallest

# Tan et al., 2019, section 3.1: doubling the cost must pay by 5 % more accuracy.
_TRADEOFF = -0.07


class HyperNetwork(keras_tuner.HyperModel, abc.ABC):
    """A space of networks around a published one, each with a recipe to train it.

    A subclass says which knobs its architecture has, and what follows from their values: the
    network's options, its cost, and the network.

    Args:
        input_shape: Shape of one example.
        classes: Positive integer, number of classes.
        knobs: The knobs of the architecture, parents first.
        recipe: Name of the recipe in `training.recipes`, or a `Recipe`, that training is searched
            around.
        budget: A `Budget`.
        settings: What the user says of the knobs, see `turned`.

    Raises:
        EmptySpaceError: If no network of the space fits into the budget.
    """

    sizes: tuple[str, ...] = ()
    """Knobs of which less is cheaper, without the number of the stage."""

    widths: tuple[str, ...] = ()
    """Those among them that a narrower network has smaller, all alike."""

    quantization = "int8"
    """How its networks are quantized where they are timed."""

    def __init__(self, input_shape, classes, knobs, recipe, budget: Budget, settings: Mapping):
        super().__init__(name=type(self).__name__)
        self.input_shape, self.classes = tuple(input_shape), _checks.integer("classes", classes)
        if not isinstance(recipe, Recipe):
            recipe = recipes[_checks.known("recipe", recipe, recipes)]
        self.base_recipe, self.budget = recipe, budget
        self.tradeoff: tuple[str, ...] = ()
        self.latencies = Latencies(quantization=self.quantization)
        every = [*knobs, *recipe_knobs(recipe, self.augmentations())]
        self.architecture_knobs = [knob.name for knob in knobs]
        self.knobs, self.defaults = turned(every, settings)
        self._spent = functools.lru_cache(maxsize=4096)(self._counted)
        smallest(self)

    def augmentations(self) -> tuple[str, ...]:
        """Returns the augmentations to choose from, the recipe's beside them."""
        return ()

    @abc.abstractmethod
    def options(self, values: Mapping) -> dict:
        """Returns the options of the network as JSON knows them."""

    @abc.abstractmethod
    def count(self, options: dict) -> Spent:
        """Returns what a network costs, by arithmetic.

        Raises:
            ValueError: If there is no such network.
        """

    @abc.abstractmethod
    def network(self, options: dict) -> keras.Model:
        """Returns the network."""

    def values(self, hp: keras_tuner.HyperParameters | Mapping) -> dict:
        """Returns the value of every knob, also of those that are fixed, left out or inactive."""
        given = hp.values if isinstance(hp, keras_tuner.HyperParameters) else hp
        chosen = {
            knob.name: knob.nearest(given[knob.name]) for knob in self.knobs if knob.name in given
        }
        return {**self.defaults, **chosen}

    def recipe(self, values: Mapping) -> Recipe:
        """Returns the recipe that belongs to the values of all knobs."""
        return recipe_of(self.base_recipe, values)

    def objection(
        self, hp: keras_tuner.HyperParameters | Mapping, timed: bool = True
    ) -> str | None:
        """Returns why a point of the space is no candidate, or `None`.

        No weight is allocated, unless there is a bound on the latency and all others are kept.

        Args:
            hp: Hyperparameters, or the values of knobs.
            timed: Whether the latency counts.
        """
        try:
            options = json.dumps(self.options(self.values(hp)))
            reason = self.budget.objection(self._spent(options))
            if reason is None and timed and self.budget.max_latency_ms is not None:
                reason = self.budget.objection(self._timed(options))
        except ValueError as error:
            return str(error)
        return reason

    def share_of_budget(self, values: Mapping) -> float:
        """Returns how many times its budget a network costs; infinite if there is none."""
        try:
            spent = self._spent(json.dumps(self.options(self.values(values))))
        except ValueError:
            return math.inf
        return self.budget.share(spent)

    def spent(self, hp: keras_tuner.HyperParameters | Mapping) -> Spent:
        """Returns what a point of the space costs.

        Raises:
            ValueError: If there is no such network.
        """
        options = json.dumps(self.options(self.values(hp)))
        timed = self.budget.max_latency_ms is not None or "latency_ms" in self.tradeoff
        return self._timed(options) if timed else self._spent(options)

    def _timed(self, options: str) -> Spent:
        latency = self.latencies.of(options, lambda: self.network(json.loads(options)))
        return dataclasses.replace(self._spent(options), latency_ms=latency)

    def _counted(self, options: str) -> Spent:
        return self.count(json.loads(options))

    def active(self, values: Mapping) -> list[str]:
        """Returns the names of the knobs in `values` that mean something beside the others."""
        full = {**self.defaults, **values}
        return [knob.name for knob in self.knobs if knob.name in values and knob.matters(full)]

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares all knobs, so that no network must be built to find them."""
        for knob in self.knobs:
            knob.register(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Returns the compiled network.

        Raises:
            keras_tuner.errors.FailedTrialError: If there is no such network, or it exceeds the
                budget; then no weight has been allocated.
        """
        self.declare_hyperparameters(hp)
        # The latency counts on the machine that chose the point, which may be another.
        if reason := self.objection(hp, timed=False):
            raise keras_tuner.errors.FailedTrialError(reason)
        values = self.values(hp)
        model = self.network(self.options(values))
        self._compile(model, self.recipe(values), steps=1)
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        x,
        y=None,
        *,
        epochs: int | None = None,
        initial_epoch: int = 0,
        seed: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **options,
    ) -> dict[str, float]:
        """Trains the network by its recipe and returns the metrics of the last epoch.

        Args:
            x: Inputs, batches, or a `data.Dataset`, whose `test` split is only evaluated.
            y: Labels, if `x` are inputs.
            epochs: Number of epochs. Defaults to the recipe's.
            initial_epoch: The epochs that the model has behind it; the learning rate runs through
                its schedule in the others.
            seed: Decides order and augmentation of a dataset.
            callbacks: Callbacks.
            **options: As in `model.fit`, where `x` is no dataset.
        """
        recipe = self.recipe(self.values(hp))
        epochs = (recipe.epochs if epochs is None else epochs) - initial_epoch
        if isinstance(x, data.Dataset):
            made = {**recipe.batch_options(), "image_size": self.input_shape[:-1]}
            made["test_image_size"] = None
            with tempfile.TemporaryDirectory() as folder:
                history = training.fit(
                    model,
                    x.batches(seed=seed, **made),
                    recipe,
                    folder,
                    epochs=epochs,
                    checkpoint_seconds=math.inf,
                    callbacks=callbacks,
                    verbose=0,
                )
        else:
            if y is not None:
                options.setdefault("batch_size", recipe.batch_size)
            steps = len(x) if y is None else math.ceil(len(x) / options["batch_size"])
            self._compile(model, recipe, steps * max(1, epochs))
            history = model.fit(
                x, y, epochs=epochs, callbacks=callbacks, shuffle=y is not None, **options
            ).history
        metrics = {name: history[name][-1] for name in history if "accuracy" in name}
        metrics |= {name: history[name][-1] for name in history if "loss" in name}
        return {**metrics, "score": self._score(metrics, hp)}

    def _score(self, metrics, hp):
        """Accuracy, less what the network costs more than the default."""
        score = metrics.get("val_accuracy", metrics["accuracy"])
        if self.tradeoff:
            ours, default = self.spent(hp), self.spent({})
            for name in self.tradeoff:
                score *= (getattr(ours, name) / getattr(default, name)) ** _TRADEOFF
        return score

    def _compile(self, model, recipe, steps):
        loss = training.CrossEntropy(recipe.loss, recipe.label_smoothing, from_logits=False)
        model.compile(recipe.make_optimizer(steps), loss, metrics=["accuracy"])

    def description(self) -> dict:
        """Returns what identifies the space, as JSON knows it."""
        return {
            "kind": self.name,
            "builder": self.builder,
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "budget": dataclasses.asdict(self.budget),
            "defaults": self.defaults,
            "knobs": {
                knob.name: dataclasses.asdict(knob.choices)
                if isinstance(knob.choices, Interval)
                else list(knob.choices)
                for knob in self.knobs
            },
        }

    @property
    @abc.abstractmethod
    def builder(self) -> str:
        """The name of what builds the networks."""

    @abc.abstractmethod
    def in_words(self, options: dict) -> str:
        """Returns a network in a few words."""
