"""The graph of a functional model, read from its configuration."""

from collections import defaultdict
from dataclasses import dataclass

import keras

from keras_residual.layers.lstm.recurrent_stack import RecurrentStack


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        sources: `(layer name, node, tensor)` of every input tensor.
        training: Whether it is called with `training=True` regardless of the mode of the model.
    """

    sources: tuple[tuple[str, int, int], ...]
    training: bool


@dataclass(frozen=True)
class Graph:
    """The calls of each layer and the consumers of each tensor, by name.

    Both are empty for a model whose configuration does not hold them.
    """

    calls: dict[str, list[Call]]
    takers: dict[tuple[str, int, int], list[str]]

    def called_once(self, name: str) -> bool:
        return len(self.calls.get(name, ())) == 1

    def may_train(self, name: str) -> bool:
        """Returns whether a layer is, or may be, called with `training=True`."""
        calls = self.calls.get(name)
        return calls is None or any(call.training for call in calls)

    def only_source(self, name: str) -> str | None:
        """Returns the layer whose output is consumed only by layer `name`."""
        if not self.called_once(name) or len(self.calls[name][0].sources) != 1:
            return None
        (source,) = self.calls[name][0].sources
        is_only_consumer = self.takers[source] == [name] and self.called_once(source[0])
        return source[0] if is_only_consumer else None


def graph_of(model: keras.Model) -> Graph:
    """Returns the graph of a functional model."""
    calls, takers = defaultdict(list), defaultdict(list)
    try:
        entries = model.get_config().get("layers", ())
    except NotImplementedError:
        # A layer without a configuration.
        return Graph({}, {})
    for entry in entries:
        for node in entry.get("inbound_nodes", ()):
            sources = tuple(_sources([node["args"], node["kwargs"]]))
            calls[entry["name"]].append(Call(sources, node["kwargs"].get("training") is True))
            for source in sources:
                takers[source].append(entry["name"])
    outputs = {id(tensor) for tensor in model.outputs}
    for operation in model.operations:
        # An output of the model is also consumed by the user.
        if len(calls.get(operation.name, ())) == 1 and id(_output(operation)) in outputs:
            takers[operation.name, 0, 0].append("")
    return Graph(dict(calls), dict(takers))


def _output(operation):
    output = operation.output
    return output if keras.utils.is_keras_tensor(output) else None


def _sources(value):
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        yield tuple(value["config"]["keras_history"])
    elif isinstance(value, dict):
        for item in value.values():
            yield from _sources(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _sources(item)


def is_recurrent(model: keras.Model) -> bool:
    """Returns whether a model has a recurrent stack, such as a `ResidualLSTM`, at any depth."""
    return any(
        isinstance(layer, RecurrentStack)
        or (isinstance(layer, keras.Model) and is_recurrent(layer))
        for layer in model.layers
    )


def inlined(model: keras.Model) -> keras.Model:
    """Returns a model with the layers of the models that it calls as layers of its own.

    They are copies, with the name of their model in front of their own.
    """
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model

    def kept(layer):
        return _renamed(inlined(layer)) if isinstance(layer, keras.Model) else layer

    def call(layer, *args, **kwargs):
        return (
            layer.call(*args, **kwargs)
            if isinstance(layer, keras.Model)
            else layer(*args, **kwargs)
        )

    return keras.models.clone_model(model, clone_function=kept, call_function=call)


def _renamed(model):
    def copy(operation):
        config = {**operation.get_config(), "name": f"{model.name}_{operation.name}"}
        return type(operation).from_config(config)

    new = keras.models.clone_model(model, clone_function=copy)
    new.set_weights(model.get_weights())
    return new
