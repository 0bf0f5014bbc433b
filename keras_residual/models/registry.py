"""Every named model: its variant and its factory."""

import fnmatch
from collections.abc import Callable
from dataclasses import replace

import keras

from keras_residual import _checks
from keras_residual.models.assembly import (
    Top,
    Variant,
    assemble,
    options_of_weights,
    split_options,
)

VARIANTS: dict[str, Variant] = {}
FACTORIES: dict[str, Callable[..., keras.Model]] = {}
UNSIZED = (
    "ResNet",
    "DenseNet",
    "GNMT",
    "ResidualLSTMClassifier",
    "ResidualLSTMTagger",
    "ResidualLSTMSegmentClassifier",
)

_DOCSTRING = """{summary}

Args:
    include_top: Whether to end with average pooling and a classifier. Defaults to `True`.
    weights: `None` for a random initialization (the default), `"imagenet"` or `"cifar10"` where
        such weights are known, a path, a URL, or `"hf://owner/name"`. Options that published
        weights ask for, such as keras.applications' biases, become the defaults.
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
    A `keras.Model` from images to class probabilities, or to what `include_top=False` and
    `features=True` leave.

Raises:
    ValueError: If an argument is out of range or unknown, or has no effect beside the others.

Reference:
    - {paper}
"""


def factory(variant: Variant, family: str, summary: str) -> Callable[..., keras.Model]:
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

    build.__name__ = build.__qualname__ = variant.name
    build.__module__ = type(variant.architecture).__module__
    build.__doc__ = _DOCSTRING.format(
        summary=summary,
        family=family,
        default_name=variant.default_name,
        input_shape=variant.input_shape,
        classes=variant.classes,
        paper=variant.paper,
    )
    VARIANTS[variant.name] = variant
    FACTORIES[variant.name] = build
    return build


def list_models(pattern: str = "*") -> list[str]:
    """Returns the names of all models that match a shell pattern, in order of definition.

    Args:
        pattern: Pattern with `*` and `?`; case does not matter. Defaults to all.

    Example:

    >>> list_models("resnext50*")
    ['ResNeXt50_32x4d']
    """
    if not isinstance(pattern, str):
        raise ValueError(f"`pattern` must be a string. Received: pattern={pattern!r}")
    return [name for name in FACTORIES if fnmatch.fnmatchcase(name.lower(), pattern.lower())]


def find_variant(name: str) -> Variant:
    """Returns the variant of a model name in any case, or raises naming the nearest ones."""
    by_lower = {known.lower(): known for known in VARIANTS}
    if isinstance(name, str) and name.lower() in by_lower:
        return VARIANTS[by_lower[name.lower()]]
    for function in UNSIZED:
        if isinstance(name, str) and name.lower() == function.lower():
            raise ValueError(
                f"{function} has no published size: call `keras_residual.{function}` with yours. "
                f"Received: name={name!r}"
            )
    return VARIANTS[_checks.known("model", name, VARIANTS)]


def get_model(name: str, **arguments) -> keras.Model:
    """Returns the model of that name.

    Args:
        name: Name of a factory, as `list_models` gives them; case does not matter.
        **arguments: Arguments of the factory.

    Raises:
        ValueError: If the name is unknown; the message names the nearest ones. Functions without a
            published size, such as `ResNet` and `GNMT`, are called by themselves.
    """
    return FACTORIES[find_variant(name).name](**arguments)
