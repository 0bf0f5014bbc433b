"""The parts of a model: its body, its head, and the variant that names an architecture."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from keras_residual import _checks
from keras_residual.layers.composite import checked_activation
from keras_residual.layers.strides import Strides


@dataclass(frozen=True)
class Skip:
    """A skip connection over several layers.

    Attributes:
        source: Name of the layer whose input is added.
        name: Name of the addition.
        shortcut: Layer applied to that input first, `None` for none.
        is_output: Whether the sum is the output of the network, in the dtype of its variables.
    """

    source: str
    name: str = "skip"
    shortcut: keras.layers.Layer | None = None
    is_output: bool = False


@dataclass(frozen=True)
class Body:
    """The layers of a network in order, without its head.

    Attributes:
        layers: Unbuilt layers, each applied to the output of the one before.
        features: Index in `layers` of each multi-scale output, by its name (`"C2"`, …).
        strides: The factor by which the whole body reduces the spatial sizes, one for all axes or
            one for each.
        skips: Skip connections over several layers, by the name of the layer to whose output they
            are added.
        stem_strides: The factor by which the stem with its pooling reduces them.
    """

    layers: list[keras.layers.Layer]
    features: dict[str, int]
    strides: Strides
    skips: dict[str, tuple[Skip, ...]] = field(default_factory=dict)
    stem_strides: Strides = 1


KINDS = ("classifier", "super_resolution")


@dataclass(frozen=True)
class Variant:
    """A named network: an architecture with its published input shape and number of classes.

    Attributes:
        name: Name of the factory function.
        architecture: The family's options; `architecture.body(dtype, data_format)` makes a `Body`.
        input_shape: Published input shape, channels last.
        classes: Published number of classes, `None` for a network that outputs images.
        paper: Address of the paper.
        kind: What the network is for: one of `KINDS`.
        aliases: Other names that `get_model` accepts, each with the options in which it differs.
    """

    name: str
    architecture: object
    input_shape: tuple[int | None, ...]
    classes: int | None
    paper: str
    kind: str = "classifier"
    aliases: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def default_name(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Top:
    """The head of a model, by keras.applications' arguments."""

    include_top: bool = True
    pooling: str | None = None
    classes: int = 1000
    classifier_activation: object = "softmax"
    features: bool | tuple[str, ...] = field(default=False)
    kernel_regularizer: object = None

    def checked(self, body: Body) -> "Top":
        """Returns itself with `features` as a tuple of names, or raises a ValueError."""
        _checks.boolean("include_top", self.include_top)
        _checks.choice("pooling", self.pooling, (None, "avg", "max"))
        classes = _checks.integer("classes", self.classes)
        checked_activation(self.classifier_activation, "classifier_activation")
        names = self.features
        if isinstance(names, bool):
            names = tuple(name for name in body.features if name != "C1") if names else ()
        known = isinstance(names, (tuple, list)) and all(name in [*body.features] for name in names)
        if not known:
            raise ValueError(
                f"`features` must be True, False or a tuple of {tuple(body.features)}. "
                f"Received: features={self.features!r}"
            )
        if names and self.pooling is not None:
            raise ValueError(
                "`pooling` has no effect on `features`, which are not pooled. "
                f"Received: pooling={self.pooling!r}, features={self.features!r}"
            )
        return replace(self, classes=classes, features=tuple(names))

    def layers(self, rank: int, policy, data_format: str) -> list[keras.layers.Layer]:
        """Returns the layers of the head for `rank` spatial axes."""
        pooling = "avg" if self.include_top else self.pooling
        if pooling is None:
            return []
        kind = {"avg": "Average", "max": "Max"}[pooling]
        pool_class = getattr(keras.layers, f"Global{kind}Pooling{rank}D")
        head = [pool_class(data_format=data_format, dtype=policy, name="pool")]
        if self.include_top:
            # Probabilities of a thousand classes need more precision than 16 bits.
            mixed = policy.compute_dtype != policy.variable_dtype
            head.append(
                keras.layers.Dense(
                    self.classes,
                    activation=self.classifier_activation,
                    kernel_regularizer=self.kernel_regularizer,
                    dtype=policy.variable_dtype if mixed else policy,
                    name="classifier",
                )
            )
        return head


def split_options(
    architecture_type, options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits `options` into those of the architecture and those that all models have."""
    fields = architecture_type.__dataclass_fields__
    common = ("features", "include_preprocessing", "dtype", "data_format", "flat")
    for option in options:
        _checks.known("architecture option", option, [*fields, *common])
    return (
        {key: value for key, value in options.items() if key in fields},
        {key: value for key, value in options.items() if key in common},
    )
