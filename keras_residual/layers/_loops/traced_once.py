"""One trace for equal blocks: a compiled step calls the function of the first with each's weights.

Tracing takes most of the time before the first step of a deep network on TensorFlow, which inlines
the calls, so that the steps are those of blocks that were traced one by one. On JAX nearly all of
that time goes into XLA's compilation, which a shared trace does not shorten.
"""

import types
from typing import Any

import keras

from keras_residual.layers.registration import PACKAGE
from keras_residual.layers.sublayers import sublayers_of

# What differs between equal layers, methods that Keras wraps among it.
_OWN = ("name", "seed", "build", "quantize")
_SETTINGS = (bool, int, float, str, types.FunctionType)
# Fewer blocks are traced as fast one by one: those of ResNet-50 faster.
_LEAST = 6


def shares_trace(layers: list[Any]) -> bool:
    """Returns whether `call_traced_once` can compute these layers in a training step.

    That is while TensorFlow traces a function for one device, if the layers are of one class, train
    and freeze the same parts and have weights of the same shapes and types. Classes of others are
    left alone, since their `call` may do more than compute.
    """
    ours = keras.saving.get_registered_name(type(layers[0])).startswith(f"{PACKAGE}>")
    return ours and len(layers) >= _LEAST and _is_traced() and len(set(map(_form, layers))) == 1


def call_traced_once(layers: list[Any], x):
    """Applies layers of the same form one after the other in training."""
    import tensorflow as tf

    # Given variables, so that reading and assigning them is traced once too. In 16 bits those to
    # cast are given as tensors, none of which is assigned.
    @tf.function(autograph=False)
    def block(x, trainable, other):
        values = [[tf.convert_to_tensor(each) for each in part] for part in (trainable, other)]
        x, updated = layers[0].stateless_call(*values, x, training=True)
        for variable, value in zip(other, updated, strict=True):
            if isinstance(variable, tf.Variable):
                variable.assign(value)
        return x

    for layer in layers:
        variables = layer.trainable_variables, layer.non_trainable_variables
        x = block(x, *([each.value for each in part] for part in variables))
    return x


def _is_traced() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.inside_function() and not tf.distribute.has_strategy()


def _form(layer):
    """Returns what layers have in common that compute the same with other weights."""
    variables = [(tuple(each.shape), each.dtype, each.trainable) for each in layer.variables]
    return *variables, _parts(layer)


def _parts(layer):
    """Returns the classes and settings of a layer and of all layers in it.

    Settings count as they are now: somebody may have changed those of one block.
    """
    settings = {
        (name, value)
        for name, value in vars(layer).items()
        if not name.startswith("_")
        and name not in _OWN
        and (value is None or isinstance(value, _SETTINGS))
    }
    policy = layer.dtype_policy.name
    return (
        type(layer),
        layer.trainable,
        policy,
        frozenset(settings),
        *map(_parts, sublayers_of(layer)),
    )
