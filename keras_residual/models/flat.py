"""Networks as flat functional models: a Keras layer for each convolution, normalization, sum."""

import inspect
from typing import Any

import keras

from keras_residual import _description
from keras_residual.layers.composite import CompositeLayer
from keras_residual.layers.opening import call_opened, call_sharing, remember_original
from keras_residual.layers.sublayers import sublayers_of


def flat_view(model: keras.Model) -> keras.Model:
    """Returns a flat network that computes the same function with the model's own variables.

    The stages, blocks and stems of this package are replaced by their sublayers: every convolution,
    normalization, activation, addition and concatenation is a layer of the model, named after its
    position, such as `stage2_block3_conv1`, `stage2_block3_conv1_norm`,
    `stage2_block3_conv1_activation`, `stage2_block3_add` and `stage2_block3_activation`. Loops over
    `model.layers`, `get_layer(...).output`, `plot_model`, `summary` and `clone_model` then work as
    with keras.applications. Every factory has the option `flat=True` for it.

    Training one trains the other, and `trainable` belongs to the shared variables. `weights.load`
    reads a file of either form into either; a saved flat model can be loaded by Keras.

    Args:
        model: A built functional or sequential model, a network of this package or one around it.

    Raises:
        ValueError: If `model` is not functional, or has a scanned stage, whose blocks are not
            layers; build it with `execution="unrolled"`.

    Example:

    >>> flat = flat_view(ResNet8(input_shape=(32, 32, 3)))
    >>> flat.get_layer("stage3_block1_add").output.shape
    (None, 8, 8, 64)
    >>> for layer in flat.layers:
    ...     if isinstance(layer, keras.layers.BatchNormalization):
    ...         layer.trainable = False
    """
    graph = isinstance(model, keras.Model) and getattr(model, "operations", None)
    if not graph or not getattr(model, "inputs", None):
        raise ValueError(
            "`model` must be a built functional or sequential model. "
            f"Received: model={model!r} of type {type(model).__name__}"
        )
    flat = opened(model)
    remember_original(flat, model)
    if (description := _description.described(model)) is not None:
        _description.describe(flat, description)
    return flat


def opened(model, operations: bool = False) -> keras.Model:
    """Returns `flat_view(model)` without its checks; `operations` as in `call_opened`."""
    model = _functional(model)
    return keras.models.clone_model(
        model, clone_function=_copied, call_function=_Calls(operations, {})
    )


def _functional(model):
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def _copied(operation):
    if isinstance(operation, keras.layers.Layer):
        return operation
    return type(operation).from_config(operation.get_config())


class _Calls:
    """Calls the operations of a model on new tensors, replacing layers of this package."""

    def __init__(self, operations: bool, arguments: dict[str, Any]):
        self.operations, self.arguments = operations, arguments
        self.outputs = {}

    def __call__(self, operation, *args, **kwargs):
        outputs = self._call(operation, args, kwargs)
        self.outputs.setdefault(operation.name, []).append(outputs)
        return outputs

    def _call(self, operation, args, kwargs):
        if not isinstance(operation, keras.layers.Layer):
            return operation(*args, **kwargs)
        given = {**self.arguments, **{k: v for k, v in kwargs.items() if v is not None}}
        if isinstance(operation, keras.Model) and getattr(operation, "operations", None):
            training = {k: v for k, v in given.items() if k == "training"}
            return self._nested(_functional(operation), args[0], training)
        if isinstance(operation, CompositeLayer):
            return call_opened(operation, args[0], operation.name, self.operations, **given)
        if sublayers_of(operation):
            return operation(*args, **kwargs)
        takes = inspect.signature(operation.call).parameters
        given = {key: value for key, value in given.items() if key in kwargs or key in takes}
        return call_sharing(operation, operation.name, *args, **given)

    def _nested(self, model, inputs, arguments):
        """Returns the outputs of a model inside the model, its layers called on `inputs`."""
        calls = _Calls(self.operations, arguments)
        # The clone has its own tensors; those computed from `inputs` are in `calls`.
        keras.models.clone_model(model, inputs, clone_function=_copied, call_function=calls)

        def found(entry):
            if isinstance(entry, dict):
                return {key: found(value) for key, value in entry.items()}
            if isinstance(entry[0], str):
                name, node, tensor = entry
                return keras.tree.flatten(calls.outputs[name][node])[tensor]
            return [found(value) for value in entry]

        return found(model.get_config()["output_layers"])
