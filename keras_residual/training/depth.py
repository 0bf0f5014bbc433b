"""The layers of a network from input to output, in the units of fine-tuning."""

import re
from collections.abc import Iterator

import keras

from keras_residual import _checks
from keras_residual.layers import ResidualStage

# A unit in a flat network: the layers of a block are named `stage2_block3_conv1` and so on.
_BLOCK = re.compile(r"(.*block_?\d+)")

# A variable with an index on its first axis, if it is stacked over several blocks.
Part = tuple[keras.Variable, int | None]


def units(model: keras.Model, until: str | None = None) -> list[list[Part]]:
    """Returns the trainable variables of each unit, from the input to the output.

    A unit is a block of a residual stage, stacked or not, or another layer with weights. The
    layers of a flat network that are named after one block are one unit.

    Args:
        model: The model.
        until: Name of the last layer to include, `None` for all.
    """
    found, last = [], None
    for name, parts in _units(model, until):
        if not parts:
            continue
        if name is not None and name == last:
            found[-1].extend(parts)
        else:
            found.append(list(parts))
        last = name
    return found


def _units(model, until=None) -> Iterator[tuple[str | None, list[Part]]]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _units(layer)
        elif isinstance(layer, ResidualStage):
            yield from ((None, parts) for parts in _blocks(layer))
        else:
            block = _BLOCK.match(layer.name)
            yield block and block.group(1), [(v, None) for v in layer.trainable_variables]
        if layer.name == until:
            return


def _blocks(stage: ResidualStage) -> Iterator[list[Part]]:
    for part in (stage.first, stage.equal, stage.last):
        if part is None:
            continue
        if part is not stage.equal:
            yield [(variable, None) for variable in part.trainable_variables]
        elif part.scanned:
            for index in range(part.depth):
                yield [(variable, index) for variable in part.trainable_variables]
        else:
            for block in part.blocks:
                yield [(variable, None) for variable in block.trainable_variables]


def rate_factors(model: keras.Model, decay: float) -> list[float | list[float]]:
    """Returns the factor of the learning rate of each trainable variable.

    It is 1 for the topmost unit, `decay` for the one below, then `decay²` and so on.

    Args:
        model: A model; frozen layers count in depth, but have no entry.
        decay: Number in (0, 1].

    Reference:
        - [Clark et al., 2020](https://arxiv.org/abs/2003.10555), layer-wise learning rate decay;
          timm's `param_groups_layer_decay`
    """
    found: dict[int, dict[int | None, float]] = {}
    for depth, parts in enumerate(reversed(units(model))):
        for variable, index in parts:
            found.setdefault(id(variable), {}).setdefault(index, decay**depth)
    factors = []
    for variable in model.trainable_variables:
        of_variable = found.get(id(variable), {None: 1.0})
        stacked = None not in of_variable
        factors.append(
            [of_variable[index] for index in sorted(of_variable)] if stacked else of_variable[None]
        )
    return factors


def freezable(model: keras.Model) -> list[str]:
    """Returns the layers after which a model can be cut, from the input to the output.

    All later layers depend only on the output of such a layer.
    """
    config = {layer["name"]: layer["inbound_nodes"] for layer in model.get_config()["layers"]}
    order = {layer.name: place for place, layer in enumerate(model.layers)}
    # The last layer that uses the outputs of the layers so far.
    reach = dict(order)
    for name, nodes in config.items():
        for source in _sources(nodes):
            reach[source] = max(reach[source], order[name])
    cuts, furthest = [], 0
    for layer in model.layers[:-1]:
        place = order[layer.name]
        single = len(config[layer.name]) == 1
        if single and furthest <= place:
            cuts.append(layer.name)
        furthest = max(furthest, reach[layer.name])
    return cuts


def _sources(nodes) -> Iterator[str]:
    """Yields the names of the layers whose outputs are arguments of a layer's serialized calls."""
    if isinstance(nodes, dict):
        if "keras_history" in nodes:
            yield nodes["keras_history"][0]
        else:
            for value in nodes.values():
                yield from _sources(value)
    elif isinstance(nodes, (list, tuple)):
        for value in nodes:
            yield from _sources(value)


def above(model: keras.Model, until: str) -> keras.Model:
    """Returns the part of a model after a layer, made of the same layers.

    Raises:
        ValueError: If there is no such layer, or later layers need more than its output.
    """
    layer = _layer(model, until)
    try:
        return keras.Model(layer.output, model.output, name=model.name)
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"`freeze` must name a layer whose output is all that the layers behind it need. "
            f"Received: freeze={until!r}"
        ) from error


def below(model: keras.Model, until: str) -> keras.Model:
    """Returns the part of a model up to the output of a layer, made of the same layers."""
    return keras.Model(model.input, _layer(model, until).output, name=f"{model.name}_frozen")


def _layer(model, name) -> keras.Layer:
    layers = {layer.name: layer for layer in model.layers if layer is not model.layers[0]}
    return layers[_checks.known("layer to freeze", name, layers)]
