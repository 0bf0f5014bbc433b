"""From a row of layers to a functional model: input, body, head, weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from keras_residual import _checks
from keras_residual.layers.composite import checked_activation, checked_data_format
from keras_residual.layers.strides import Strides
from keras_residual.models import _requirements
from keras_residual.models.flat import flat_view
from keras_residual.models.inputs import (
    check_size,
    check_takes_images,
    checked_name,
    checked_policy,
    network_inputs,
    rank_of,
    source_of_inputs,
)


@dataclass(frozen=True)
class Skip:
    """An addition over several layers.

    Attributes:
        source: Name of the layer whose input is added.
        name: Name of the addition.
        shortcut: Layer through which that input goes first, `None` for none.
        is_output: Whether the sum is what the network puts out, in the dtype of its variables.
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
        features: Position in `layers` of each multi-scale output, by its name (`"C2"`, …).
        strides: The factor by which the whole body reduces the spatial sizes, one for all axes or
            one for each.
        skips: Additions over several layers, by the name of the layer to whose output they add.
        stem_strides: The factor by which the stem with its pooling does.
    """

    layers: list[keras.layers.Layer]
    features: dict[str, int]
    strides: Strides
    skips: dict[str, tuple[Skip, ...]] = field(default_factory=dict)
    stem_strides: Strides = 1


KINDS = ("classifier", "super_resolution")


@dataclass(frozen=True)
class Variant:
    """A named network: an architecture and what it was published for.

    Attributes:
        name: Name of the factory function.
        architecture: The family's options; `architecture.body(dtype, data_format)` makes a `Body`.
        input_shape: Published input shape, channels last.
        classes: Published number of classes, `None` for a network that puts out images.
        paper: Address of the paper.
        kind: What the network is for: one of `KINDS`.
        aliases: Other names that `get_model` knows, each with the options in which it differs.
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
    """What a model puts on its body, keras.applications' arguments."""

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
            # Probabilities of a thousand classes need more digits than half precision has.
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
    """Splits `options` into those of the architecture and those of every model."""
    fields = architecture_type.__dataclass_fields__
    common = ("features", "include_preprocessing", "dtype", "data_format", "flat")
    for option in options:
        _checks.known("architecture option", option, [*fields, *common])
    return (
        {key: value for key, value in options.items() if key in fields},
        {key: value for key, value in options.items() if key in common},
    )


def layers_of(architecture, top: Top, rank: int, dtype=None, data_format=None, default=None):
    """Returns body, checked top and head layers of a network over `rank` spatial axes.

    Options in which the architecture differs from `default` must have an effect.
    """
    policy = checked_policy(dtype)
    data_format = checked_data_format(data_format)
    body = architecture.body(policy, data_format)
    if default is not None:
        _requirements.check(architecture, body, default)
    regularizer = getattr(architecture, "kernel_regularizer", None)
    top = replace(top.checked(body), kernel_regularizer=regularizer)
    return body, top, [] if top.features else top.layers(rank, policy, data_format)


def assemble(
    architecture,
    top: Top,
    *,
    weights=None,
    input_tensor=None,
    input_shape=None,
    default_shape,
    name: str,
    variant: Variant | None = None,
    default=None,
    include_preprocessing=False,
    dtype=None,
    data_format=None,
    flat: bool = False,
) -> keras.Model:
    """Builds the functional model and loads its weights.

    Options in which the architecture differs from `default` must have an effect.
    """
    checked_name(name)
    if _checks.boolean("flat", flat):
        architecture, default = _unrolled(architecture), default and _unrolled(default)
    data_format = checked_data_format(data_format)
    shapes = (input_shape, default_shape, top.include_top, data_format)
    inputs = network_inputs(architecture, input_tensor, *shapes)
    rank = rank_of(architecture, inputs.shape)
    body, top, head = layers_of(architecture, top, rank, dtype, data_format, default)
    check_size(inputs.shape, body.strides, data_format)
    outputs, inputs_of = [inputs], {}
    scaling = checked_scaling(include_preprocessing)
    if scaling is not False:
        check_takes_images(architecture, include_preprocessing)
        outputs = [_normalization(scaling, weights, variant, dtype, data_format, inputs)(inputs)]
    for layer in [*body.layers, *head]:
        inputs_of[layer.name] = outputs[-1]
        outputs.append(layer(outputs[-1]))
        for skip in body.skips.get(layer.name, ()):
            skipped = inputs_of[skip.source]
            if skip.shortcut is not None:
                skipped = skip.shortcut(skipped)
            outputs[-1] = _addition(skip, dtype)([outputs[-1], skipped])
    result = outputs[-1]
    if top.features:
        result = {key: outputs[body.features[key] + 1] for key in top.features}
    model = keras.Model(source_of_inputs(inputs), result, name=name)
    if weights is not None:
        from keras_residual.weights import load_for_factory

        load_for_factory(model, weights, variant, scaling_given=not isinstance(scaling, bool))
    return flat_view(model) if flat else model


def assemble_any(architecture_type, sizes, top, options, **arguments) -> keras.Model:
    """Builds a network of any size from what its builder was called with.

    Args:
        architecture_type: The dataclass of the family's options.
        sizes: Options that the builder names itself.
        top: Its `include_top`, `pooling`, `classes` and `classifier_activation`.
        options: Its `**architecture_options`.
        **arguments: Of `assemble`.
    """
    chosen, common = split_options(architecture_type, options)
    top = Top(*top, common.pop("features", False))
    default = architecture_type()
    return assemble(
        architecture_type(**sizes, **chosen), top, default=default, **arguments, **common
    )


def _unrolled(architecture):
    """Returns an architecture whose blocks are layers, or raises if it asks for something else."""
    rematerialize = getattr(architecture, "rematerialize", False)
    _checks.effective("rematerialize", rematerialize, False, False, "flat=False", flat=True)
    execution = getattr(architecture, "execution", "unrolled")
    if execution == "scanned":
        raise ValueError(
            'A flat network needs `execution="unrolled"`: the blocks of a scanned stage are no '
            f"layers. Received: flat=True, execution={execution!r}"
        )
    return replace(architecture, execution="unrolled") if execution == "auto" else architecture


def checked_scaling(include_preprocessing):
    """Returns `include_preprocessing` as a bool or a `weights.Preprocessing`, or raises."""
    if isinstance(include_preprocessing, bool):
        return include_preprocessing
    from keras_residual.weights import checked_inclusion

    return checked_inclusion(include_preprocessing)


def options_of_weights(weights, variant: Variant) -> dict[str, object]:
    """Returns the architecture options that published weights ask for."""
    if weights is None:
        return {}
    from keras_residual.weights import options_for_factory

    return options_for_factory(weights, variant)


def _addition(skip, dtype):
    policy = checked_policy(dtype)
    return keras.layers.Add(
        name=skip.name, dtype=policy.variable_dtype if skip.is_output else policy
    )


def _normalization(scaling, weights, variant, dtype, data_format, inputs):
    """Returns the layer that scales images with values 0…255 as named, or as the weights expect."""
    from keras_residual.weights import preprocessing_for_factory

    channels = inputs.shape[1] if data_format == "channels_first" else inputs.shape[-1]
    if scaling is True:
        scaling = preprocessing_for_factory(weights, variant)
    preprocessing = scaling.with_channels(channels)
    return preprocessing.layer(
        data_format=data_format, dtype=checked_policy(dtype), name="preprocessing"
    )
