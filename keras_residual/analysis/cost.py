"""Parameters, multiply–accumulates and activation memory, computed from shapes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from keras_residual import _checks
from keras_residual._randomness import random_state_kept
from keras_residual.analysis._graph import layer_calls
from keras_residual.analysis._leaf_costs import leaf_cost
from keras_residual.layers.composite import CompositeLayer
from keras_residual.models.assembly import Top, split_options
from keras_residual.models.factories import layers_of
from keras_residual.models.inputs import rank_of, shape_of_inputs
from keras_residual.models.published import checked_scaling
from keras_residual.models.registry import find_variant


@dataclass(frozen=True)
class Cost:
    """The cost of a model.

    Attributes:
        parameters: Number of all weights, including normalization statistics.
        trainable_parameters: Number of trainable weights.
        macs: Multiply–accumulates of convolutions and dense layers for one sample.
        activation_bytes: Bytes of all layers' outputs (each convolution, normalization, pooling and
            dense layer) for one sample, which a training step stores without rematerialization.
    """

    parameters: int = 0
    trainable_parameters: int = 0
    macs: int = 0
    activation_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.parameters + other.parameters,
            self.trainable_parameters + other.trainable_parameters,
            self.macs + other.macs,
            self.activation_bytes + other.activation_bytes,
        )

    def __mul__(self, count: int) -> "Cost":
        return Cost(
            self.parameters * count,
            self.trainable_parameters * count,
            self.macs * count,
            self.activation_bytes * count,
        )


def cost(
    model_or_name: keras.Model | str,
    input_shape: Sequence[int | None] | None = None,
    **options: Any,
) -> Cost:
    """Returns the cost of a model, without running it.

    A name is counted from its architecture: no weight is allocated, so that every network answers
    in a fraction of a second.

    Args:
        model_or_name: A Keras model, or a name that `list_models()` gives.
        input_shape: Optional shape without batch. Defaults to the model's own, or the published
            one of a name; needed where the model's has `None` sizes.
        **options: With a name: arguments of its factory that change the network, such as
            `classes=10`.

    Returns:
        A `Cost`.

    Raises:
        ValueError: If the name or an option is unknown, or a spatial size is missing.

    Example:

    >>> cost("ResNet50").parameters
    25610152
    """
    with random_state_kept():
        if not isinstance(model_or_name, keras.Model):
            return _name_cost(model_or_name, input_shape, options)
        if options:
            _checks.known("argument of `cost` for a model", next(iter(options)), ["input_shape"])
        return _model_cost(model_or_name, input_shape)


def _name_cost(name, input_shape, options):
    variant = find_variant(name)
    top_names = ("include_top", "pooling", "classes", "classifier_activation", "features")
    top = {key: options.pop(key) for key in top_names if key in options}
    chosen, common = split_options(type(variant.architecture), options)
    # Scaling of pixels has no weights, and no multiply–accumulates that are counted.
    checked_scaling(common.pop("include_preprocessing", False))
    data_format = common.get("data_format") or keras.config.image_data_format()
    architecture = replace(variant.architecture, **chosen)
    shape = shape_of_inputs(architecture, input_shape, variant.input_shape, True, data_format)
    shape = (1, *_known_shape(shape))
    if variant.classes is None:
        top["include_top"] = False
        chosen["channels"] = shape[1 if data_format == "channels_first" else -1]
    reversible = chosen.get("reversible", getattr(variant.architecture, "reversible", False))
    if hasattr(variant.architecture, "execution") and not reversible:
        # The same numbers from one block in place of each of the equal ones.
        chosen.setdefault("execution", "scanned")
    architecture = replace(variant.architecture, **chosen)
    body, _, head = layers_of(
        architecture,
        Top(**{"classes": variant.classes or 1, **top}),
        rank_of(architecture, shape),
        default=variant.architecture,
        **common,
    )
    total, taken = Cost(), {}
    for layer in [*body.layers, *head]:
        taken[layer.name] = shape
        total += _layer_cost(layer, shape)
        shape = tuple(layer.compute_output_shape(shape))
        for skip in body.skips.get(layer.name, ()):
            if skip.shortcut is not None:
                total += _layer_cost(skip.shortcut, taken[skip.source])
            total += _output_cost(shape, layer)
    return total


def _model_cost(model, input_shape):
    if not model.built:
        raise ValueError(
            "`model_or_name` must be a built model. "
            f"Received: the unbuilt model {model.name!r}; call it on data first"
        )
    total = Cost()
    for layer, shape, outputs in layer_calls(model, input_shape):
        _known_shape(shape[1:], layer)
        counted = _layer_cost(layer, shape, outputs)
        total += Cost(0, 0, counted.macs, counted.activation_bytes)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return total + Cost(model.count_params(), trainable)


def _layer_cost(layer, input_shape, output_shape=None) -> Cost:
    if isinstance(layer, CompositeLayer):
        steps = layer.plan(input_shape)[0]
        return sum((_layer_cost(*step) for step in steps), Cost()) * layer.repeats
    output_shape = output_shape or tuple(layer.compute_output_shape(input_shape))
    leaf = leaf_cost(layer, input_shape, output_shape)
    counted = Cost(leaf.trainable + leaf.other, leaf.trainable, leaf.macs)
    return counted + _output_cost(output_shape, layer)


def _output_cost(shape, layer) -> Cost:
    size = math.prod(shape[1:]) if isinstance(shape, tuple) else 0
    return Cost(activation_bytes=size * _bytes_per_value(layer.compute_dtype))


def _bytes_per_value(dtype: str) -> int:
    return 2 if dtype in ("float16", "bfloat16") else 8 if dtype == "float64" else 4


def _known_shape(shape, layer=None):
    if any(size is None for size in shape):
        where = f" at layer {layer.name!r}" if layer is not None else ""
        raise ValueError(
            f"`input_shape` must name every size to count the cost{where}. "
            f"Received: input_shape={tuple(shape)}"
        )
    return shape
