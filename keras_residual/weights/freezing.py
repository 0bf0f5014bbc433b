"""Freezing layers of a model."""

from collections.abc import Iterator

import keras

from keras_residual import _checks
from keras_residual.layers.equal_blocks import EqualBlocks
from keras_residual.layers.sublayers import NORMALIZATIONS, sublayers_of

_UNSET = "unset"


def freeze(
    model: keras.Model, until: str | None = _UNSET, normalization: bool | None = None
) -> None:
    """Freezes a layer and all layers that its output depends on, or all normalizations.

    Frozen weights do not train, and frozen batch normalizations stay in inference mode: they
    normalize by the moving statistics and leave them unchanged, even with `training=True`. Other
    layers are unchanged. The change applies to a compiled model immediately, except on JAX after
    training has begun: the optimizer is bound to its original weights, so compile the model again.

    Args:
        model: A functional model.
        until: Name of the last layer to freeze, e.g. `"stage3"` of a residual network or
            `"transition2"` of a DenseNet; `None` to make all layers trainable again. Without it
            only the normalizations change.
        normalization: `True` freezes every normalization of the model, including those in blocks,
            scanned stages and nested models; `False` makes them trainable again, except those of
            layers that are frozen as a whole. Defaults to `None`: no change.

    Raises:
        ValueError: If the model has no layer of that name, or there is nothing to do.

    Example:

    >>> model = keras_residual.ResNet18(classes=10)
    >>> freeze(model, until="stage3")
    >>> [layer.name for layer in model.layers if layer.trainable and layer.weights]
    ['stage4', 'classifier']
    >>> freeze(model, normalization=True)
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(f"`model` must be a functional Keras model. Received: model={model!r}")
    if normalization is not None:
        _checks.boolean("normalization", normalization)
    elif until == _UNSET:
        raise ValueError(
            "`until` must name a layer or be None, or `normalization` be True or False. "
            "Received neither"
        )
    if until is None:
        # On TensorFlow, setting a model's `trainable` to its present value does not reach layers.
        model.trainable = False
        model.trainable = True
    elif until != _UNSET:
        layers = {layer.name: layer for layer in model.layers}
        output = layers[_checks.known("layer", until, layers)].output
        for layer in keras.Model(model.inputs, output).layers:
            layer.trainable = False
    if normalization is not None:
        for layer in _trainable_layers(model):
            _set_normalization(layer, not normalization)
    if model.compiled:
        model.make_train_function(force=True)


def _set_normalization(layer: keras.layers.Layer, trainable: bool) -> None:
    if isinstance(layer, EqualBlocks):
        layer.set_normalization_trainable(trainable)
    elif isinstance(layer, NORMALIZATIONS):
        layer.trainable = trainable


def _trainable_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields a layer and its sublayers, except those of layers that are frozen as a whole."""
    seen, pending = set(), [layer]
    while pending:
        item = pending.pop()
        if id(item) in seen or not (item.trainable or isinstance(item, NORMALIZATIONS)):
            continue
        seen.add(id(item))
        yield item
        pending.extend(sublayers_of(item))
