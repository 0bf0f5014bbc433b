"""Every model by its name: builders of any size, and named networks with their factories."""

import fnmatch
import functools
import re
from collections.abc import Callable
from typing import Any

import keras

from keras_residual import _checks
from keras_residual._docstrings import completed
from keras_residual.models.assembly import KINDS, Variant
from keras_residual.models.image_architecture import ConvolutionalArchitecture, ImageArchitecture

VARIANTS: dict[str, Variant] = {}
FACTORIES: dict[str, Callable[..., keras.Model]] = {}
# Builders of networks of any size, which `get_model` does not make.
BUILDERS: dict[str, Callable[..., keras.Model]] = {}
# The task of each of them, as in `keras-residual list --task`.
BUILDER_TASKS: dict[str, str] = {}
# Where every builder and factory is an attribute, so that pickle finds it.
PACKAGE = "keras_residual.models"


def builder(function=None, *, task: str = "classification"):
    """Registers a function or class that builds networks of any size; a decorator.

    Its docstring may refer to `ImageArchitecture` or `ConvolutionalArchitecture` for the arguments
    that networks share.

    Args:
        function: The function or class.
        task: The task of its networks, such as `"translation"`.
    """
    if function is None:
        return functools.partial(builder, task=task)
    shared = {"ConvolutionalArchitecture": ConvolutionalArchitecture.__doc__}
    shared["ImageArchitecture"] = completed(ImageArchitecture.__doc__, shared)
    function.__doc__ = completed(function.__doc__, shared)
    BUILDERS[function.__name__] = function
    BUILDER_TASKS[function.__name__] = task
    return function


def register(variant: Variant, build: Callable[..., keras.Model], documentation: str):
    """Registers `build` as the public factory of a variant and returns it."""
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
        ValueError: If `pattern` is not a string, or `kind` is unknown.

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
    """Returns a name in lower case, with underscores between digits only, for comparisons."""
    return re.sub(r"(?<!\d)_|_(?!\d)", "", name.lower())


def find(name: str) -> tuple[Variant, dict[str, object]]:
    """Returns the variant of a name, and the options that the name implies.

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
