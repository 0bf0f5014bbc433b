"""Builds models: factories of named networks, builders with options, and what both call.

Both kinds of functions have keras.applications' arguments, which `Factory` lists once.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

import keras

from keras_residual import _checks
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers.composite import checked_data_format
from keras_residual.models import _requirements
from keras_residual.models._twins import twin_of
from keras_residual.models.assembly import Top, Variant, split_options
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
from keras_residual.models.published import checked_scaling, normalization, options_of_weights
from keras_residual.models.registry import VARIANTS, register
from keras_residual.models.rows import Row, documentation


class Factory(Protocol):
    """The signature of a named classifier, keras.applications' own."""

    def __call__(
        self,
        include_top: bool = True,
        weights: object = None,
        input_tensor: Tensor | None = None,
        input_shape: Shape | None = None,
        pooling: str | None = None,
        classes: int = ...,
        classifier_activation: Identifier | None = "softmax",
        name: str = ...,
        **architecture_options: Any,
    ) -> keras.Model: ...


def classifier(
    architecture: type[Any], *, input_shape: tuple[int | None, ...], classes: int
) -> Callable[[Callable[..., Any]], Callable[..., keras.Model]]:
    """Turns a function that returns an architecture into a builder of classifiers; a decorator.

    The builder takes the function's arguments, then those of `Factory`. By default a model has the
    function's name in lower case.

    Args:
        architecture: The dataclass of the family's options.
        input_shape: Default input shape, channels last.
        classes: Default number of classes.
    """
    default = architecture()

    def decorate(function):
        *own, _ = inspect.signature(function).parameters.values()

        def build(architecture_options, **arguments):
            chosen = {parameter.name: arguments.pop(parameter.name) for parameter in own}
            options, common = split_options(architecture, architecture_options)
            return _classifier(
                function(**chosen, **options),
                **arguments,
                **common,
                default_shape=input_shape,
                default=default,
            )

        signature = _signature(function.__name__.lower(), classes, own)
        return called_with(signature, build, function)

    return decorate


def factories(
    table: Iterable[Row],
    architecture: type[Any],
    family: str,
    input_shape: tuple[Any, ...],
    classes: int,
) -> dict[str, Callable[..., keras.Model]]:
    """Registers a table of classifiers and returns their factories by name.

    Args:
        table: The rows.
        architecture: The dataclass of the family's options.
        family: Name of the builder that documents these options.
        input_shape: Published input shape, channels last.
        classes: Published number of classes.
    """
    made = {}
    for item in table:
        variant = Variant(
            item.name,
            architecture(**item.options),
            input_shape,
            classes,
            item.paper,
            aliases=item.aliases,
        )
        made[item.name] = _factory(variant, family, item.summary)
    return made


def _factory(variant: Variant, family: str, summary: str) -> Callable[..., keras.Model]:
    """Registers a variant and returns its factory."""

    def build(architecture_options, weights, **arguments):
        options, common = split_options(type(variant.architecture), architecture_options)
        default = replace(variant.architecture, **options_of_weights(weights, variant))
        try:
            return _classifier(
                replace(default, **options),
                weights=weights,
                **arguments,
                **common,
                default_shape=variant.input_shape,
                variant=variant,
                default=default,
            )
        except ValueError as error:
            twin = twin_of(variant, getattr(error, "options", {}), VARIANTS.values())
            if twin is None:
                raise
            raise type(error)(f"{error}: {twin} is such a network") from error

    signature = _signature(variant.default_name, variant.classes)
    return register(variant, called_with(signature, build), documentation(variant, family, summary))


def _classifier(
    architecture,
    include_top,
    pooling,
    classes,
    classifier_activation,
    features=False,
    **arguments,
):
    """Returns the model of an architecture; further arguments are those of `assemble`."""
    top = Top(include_top, pooling, classes, classifier_activation, features)
    return assemble(architecture, top, **arguments)


def layers_of(architecture, top: Top, rank: int, dtype=None, data_format=None, default=None):
    """Returns body, checked top and head layers of a network over `rank` spatial axes.

    Raises if an option in which the architecture differs from `default` has no effect.
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

    Raises if an option in which the architecture differs from `default` has no effect.
    """
    checked_name(name)
    if _checks.boolean("flat", flat):
        architecture = _unrolled(architecture, default)
        default = default and _unrolled(default, default)
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
        outputs = [normalization(scaling, weights, variant, dtype, data_format, inputs)(inputs)]
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


def _unrolled(architecture, default):
    """Returns an architecture with unrolled stages, or raises if its options rule that out.

    Rows of RevNets rematerialize by themselves; flat, they do not, and nobody asked for it.
    """
    given, usual = (getattr(one, "rematerialize", False) for one in (architecture, default))
    _checks.effective("rematerialize", given and not usual, False, False, "flat=False", flat=True)
    execution = getattr(architecture, "execution", "unrolled")
    if execution == "scanned":
        raise ValueError(
            'A flat network needs `execution="unrolled"`: the blocks of a scanned stage are not '
            f"layers. Received: flat=True, execution={execution!r}"
        )
    return replace(architecture, execution="unrolled") if execution == "auto" else architecture


def _addition(skip, dtype):
    policy = checked_policy(dtype)
    return keras.layers.Add(
        name=skip.name, dtype=policy.variable_dtype if skip.is_output else policy
    )


def _signature(name, classes, own=()):
    """Returns `Factory`'s signature with these defaults, after the arguments of a builder."""
    defaults = {"name": name, "classes": classes}
    _, *shared = inspect.signature(Factory.__call__).parameters.values()
    shared = [item.replace(default=defaults.get(item.name, item.default)) for item in shared]
    return inspect.Signature([*own, *shared], return_annotation=keras.Model)


def called_with(signature, build, like=None):
    """Returns a function with that signature that calls `build` with every argument by name.

    Its name and documentation are those of the function `like`.
    """

    def called(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        return build(**given.arguments)

    functools.update_wrapper(called, build if like is None else like)
    # Whoever follows it, such as mkdocstrings, would find a function that nobody can import.
    del called.__wrapped__
    called.__signature__ = signature
    called.__annotations__ = {
        **{item.name: item.annotation for item in signature.parameters.values()},
        "return": signature.return_annotation,
    }
    return called
