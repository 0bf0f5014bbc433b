"""Every named model: its variant and its factory."""

import fnmatch
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras

from keras_residual import _checks
from keras_residual._docstrings import completed
from keras_residual.models._twins import twin_of
from keras_residual.models.assembly import (
    KINDS,
    Top,
    Variant,
    assemble,
    options_of_weights,
    split_options,
)
from keras_residual.models.image_architecture import ConvolutionalArchitecture, ImageArchitecture

VARIANTS: dict[str, Variant] = {}
FACTORIES: dict[str, Callable[..., keras.Model]] = {}
# Builders of networks of any size, which `get_model` does not make.
BUILDERS: dict[str, Callable[..., keras.Model]] = {}
# What each of them is for, as `keras-residual list --task` knows it.
BUILDER_TASKS: dict[str, str] = {}
# Where every builder and factory is an attribute, so that pickle finds it.
PACKAGE = "keras_residual.models"


class Factory(Protocol):
    """The signature of a named classifier, keras.applications' own."""

    def __call__(
        self,
        include_top: bool = True,
        weights: object = None,
        input_tensor: object = None,
        input_shape: tuple[int | None, ...] | None = None,
        pooling: str | None = None,
        classes: int = ...,
        classifier_activation: object = "softmax",
        name: str = ...,
        **architecture_options: object,
    ) -> keras.Model: ...


class UpscalerFactory(Protocol):
    """The signature of a named network for super-resolution."""

    def __call__(
        self,
        scale: int = ...,
        weights: object = None,
        input_tensor: object = None,
        input_shape: tuple[int | None, ...] | None = None,
        name: str = ...,
        **architecture_options: object,
    ) -> keras.Model: ...


@dataclass(frozen=True)
class Row:
    """One network of a family's table.

    Attributes:
        name: Name of the factory.
        paper: Address of the paper.
        summary: First sentence of its documentation.
        aliases: See `Variant`.
        options: Options of the family's architecture.
    """

    name: str
    paper: str
    summary: str
    aliases: Mapping[str, Mapping[str, object]]
    options: Mapping[str, object]


def row(name: str, paper: str, summary: str, *, aliases=(), **options) -> Row:
    """Returns a row; `aliases` are names, or a dict of names with the options they change."""
    if not isinstance(aliases, Mapping):
        aliases = {name: {} for name in ([aliases] if isinstance(aliases, str) else aliases)}
    return Row(name, paper, summary, dict(aliases), options)


def builder(function=None, *, task: str = "classification"):
    """Makes a function or class that builds networks of any size public; a decorator.

    Its documentation may leave what networks for images share to `ImageArchitecture`,
    and what convolutional ones share to `ConvolutionalArchitecture`.

    Args:
        function: The function or class.
        task: What its networks are for, such as `"translation"`.
    """
    if function is None:
        return functools.partial(builder, task=task)
    shared = {"ConvolutionalArchitecture": ConvolutionalArchitecture.__doc__}
    shared["ImageArchitecture"] = completed(ImageArchitecture.__doc__, shared)
    function.__doc__ = completed(function.__doc__, shared)
    BUILDERS[function.__name__] = function
    BUILDER_TASKS[function.__name__] = task
    return function


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


_DOCSTRING = """{summary}

Args:
    include_top: Whether to end with average pooling and a classifier. Defaults to `True`.
    weights: `None` for a random initialization (the default), `"imagenet"`, `"cifar10"` or
        `"kinetics400"` where such weights are known, a path, a URL, or `"hf://owner/name"`.
        Options that published weights ask for, such as keras.applications' biases, become the
        defaults.
    input_tensor: Optional Keras tensor to use as the input, computed from one `keras.Input` or
        several, which become the model's.
    input_shape: Optional shape without batch; sizes may be `None`. Defaults to `{input_shape}`,
        without sizes if `include_top=False`.
    pooling: What follows if `include_top=False`: `None`, `"avg"` or `"max"` over all positions;
        the top averages in any case, as in keras.applications. Defaults to `None`.
    classes: Positive integer, number of classes of the top. Defaults to `{classes}`.
    classifier_activation: Activation of the top; `None` for logits. Defaults to `"softmax"`.
    name: Name of the model. Defaults to `"{default_name}"`.
    **architecture_options: Any option of `{family}`, such as `features=True` or
        `dtype="mixed_bfloat16"`.

Returns:
    A `keras.Model` from its inputs to class probabilities, or to what `include_top=False` and
    `features=True` leave.

Raises:
    ValueError: If an argument is out of range or unknown, or has no effect beside the others.

Reference:
    - {paper}
"""


def _factory(variant: Variant, family: str, summary: str) -> Callable[..., keras.Model]:
    """Registers a variant and returns its factory, with keras.applications' signature."""

    def build(
        include_top=True,
        weights=None,
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes=variant.classes,
        classifier_activation="softmax",
        name=variant.default_name,
        **architecture_options,
    ):
        chosen, common = split_options(type(variant.architecture), architecture_options)
        features = common.pop("features", False)
        default = replace(variant.architecture, **options_of_weights(weights, variant))
        try:
            return assemble(
                replace(default, **chosen),
                Top(include_top, pooling, classes, classifier_activation, features),
                weights=weights,
                input_tensor=input_tensor,
                input_shape=input_shape,
                default_shape=variant.input_shape,
                name=name,
                variant=variant,
                default=default,
                **common,
            )
        except ValueError as error:
            twin = twin_of(variant, getattr(error, "options", {}), VARIANTS.values())
            if twin is None:
                raise
            raise type(error)(f"{error}: {twin} is such a network") from error

    documentation = _DOCSTRING.format(
        summary=summary,
        family=family,
        default_name=variant.default_name,
        input_shape=variant.input_shape,
        classes=variant.classes,
        paper=variant.paper,
    )
    return register(variant, build, documentation)


def register(variant: Variant, build: Callable[..., keras.Model], documentation: str):
    """Makes `build` the public factory of a variant and returns it."""
    build.__name__ = build.__qualname__ = variant.name
    build.__module__ = PACKAGE
    build.__doc__ = documentation
    VARIANTS[variant.name] = variant
    FACTORIES[variant.name] = build
    return build


def list_models(pattern: str = "*", kind: str | None = None) -> list[str]:
    """Returns the names of all models that match a shell pattern, in order of definition.

    Args:
        pattern: Pattern with `*` and `?`; case does not matter. Defaults to all.
        kind: `"classifier"` or `"super_resolution"`: only models of that kind. Defaults to `None`,
            all of them.

    Raises:
        ValueError: If `pattern` is no string, or `kind` is unknown.

    Example:

    >>> list_models("wideresnet*_2")
    ['WideResNet50_2', 'WideResNet101_2']
    """
    if not isinstance(pattern, str):
        raise ValueError(f"`pattern` must be a string. Received: pattern={pattern!r}")
    _checks.choice("kind", kind, (None, *KINDS))
    return [
        name
        for name, variant in VARIANTS.items()
        if fnmatch.fnmatchcase(name.lower(), pattern.lower()) and kind in (None, variant.kind)
    ]


def _key(name: str) -> str:
    """Returns a name without what spellings differ in: case, and underscores but between digits."""
    return re.sub(r"(?<!\d)_|_(?!\d)", "", name.lower())


def find(name: str) -> tuple[Variant, dict[str, object]]:
    """Returns the variant of a name and the options that the name changes.

    Case and underscores do not matter; names of other libraries are aliases.
    """
    for variant in VARIANTS.values() if isinstance(name, str) else ():
        if _key(name) == _key(variant.name):
            return variant, {}
        for alias, options in variant.aliases.items():
            if _key(name) == _key(alias):
                return variant, dict(options)
    for function in BUILDERS:
        if isinstance(name, str) and _key(name) == _key(function):
            raise ValueError(
                f"{function} has no published size: call `keras_residual.{function}` with yours. "
                f"Received: name={name!r}"
            )
    aliases = [alias for variant in VARIANTS.values() for alias in variant.aliases]
    return VARIANTS[_checks.known("model", name, [*VARIANTS, *aliases])], {}


def find_variant(name: str) -> Variant:
    """Returns the variant of a model name in any case, or raises naming the nearest ones."""
    return find(name)[0]


def get_model(name: str, **arguments: Any) -> keras.Model:
    """Returns the model of that name.

    Args:
        name: Name of a factory, as `list_models` gives them, or timm's or torchvision's name of
            the same network, such as `"resnetv2_50"`; case and underscores do not matter.
        **arguments: Arguments of the factory.

    Raises:
        ValueError: If the name is unknown; the message names the nearest ones. Functions without a
            published size, such as `ResNet` and `GNMT`, are called by themselves.

    Example:

    >>> get_model("resnet20", classes=7).output_shape
    (None, 7)
    """
    variant, options = find(name)
    return FACTORIES[variant.name](**{**options, **arguments})
