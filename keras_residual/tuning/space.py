"""Base of the search spaces: knobs, a budget, and the cost of each point."""

import abc
import copy
import dataclasses
import functools
import inspect
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import keras_tuner

from keras_residual import _checks
from keras_residual._docstrings import completed
from keras_residual.training import Recipe, find_recipe
from keras_residual.tuning.accepted import check_value
from keras_residual.tuning.budget import Budget, Cost
from keras_residual.tuning.knobs import Interval, Knob, free, narrowed
from keras_residual.tuning.latency import Latencies
from keras_residual.tuning.measure import LABELS, measure_of
from keras_residual.tuning.recipe_knobs import checked_recipe, recipe_knobs, recipe_of
from keras_residual.tuning.shrinking import smallest


def _signature_of(space):
    """Returns a space's signature with the keyword arguments that its constructor passes on."""
    bases = space.__mro__[: space.__mro__.index(SearchSpace) + 1]
    constructor, *others = [vars(base)["__init__"] for base in bases if "__init__" in vars(base)]
    _, *parameters = inspect.signature(constructor).parameters.values()
    found = {parameter.name: parameter for parameter in parameters}
    passes_on = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    for inherited in others if passes_on else ():
        for parameter in inspect.signature(inherited).parameters.values():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                found.setdefault(parameter.name, parameter)
    return inspect.Signature(sorted(found.values(), key=lambda parameter: parameter.kind))


class SearchSpace(keras_tuner.HyperModel, abc.ABC):
    """A space of networks around a published one, each with a recipe to train it.

    A subclass gives the shape of one example, the number of classes and the knobs of its
    architecture, parents first, and computes from the values of the knobs the network's options,
    its cost, and the network. The constructors of all subclasses have in common:

    Args:
        classes: Positive integer, number of classes.
        recipe: A `training.Recipe` or the name of one, which training is searched around. Defaults
            to `"quick"`.
        max_parameters: The most trainable parameters.
        max_macs: The most multiply–accumulates for one input.
        max_file_size: The most bytes of the full-integer LiteRT file, by an estimate.
        max_latency_ms: The most milliseconds for one input, measured on this machine with the
            LiteRT interpreter, int8, one thread. A network is not measured if its multiply–
            accumulates would take more than three times as long in every network measured so far
            of at least a quarter of its size.
        labels: Kind of the labels: `"classes"`; `"multi_label"`, of which an example may have
            several, with a sigmoid for each of `classes`; or `"regression"`, of `classes` numbers.
        **knobs: What to fix, narrow or leave out.

    Raises:
        ValueError: If a knob is unknown or takes no such value.
        EmptySpaceError: If no network of the space fits into the budget.
    """

    sizes: tuple[str, ...] = ()
    """Knobs that reduce the cost when lowered, without the number of the stage."""

    widths: tuple[str, ...] = ()
    """Those of them that are lowered together to make a network narrower."""

    quantization = "int8"
    """Quantization of the networks when their latency is measured."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__doc__ = completed(cls.__doc__, {"SearchSpace": SearchSpace.__doc__})
        cls.__signature__ = _signature_of(cls)

    def __init__(
        self,
        input_shape: Sequence[int | None],
        classes: int,
        architecture: Sequence[Knob],
        /,
        recipe: Recipe | str = "quick",
        *,
        max_parameters: int | None = None,
        max_macs: int | None = None,
        max_file_size: int | None = None,
        max_latency_ms: float | None = None,
        labels: str = "classes",
        **knobs: Any,
    ):
        super().__init__(name=type(self).__name__)
        self.input_shape, self.classes = tuple(input_shape), _checks.integer("classes", classes)
        self.labels = _checks.choice("labels", labels, LABELS)
        self.measure = measure_of(labels, self.classes)
        recipe = checked_recipe(find_recipe(recipe), labels)
        self.base_recipe = recipe
        self.budget = Budget(max_parameters, max_macs, max_file_size, max_latency_ms)
        self.standardization: tuple[list[float], list[float]] | None = None
        self.tradeoff: tuple[str, ...] = ()
        self.latencies = Latencies(quantization=self.quantization)
        every = [*architecture, *recipe_knobs(recipe, self.augmentations(), labels)]
        self.architecture_knobs = [knob.name for knob in architecture]
        settled = narrowed(every, knobs)
        self._check_settings(every, settled, knobs)
        settled = self.possible(settled, set(knobs))
        self.knobs, self.defaults = free(settled), {knob.name: knob.default for knob in settled}
        self._counted_cost = functools.lru_cache(maxsize=4096)(self._counted)
        smallest(self)

    def _check_settings(self, original: list[Knob], knobs: list[Knob], names) -> None:
        """Checks each value that a user gives a knob, one by one."""
        defaults = {knob.name: knob.default for knob in original}
        for before, knob in zip(original, knobs, strict=True):
            if knob.name not in names:
                continue
            is_interval = isinstance(knob.choices, Interval)
            ends = (knob.choices.low, knob.choices.high) if is_interval else knob.choices
            condition = {knob.parent: knob.parent_values[0]} if knob.parent else {}
            for value in ends:
                check_value(before, value)
                try:
                    self.check_option(knob.name, value)
                    self.recipe({**defaults, **condition, knob.name: value})
                except ValueError as error:
                    raise ValueError(
                        f"`{knob.name}` takes no such value. Received: {knob.name}={value!r}. "
                        f"{error}"
                    ) from error

    def check_option(self, name: str, value: object) -> None:
        """Checks the value of an option that is a knob only because the user named it.

        Raises:
            ValueError: If the value is invalid for every network.
        """

    def possible(self, knobs: list[Knob], given: set[str]) -> list[Knob]:
        """Returns the knobs without the values that no network of the space can have.

        Args:
            knobs: All knobs, as the user has fixed and narrowed them.
            given: Names of those that the user has.

        Raises:
            ValueError: If the user gives such a value.
        """
        return knobs

    def augmentations(self) -> tuple[str, ...]:
        """Returns the augmentations to choose from, in addition to the recipe's."""
        return ()

    @abc.abstractmethod
    def options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the network's options as JSON values."""

    @abc.abstractmethod
    def count(self, options: dict[str, Any]) -> Cost:
        """Returns the cost of a network, counted without training it.

        Raises:
            ValueError: If the options are invalid.
        """

    @abc.abstractmethod
    def network(self, options: dict[str, Any]) -> keras.Model:
        """Returns the network."""

    def prepared(self, **attributes: Any) -> Self:
        """Returns a copy with some attributes replaced, for one search.

        Args:
            **attributes: Some of `tradeoff`, `latencies` and `standardization`.
        """
        prepared = copy.copy(self)
        for name, value in attributes.items():
            setattr(prepared, name, value)
        return prepared

    def check_values(self, values: Mapping[str, Any]) -> None:
        """Checks that values read from a file are a point of the space.

        Raises:
            ValueError: If a knob is missing or unknown, or has an invalid value.
        """
        knobs = {knob.name: knob for knob in self.knobs}
        for name, value in values.items():
            if name not in knobs:
                raise ValueError(f"{name} is not a knob of the space")
            knobs[name].check(value)
        full = {**self.defaults, **values}
        for knob in self.knobs:
            if knob.name not in values and knob.matters(full):
                raise ValueError(f"{knob.name} is missing")

    def values(self, hp: keras_tuner.HyperParameters | Mapping[str, Any]) -> dict[str, Any]:
        """Returns the value of every knob, including those that are fixed, omitted or inactive."""
        given = hp.values if isinstance(hp, keras_tuner.HyperParameters) else hp
        chosen = {
            knob.name: knob.nearest(given[knob.name]) for knob in self.knobs if knob.name in given
        }
        return {**self.defaults, **chosen}

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        """Returns the recipe that belongs to the values of all knobs."""
        return recipe_of(self.base_recipe, values)

    def objection(
        self, hp: keras_tuner.HyperParameters | Mapping[str, Any], timed: bool = True
    ) -> str | None:
        """Returns why a point of the space is rejected, or `None`.

        No weights are allocated, unless the latency is bounded and all other bounds are met.

        Args:
            hp: Hyperparameters, or the values of knobs.
            timed: Whether to check the latency.
        """
        try:
            options = json.dumps(self.options(self.values(hp)))
            reason = self.budget.objection(self._counted_cost(options))
            if reason is None and timed and self.budget.max_latency_ms is not None:
                seen = self.latencies.foreseen(options, lambda key: self._counted_cost(key).macs)
                reason = self.budget.hopeless(seen) or self.budget.objection(self._timed(options))
        except ValueError as error:
            return str(error)
        return reason

    def share_of_budget(self, values: Mapping[str, Any]) -> float:
        """Returns the largest ratio of a cost to its bound; infinite for an invalid network."""
        try:
            cost = self._counted_cost(json.dumps(self.options(self.values(values))))
        except ValueError:
            return math.inf
        return self.budget.share(cost)

    def cost(self, hp: keras_tuner.HyperParameters | Mapping[str, Any], timed: bool = True) -> Cost:
        """Returns the cost of a point of the space.

        Args:
            hp: Hyperparameters, or the values of knobs.
            timed: Whether to measure the latency where the search needs it.

        Raises:
            ValueError: If there is no such network.
        """
        options = json.dumps(self.options(self.values(hp)))
        counts = self.budget.max_latency_ms is not None or "latency_ms" in self.tradeoff
        return self._timed(options) if timed and counts else self._counted_cost(options)

    def _timed(self, options: str) -> Cost:
        latency = self.latencies.of(options, lambda: self.network(json.loads(options)))
        return dataclasses.replace(self._counted_cost(options), latency_ms=latency)

    def _counted(self, options: str) -> Cost:
        return self.count(json.loads(options))

    def active(self, values: Mapping[str, Any]) -> list[str]:
        """Returns the names of the active knobs in `values`."""
        full = {**self.defaults, **values}
        return [knob.name for knob in self.knobs if knob.name in values and knob.matters(full)]

    def description(self) -> dict[str, Any]:
        """Returns what identifies the space, as JSON values."""
        return {
            "kind": self.name,
            "builder": self.builder,
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            **({} if self.labels == "classes" else {"labels": self.labels}),
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
        """Name of the factory that builds the networks."""
