"""Keeping the first layers of a model as they are while the rest trains."""

import keras

from keras_residual import _checks


def freeze(model: keras.Model, until: str | None) -> None:
    """Freezes a layer and all layers that its output depends on.

    Their weights do not train, and their batch normalizations stay in inference mode: they
    normalize by the moving statistics and leave them unchanged, also with `training=True`. The
    other layers are left as they are. A compiled model takes notice at once, except on JAX once it
    has trained: its optimizer is bound to the weights it began with, so compile it again.

    Args:
        model: A functional model.
        until: Name of the last layer to freeze, e.g. `"stage3"` of a residual network or
            `"transition2"` of a DenseNet; `None` to make all layers trainable again.

    Raises:
        ValueError: If the model has no layer of that name.

    Example:

    >>> model = keras_residual.ResNet18(classes=10)
    >>> freeze(model, until="stage3")
    >>> [layer.name for layer in model.layers if layer.trainable and layer.weights]
    ['stage4', 'classifier']
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(f"`model` must be a functional Keras model. Received: model={model!r}")
    if until is None:
        # On TensorFlow, setting what a model already says does not reach its layers.
        model.trainable = False
        model.trainable = True
    else:
        layers = {layer.name: layer for layer in model.layers}
        output = layers[_checks.known("layer", until, layers)].output
        for layer in keras.Model(model.inputs, output).layers:
            layer.trainable = False
    if model.compiled:
        model.make_train_function(force=True)
