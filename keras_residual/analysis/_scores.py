"""The class score that explanations differentiate, and checks of models and inputs."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual.analysis._graph import functional, output_keys


def checked_inputs(model: keras.Model, x) -> np.ndarray:
    """Returns a batch of floating inputs that fits a built model of one input and one output."""
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a built Keras model. Received: model={model!r}")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"`model` must have one input and one output. Received: {model.name!r} with "
            f"{len(model.inputs)} and {len(model.outputs)}"
        )
    if not keras.backend.is_float_dtype(model.inputs[0].dtype):
        raise ValueError(
            "`model` must take floating-point inputs, as integers have no gradient. "
            f"Received: {model.name!r} with inputs of {model.inputs[0].dtype}"
        )
    x = np.asarray(ops.convert_to_numpy(x), "float32")
    expected = model.inputs[0].shape[1:]
    fits = x.ndim == len(expected) + 1 and all(
        size in (None, given) for size, given in zip(expected, x.shape[1:], strict=True)
    )
    if not fits or not len(x):
        raise ValueError(
            f"`x` must be a batch of inputs {tuple(expected)}. Received: shape {x.shape}"
        )
    if not np.isfinite(x).all():
        raise ValueError("`x` must be finite. Received: NaN or infinity")
    return x


@contextlib.contextmanager
def logits_of(model: keras.Model):
    """Makes the model output logits while the block runs.

    The gradient of a probability near 0 or 1 vanishes, unlike that of its logit.
    """
    layer = _last_layer(model)
    activation = getattr(layer, "activation", None)
    if activation not in (keras.activations.softmax, keras.activations.sigmoid):
        yield
        return
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = activation


def _last_layer(model):
    """Returns the layer that computes the model's output, also inside a nested model."""
    config, operations = functional(model)
    layer = operations[output_keys(config["output_layers"])[0][0]]
    return _last_layer(layer) if isinstance(layer, keras.Model) else layer


def chosen_classes(model: keras.Model, x: np.ndarray, classes, batch_size: int) -> np.ndarray:
    """Returns the class to explain for each input: the given or the predicted one."""
    count = model.outputs[0].shape[-1]
    if classes is None:
        outputs = np.concatenate(
            [
                ops.convert_to_numpy(model.predict_on_batch(x[start : start + batch_size]))
                for start in range(0, len(x), batch_size)
            ]
        )
        return outputs.reshape(len(x), -1, outputs.shape[-1]).mean(axis=1).argmax(axis=-1)
    if isinstance(classes, int | np.integer):
        classes = [_checks.integer("classes", classes, 0)] * len(x)
    classes = np.asarray(classes)
    whole = classes.shape == (len(x),) and classes.dtype.kind in "iu"
    if not whole or classes.min() < 0 or classes.max() >= count:
        raise ValueError(
            f"`classes` must be None, an integer in 0…{count - 1} or one for each of the {len(x)} "
            f"inputs. Received: classes={classes.tolist()!r}"
        )
    return classes


def score(outputs, shares):
    """Returns the sum over a batch of each input's score for its class.

    Args:
        outputs: `(batch, ..., classes)`; scores of several positions are averaged.
        shares: `(batch, classes)`, one-hot rows.
    """
    outputs = ops.cast(outputs, "float32")
    positions = tuple(range(1, len(outputs.shape) - 1))
    outputs = ops.mean(outputs, axis=positions) if positions else outputs
    return ops.sum(outputs * shares)


def one_hot(classes: np.ndarray, count: int) -> np.ndarray:
    """Returns `(n, count)` float32 one-hot rows."""
    return np.eye(count, dtype="float32")[classes]
