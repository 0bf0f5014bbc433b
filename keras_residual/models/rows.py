"""The rows of a family's table, and the documentation of the factories made from them."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras_residual.models.assembly import Variant

_DOCSTRING = """{summary}

Args:
    include_top: Whether to end with average pooling and a classifier. Defaults to `True`.
    weights: `None` for a random initialization (the default), `"imagenet"`, `"cifar10"` or
        `"kinetics400"` where such weights are known, a path, a URL, or `"hf://owner/name"`.
        Options that published weights ask for, such as keras.applications' biases, become the
        defaults.
    input_tensor: Optional Keras tensor to use as the input, computed from one `keras.Input` or
        several, which become the model's inputs.
    input_shape: Optional shape without batch; sizes may be `None`. Defaults to `{input_shape}`,
        without sizes if `include_top=False`.
    pooling: Global pooling if `include_top=False`: `None`, `"avg"` or `"max"`; the top always uses
        average pooling, as in keras.applications. Defaults to `None`.
    classes: Positive integer, number of classes of the top. Defaults to `{classes}`.
    classifier_activation: Activation of the top; `None` for logits. Defaults to `"softmax"`.
    name: Name of the model. Defaults to `"{default_name}"`.
    **architecture_options: Any option of `{family}`, such as `features=True` or
        `dtype="mixed_bfloat16"`.

Returns:
    A `keras.Model` from its inputs to class probabilities, or to feature maps with
    `include_top=False` or `features=True`.

Raises:
    ValueError: If an argument is out of range or unknown, or has no effect beside the others.

Reference:
    - {paper}
"""


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


def documentation(variant: Variant, family: str, summary: str) -> str:
    """Returns the docstring of the factory of a variant.

    Args:
        variant: The variant.
        family: Name of the builder that documents the options.
        summary: First sentence.
    """
    return _DOCSTRING.format(
        summary=summary,
        family=family,
        default_name=variant.default_name,
        input_shape=variant.input_shape,
        classes=variant.classes,
        paper=variant.paper,
    )
