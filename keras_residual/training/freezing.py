"""Freezing layers of a model temporarily."""

import contextlib
from collections.abc import Iterator

import keras

from keras_residual.layers.equal_blocks import EqualBlocks
from keras_residual.layers.sublayers import NORMALIZATIONS, sublayers_of
from keras_residual.training import depth


def freeze(model: keras.Model, until: str | None, normalization: bool) -> None:
    """Freezes a model up to a layer, and optionally all normalizations; the rest trains."""
    # On TensorFlow, setting a model's `trainable` to its present value does not reach layers.
    model.trainable = False
    model.trainable = True
    if until is not None:
        for layer in depth.below(model, until).layers:
            layer.trainable = False
    for layer in all_layers(model) if normalization else ():
        if isinstance(layer, EqualBlocks):
            layer.set_normalization_trainable(False)
        elif isinstance(layer, NORMALIZATIONS):
            layer.trainable = False


@contextlib.contextmanager
def as_before(model: keras.Model) -> Iterator[None]:
    """Restores the `trainable` flags of all layers afterwards."""
    layers = all_layers(model)
    flags = [(layer, layer.trainable) for layer in layers]
    stages = [layer for layer in layers if isinstance(layer, EqualBlocks) and layer.scanned]
    stacked = [variable for stage in stages for variable in stage.stacked_weights.values()]
    flags += [(variable, variable.trainable) for variable in stacked]
    try:
        yield
    finally:
        # A layer passes its flag on to its sublayers, which come after it.
        for item, trainable in flags:
            item.trainable = trainable


def all_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and its sublayers, each after its owner."""
    found, pending = {}, [layer]
    while pending:
        item = pending.pop()
        if id(item) not in found:
            found[id(item)] = item
            pending.extend(sublayers_of(item))
    return list(found.values())
