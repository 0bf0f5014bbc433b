"""Flattens composite layers: every convolution, normalization and sum becomes a layer."""

import itertools
import weakref

import keras

from keras_residual.layers.composite import CompositeLayer, SpatialLayer
from keras_residual.layers.convolution import Convolution
from keras_residual.layers.stochastic_depth import StochasticDepth
from keras_residual.layers.sublayers import attributes_of

# The network whose variables a flat one shares: weights loaded into one are in both.
_ORIGINALS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def remember_original(flat: keras.Model, model: keras.Model) -> None:
    """Records that a flat network shares the variables of a model."""
    _ORIGINALS[flat] = model


def original_of(model: keras.Model) -> keras.Model:
    """Returns the network that a flat one was made from, or the model itself."""
    return _ORIGINALS.get(model, model)


def call_opened(layer, x, name: str, operations: bool = False, **arguments):
    """Returns `layer(x)` for a Keras tensor, replacing a composite layer by its sublayers.

    The new layers share the variables of the old ones. They are named after their position, as in
    `stage2_block3_conv1`; see `CompositeLayer.part_name`.

    Args:
        layer: A built layer.
        x: A Keras tensor.
        name: Name of the layer, or the beginning of the names of its parts.
        operations: Whether pooling, blurs and the like are replaced by their operations too.
        **arguments: Arguments of the call; those that are `None` are left out.

    Raises:
        ValueError: If the layer loops over stacked weights and has no sublayers.
    """
    arguments = {key: value for key, value in arguments.items() if value is not None}
    if isinstance(layer, CompositeLayer):
        outputs = _call_parts(layer, x, name, operations, arguments)
        if attributes_of(layer) or operations or outputs is x:
            return outputs
    if isinstance(layer, StochasticDepth) and layer.rate == 0:
        return x
    if operations and isinstance(layer, SpatialLayer) and not isinstance(layer, Convolution):
        return type(layer).call(layer, x)
    return call_sharing(layer, name, x, **arguments)


def call_sharing(layer, name: str, *inputs, **arguments):
    """Returns the output of a copy of a layer under another name that shares its variables."""
    copy = type(layer).from_config({**layer.get_config(), "name": name})
    own = {variable.name: variable for variable in layer.weights}
    trainable = layer.trainable
    # Only a trainable layer shows which of its variables can be trained.
    layer.trainable = copy.trainable = True
    # Not by attribute assignment, which Keras would track.
    vars(copy)["add_weight"] = lambda *_, name=None, **__: own[name]
    try:
        return copy(*inputs, **arguments)
    finally:
        del vars(copy)["add_weight"]
        layer.trainable = copy.trainable = trainable


class _Part:
    """Stands in for a sublayer while its owner's `call` is traced."""

    def __init__(self, layer, name, operations):
        self.layer, self.name, self.operations = layer, name, operations

    def __getattr__(self, name):
        return getattr(self.layer, name)

    def __call__(self, x, **arguments):
        return call_opened(self.layer, x, self.name, self.operations, **arguments)


def _call_parts(layer, x, name, operations, arguments):
    layer.check_opens()
    policy = layer.dtype_policy
    if keras.backend.standardize_dtype(x.dtype) != layer.compute_dtype:
        x = keras.layers.Activation("linear", dtype=policy, name=f"{name}_cast")(x)
    # A copy runs the layer's own `call` with substitutes; the layer itself is unchanged.
    reader = object.__new__(type(layer))
    vars(reader).update(vars(layer))
    for attribute, value in attributes_of(layer).items():
        part = layer.part_name(value)
        vars(reader)[attribute] = _Part(value, f"{name}_{part}" if part else name, operations)
    joins, sums = itertools.count(1), itertools.count(1)

    def activate(x):
        if getattr(layer, "prelu", None) is not None:
            return reader.prelu(x)
        if layer.activation in (None, keras.activations.linear):
            return x
        title = f"{name}_activation"
        return keras.layers.Activation(layer.activation, dtype=policy, name=title)(x)

    def add(x, y):
        number = next(sums)
        title = f"{name}_add" if number == 1 else f"{name}_add{number}"
        return keras.layers.Add(dtype=policy, name=title)([x, y])

    def join(*tensors):
        if len(tensors) == 1:
            return tensors[0]
        title, axis = f"{name}_concat{next(joins)}", layer.channel_axis
        return keras.layers.Concatenate(axis, dtype=policy, name=title)(tensors)

    vars(reader).update(activate=activate, add=add, joined=join, rematerialize=False)
    return type(layer).call(reader, x, **arguments)
