"""Which layers of a model train, for a while."""

import contextlib
from collections.abc import Iterator

import keras

from keras_residual.layers.equal_blocks import EqualBlocks
from keras_residual.layers.sublayers import NORMALIZATIONS, sublayers_of
from keras_residual.training import depth


def freeze(model: keras.Model, until: str | None, normalization: bool) -> None:
    """Freezes a model up to a layer, and all normalizations if asked; the rest trains."""
    # On TensorFlow, setting what a model already says does not reach its layers.
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
    """Lets every layer train afterwards as it did before."""
    layers = all_layers(model)
    flags = [(layer, layer.trainable) for layer in layers]
    stages = [layer for layer in layers if isinstance(layer, EqualBlocks) and layer.scanned]
    stacked = [variable for stage in stages for variable in stage.stacked_weights.values()]
    flags += [(variable, variable.trainable) for variable in stacked]
    try:
        yield
    finally:
        # A layer passes its flag on to those inside, which come after it.
        for item, trainable in flags:
            item.trainable = trainable


def all_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and those inside it, each after the one that holds it."""
    found, pending = {}, [layer]
    while pending:
        item = pending.pop()
        if id(item) not in found:
            found[id(item)] = item
            pending.extend(sublayers_of(item))
    return list(found.values())
