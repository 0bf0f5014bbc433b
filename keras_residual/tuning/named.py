"""Spaces around a network that `list_models()` names: its options are the defaults."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from keras_residual import _checks
from keras_residual.analysis import cost
from keras_residual.models import get_model
from keras_residual.models.for_dataset import ACTIVATIONS, standardized
from keras_residual.models.inputs import checked_input_shape
from keras_residual.models.registry import VARIANTS, find_variant
from keras_residual.training import Recipe
from keras_residual.tuning.budget import Cost
from keras_residual.tuning.exclusions import as_arguments, without_excluded
from keras_residual.tuning.file_size import int8_file_size
from keras_residual.tuning.hypermodel import HyperNetwork
from keras_residual.tuning.knobs import Knob

_PLAIN = (bool, int, float, str)
_FEWEST_HIDDEN = 4


def multiples(middle: int) -> tuple[int, ...]:
    """Returns widths from a quarter to the double of `middle`, in steps that double at most."""
    factors = (1 / 4, 3 / 8, 1 / 2, 3 / 4, 1, 3 / 2, 2)
    return tuple(sorted({max(1, round(middle * factor)) for factor in factors}))


def resnet_in_words(options: dict[str, Any]) -> str:
    """Returns a residual network in a few words, such as `basic 3-3-3 of 16-32-64, conv3, pad`."""
    depths, widths = ("-".join(map(str, options[name])) for name in ("depths", "widths"))
    block = options.get("block", "basic")
    if options.get("cardinality", 1) > 1:
        block += f" {options['cardinality']}x{options['base_width']}d"
    extras = [options.get("stem"), options.get("shortcut"), options.get("activation_order")]
    if options.get("se_ratio"):
        extras.append("SE")
    return ", ".join([f"{block} {depths} of {widths}", *filter(None, extras)])


def block_convolutions(options: dict[str, Any]) -> int:
    """Returns the number of convolutions in the stages of a residual network."""
    block = len(options.get("kernel_sizes", (3, 3))) if options.get("block") != "bottleneck" else 3
    block += 2 if options.get("se_ratio") else 0
    projections = 0 if options.get("shortcut") in ("pad", "none") else len(options["depths"])
    return sum(options["depths"]) * block + projections


class NamedHyperNetwork(HyperNetwork):
    """A space of networks that differ from a named one in some of its options."""

    quick_to_count: ClassVar[dict[str, Any]] = {}
    """Options that only make counting faster: fewer layers are built, of equal cost."""

    family: type[Any]
    """The dataclass of the options of all networks that `base` may name."""

    interdependent: ClassVar[tuple[str, ...]] = ()
    """Knobs with values that other options of `base` may exclude."""

    default_base: str
    """Name of the network to start from unless `base` names another."""

    dimensions = 2
    """Number of spatial axes that they were published for."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        parameters = [
            parameter.replace(default=cls.default_base, annotation=str)
            if parameter.name == "base" and parameter.default is None
            else parameter
            for parameter in cls.__signature__.parameters.values()
        ]
        cls.__signature__ = cls.__signature__.replace(parameters=parameters)

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        base: str | None = None,
        recipe: Recipe | str = "quick",
        **knobs: Any,
    ):
        base = self.default_base if base is None else base
        family = [name for name, row in VARIANTS.items() if self._is_of_family(row)]
        self.base_name = find_variant(_checks.known("base", _known_name(base), family)).name
        self.base = VARIANTS[self.base_name].architecture
        self.input_shape = _known_sizes(input_shape)
        architecture = self.architecture(self.base)
        settings = self._for_each_stage(knobs, architecture)
        further = self._further(settings, architecture)
        self._further_names = {knob.name for knob in further}
        architecture += further
        super().__init__(self.input_shape, classes, architecture, recipe, **settings)

    def _is_of_family(self, variant):
        fits = len(variant.input_shape) == self.dimensions + 1
        return fits and type(variant.architecture) is self.family

    def check_option(self, name: str, value: object) -> None:
        if name in self._further_names:
            cost(self.base_name, classes=self.classes, **self.counted_as({name: value}))

    def possible(self, knobs: list[Knob], given: set[str]) -> list[Knob]:
        names = {*self.interdependent, *self._further_names}
        return without_excluded(self, knobs, given & names)

    @abc.abstractmethod
    def architecture(self, base: Any) -> list[Knob]:
        """Returns the knobs of the architecture, with the options of `base` as defaults."""

    def augmentations(self) -> tuple[str, ...]:
        return ("none",) if self.input_shape[-1] == 1 else ("none", "cifar_cutout")

    def choice(self, name: str, default: Any, *others: Any, **condition: Any) -> Knob:
        """Returns a knob of the values `others` and the default."""
        choices = tuple(dict.fromkeys((*others, default)))
        if not isinstance(default, str):
            choices = tuple(sorted(choices))
        return Knob(name, choices, default, **condition)

    def stage_knobs(
        self,
        name: str,
        stages: Sequence[int],
        defaults: Sequence[int],
        choices: Sequence[int] | None = None,
    ) -> list[Knob]:
        """Returns one knob a stage, of which those of later stages depend on their number."""
        knobs = []
        for stage in range(1, max(stages) + 1):
            growth = 2 if name == "width" else 1
            missing = max(0, stage - len(defaults))
            default = defaults[min(stage, len(defaults)) - 1] * growth**missing
            values = tuple(sorted({*(choices or multiples(default)), default}))
            condition = {}
            if stage > min(stages):
                with_it = tuple(count for count in stages if count >= stage)
                condition = {"parent": "stages", "parent_values": with_it}
            knobs.append(Knob(f"{name}{stage}", values, default, **condition))
        return knobs

    def of_stages(self, name: str, values: Mapping[str, Any]) -> tuple[int, ...]:
        """Returns the values of a knob that each stage has."""
        return tuple(values[f"{name}{stage}"] for stage in range(1, values["stages"] + 1))

    def chosen_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of `base` with those that are knobs replaced."""
        fields = [field.name for field in dataclasses.fields(self.family)]
        options = {name: values[name] for name in fields if name in values}
        if options.get("se_ratio") and not self.base.se_ratio:
            # A gate of one hidden unit dies easily, and LiteRT runs no int8 tensor that is all 0.
            options.setdefault("se_divisor", _FEWEST_HIDDEN)
        return options

    def count(self, options: dict[str, Any]) -> Cost:
        strides = self.strides(options)
        if min(self.input_shape[:-1]) < strides:
            raise ValueError(
                f"The network reduces its input by {strides}, more than the sides of "
                f"{self.input_shape} have."
            )
        counted = cost(
            self.base_name,
            input_shape=self.input_shape,
            classes=self.classes,
            **self.counted_as(options),
        )
        rank = len(self.input_shape) - 1
        size = int8_file_size(counted, self.convolutions(options), rank)
        return Cost(counted.trainable_parameters, counted.macs, size)

    def counted_as(self, options: dict[str, Any]) -> dict[str, Any]:
        """Returns the options of a network of equal cost that is built faster."""
        # Reversible blocks compute their gradients from block to block.
        reversible = options.get("reversible", getattr(self.base, "reversible", False))
        return {**({} if reversible else self.quick_to_count), **options}

    def convolutions(self, options: dict[str, Any]) -> int:
        """Returns the number of convolutions and dense layers."""
        stem = {"none": 0, "deep": 3, "tiered": 3}.get(options["stem"], 1)
        return stem + 1

    def strides(self, options: dict[str, Any]) -> int:
        """Returns the factor by which the network reduces its input."""
        if options["stem"] in ("conv3", "none"):
            return 1
        return 4 if options.get("stem_pool", self.base.stem_pool) else 2

    @property
    def builder(self) -> str:
        return self.base_name

    def network(self, options: dict[str, Any]) -> keras.Model:
        if self.standardization is None:
            inputs = {"input_shape": self.input_shape}
        else:
            inputs = {"input_tensor": standardized(self.input_shape, *self.standardization)}
        if self.labels in ACTIVATIONS:
            inputs["classifier_activation"] = ACTIVATIONS[self.labels]
        return get_model(self.base_name, classes=self.classes, **inputs, **as_arguments(options))

    def _for_each_stage(self, knobs, architecture):
        """Applies settings of `depth` and `width` to every stage that has none of its own."""
        settings = dict(knobs)
        for name in ("depth", "width"):
            if name in settings:
                setting = settings.pop(name)
                of_stages = [knob.name for knob in architecture if knob.name.rstrip("1234") == name]
                settings = {**dict.fromkeys(of_stages, setting), **settings}
        return settings

    def _further(self, settings, architecture):
        """Returns knobs for other options of the family that the user names."""
        known = {knob.name for knob in architecture}
        knobs = []
        for field in dataclasses.fields(self.family):
            default = getattr(self.base, field.name)
            if field.name in settings and field.name not in known and isinstance(default, _PLAIN):
                knobs.append(Knob(field.name, (default,), default))
        return knobs


def _known_sizes(input_shape):
    shape = checked_input_shape(input_shape, "channels_last")
    if None in shape:
        raise ValueError(
            "`input_shape` must name every size, so that costs are known. "
            f"Received: input_shape={input_shape!r}"
        )
    return shape


def _known_name(name):
    try:
        return find_variant(name).name
    except ValueError:
        return name
