"""The layer calls of a model with their shapes, without running or changing the model."""

from collections.abc import Callable, Iterator
from typing import Any

import keras


def layer_calls(model: keras.Model, input_shape=None) -> Iterator[tuple[Any, ...]]:
    """Yields `(layer, input shape, output shape)` of each call of a layer, batch size 1.

    Args:
        model: A built functional or sequential model.
        input_shape: Optional shape of its single input without batch.

    Raises:
        ValueError: If the model is subclassed, or `input_shape` does not fit it.
    """
    config, operations = functional(model)
    if input_shape is not None:
        _check_shape(model, input_shape)
    tensors = {}
    for entry in config["layers"]:
        operation = operations[entry["name"]]
        if isinstance(operation, keras.layers.InputLayer):
            shape = operation.batch_shape[1:] if input_shape is None else tuple(input_shape)
            tensors[entry["name"], 0, 0] = keras.KerasTensor((1, *shape), operation.dtype)
            continue
        for node, call in enumerate(entry["inbound_nodes"]):
            args, kwargs = _filled(call["args"], tensors), _filled(call["kwargs"], tensors)
            outputs = operation.compute_output_spec(*args, **kwargs)
            for index, output in enumerate(keras.tree.flatten(outputs)):
                tensors[entry["name"], node, index] = output
            yield from _calls_inside(operation, args, outputs)


def _check_shape(model, input_shape):
    if len(model.inputs) != 1:
        raise ValueError(
            f"`input_shape` needs a model with one input; {model.name!r} has {len(model.inputs)}. "
            f"Received: input_shape={input_shape!r}"
        )
    known = tuple(model.inputs[0].shape[1:])
    formats = [getattr(layer, "data_format", None) for layer in model.layers]
    axis = 0 if "channels_first" in formats else -1
    valid = (
        isinstance(input_shape, (tuple, list))
        and len(input_shape) == len(known)
        and all(size is None or (isinstance(size, int) and size > 0) for size in input_shape)
        and known[axis] in (None, input_shape[axis])
    )
    if not valid:
        raise ValueError(
            f"`input_shape` must be a tuple of sizes that fits the input {known} of "
            f"{model.name!r}. Received: input_shape={input_shape!r}"
        )


class Runner:
    """Runs a functional model with one input layer by layer.

    The model's graph is read once in the constructor, because reading creates layers, which is not
    possible inside a traced function.

    Args:
        model: A functional or sequential model.

    Raises:
        ValueError: If the model is subclassed or has several inputs.
    """

    def __init__(self, model: keras.Model):
        self._config, self._operations = functional(model)
        if len(model.inputs) != 1:
            raise ValueError(
                f"`model` must have one input. Received: {model.name!r} with {len(model.inputs)}"
            )
        self._inner = {
            name: Runner(operation)
            for name, operation in self._operations.items()
            if isinstance(operation, keras.Model)
        }

    def __call__(self, inputs, call: Callable[..., Any]):
        """Returns the outputs.

        Args:
            inputs: A batch.
            call: Maps a layer, its arguments and keyword arguments to its outputs. Layers of nested
                models are called one by one too.
        """
        tensors = {}
        for entry in self._config["layers"]:
            name = entry["name"]
            if isinstance(self._operations[name], keras.layers.InputLayer):
                tensors[name, 0, 0] = inputs
                continue
            for node, arguments in enumerate(entry["inbound_nodes"]):
                args = _filled(arguments["args"], tensors)
                if name in self._inner:
                    outputs = self._inner[name](args[0], call)
                else:
                    kwargs = _filled(arguments["kwargs"], tensors)
                    outputs = call(self._operations[name], args, kwargs)
                for index, output in enumerate(keras.tree.flatten(outputs)):
                    tensors[name, node, index] = output
        found = [tensors[key] for key in output_keys(self._config["output_layers"])]
        return found[0] if len(found) == 1 else found


def output_keys(value) -> list[tuple[Any, ...]]:
    """Returns the references to outputs in a config, which Keras flattens if there is one."""
    if isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str):
        return [tuple(value)]
    items = value.values() if isinstance(value, dict) else value
    return [key for item in items for key in output_keys(item)]


def functional(model) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the config of a functional model and its operations by name."""
    config = model.get_config()
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)
        config = model.get_config()
    if "input_layers" not in config:
        raise ValueError(
            "Only functional and sequential models have a graph to look into. "
            f"Received: {model.name!r} of type {type(model).__name__}"
        )
    return config, {operation.name: operation for operation in model.operations}


def _calls_inside(operation, args, outputs):
    first = keras.tree.flatten(args)[0]
    if isinstance(operation, keras.Model):
        yield from layer_calls(operation, first.shape[1:])
    elif isinstance(operation, keras.Layer):
        yield operation, tuple(first.shape), tuple(keras.tree.flatten(outputs)[0].shape)


def _filled(value, tensors):
    """Replaces the references to tensors in a serialized call by tensors of known shape."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        name, node, index = value["config"]["keras_history"]
        return tensors[name, node, index]
    if isinstance(value, dict):
        return {key: _filled(item, tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(item, tensors) for item in value)
    return value
