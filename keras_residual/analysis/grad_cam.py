"""Grad-CAM: class activation maps from the gradients at one block."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.analysis._differentiation import compiled, gradient_of
from keras_residual.analysis._graph import Runner, layer_calls
from keras_residual.analysis._scores import (
    checked_inputs,
    chosen_classes,
    logits_of,
    one_hot,
    score,
)
from keras_residual.analysis.blocks import block_shapes, run_layer_by_blocks, unrolled


def grad_cam(
    model: keras.Model,
    x: Tensor,
    classes: int | Sequence[int] | np.ndarray | None = None,
    layer: str | None = None,
    *,
    resize: bool = True,
    batch_size: int = 16,
) -> np.ndarray:
    """Returns for each input a map of the positions that are evidence for a class (Grad-CAM).

    The channels of a block's output are weighted by the gradient of the class's logit, averaged
    over all positions, and summed; negative values become 0, and the maximum is scaled to 1. Works
    for series, images and volumes, in nested models and in scanned stages (by an unrolled copy).

    Args:
        model: A built functional model with one input and one output.
        x: `(n, *spatial, channels)`, inputs as the model takes them.
        classes: The class to explain: an integer, or one for each input. Defaults to the predicted.
        layer: Name of a layer, such as `"stage4"`, or of a block, such as `"stage4/block3"` or
            `"block4/unit16"`, whose output is explained. Defaults to the last with positions.
        resize: Whether the maps are interpolated linearly to the size of the input. Defaults to
            `True`.
        batch_size: Positive integer, number of inputs at a time.

    Returns:
        `(n, *spatial)` float32 in [0, 1]. A map without any positive evidence is 0 everywhere.

    Raises:
        ValueError: If an argument does not fit the model; for an unknown `layer` the message lists
            the known ones.

    Example:

    >>> maps = grad_cam(model, images)  # doctest: +SKIP
    >>> maps.shape  # doctest: +SKIP
    (8, 224, 224)

    Reference:
        - [Selvaraju et al., 2017](https://arxiv.org/abs/1610.02391)
    """
    x = checked_inputs(model, x)
    _checks.integer("batch_size", batch_size)
    classes = chosen_classes(model, x, classes, batch_size)
    shares = one_hot(classes, model.outputs[0].shape[-1])
    network = _Network(unrolled(model), layer, x.shape[1:])
    maps = []
    with logits_of(network.model):
        activation_of, by_activation = compiled(network.activation), gradient_of(network.score)
        for start in range(0, len(x), batch_size):
            part = slice(start, start + batch_size)
            activation = activation_of(x[part])
            gradient = by_activation(activation, x[part], shares[part])
            maps.append(_map(activation, gradient, network.channels_first))
    maps = _normalized(np.concatenate(maps))
    return enlarged(maps, _spatial(x.shape, network.channels_first)) if resize else maps


class _Network:
    """A network in which the output of one block can be read and replaced."""

    def __init__(self, model, target, input_shape):
        self.model = model
        self.channels_first = any(
            getattr(layer, "data_format", None) == "channels_first" for layer in model.layers
        )
        self._run = Runner(model)
        shapes = _shapes(model, input_shape)
        self._target = self._default(shapes) if target is None else target
        if shapes.get(self._target) is None:
            raise ValueError(
                "`layer` must be a layer or block whose output has channels and positions: "
                f"{', '.join(name for name, shape in shapes.items() if shape)}. "
                f"Received: layer={target!r}"
            )

    def activation(self, x):
        """Returns the output of the target."""
        found = []
        self._run(x, self._caller(lambda name, out: (found.append(out) or out) if name else out))
        return ops.cast(found[0], "float32")

    def score(self, activation, x, shares):
        """Returns the score with the target's output replaced."""

        def replace(name, output):
            return ops.cast(activation, output.dtype) if name else output

        return score(self._run(x, self._caller(replace)), shares)

    def _caller(self, at_target):
        def after(name, output):
            return at_target(name == self._target, output)

        return lambda layer, args, kwargs: after(
            layer.name, run_layer_by_blocks(layer, args, kwargs, after)
        )

    @staticmethod
    def _default(shapes):
        last = [name for name, shape in shapes.items() if shape is not None]
        return last[-1] if last else None


def _shapes(model, input_shape):
    """Returns the output shape by the name of each layer and block; `None` without positions."""
    shapes = {}
    for layer, taken, output in layer_calls(model, input_shape):
        shapes |= block_shapes(layer, taken)
        shapes[layer.name] = output
    rank = len(input_shape) + 1
    return {name: shape if len(shape) == rank else None for name, shape in shapes.items()}


def _map(activation, gradient, channels_first):
    """Returns the maps of a batch before they are normalized."""
    if channels_first:
        activation, gradient = (np.moveaxis(array, 1, -1) for array in (activation, gradient))
    weights = gradient.mean(axis=tuple(range(1, gradient.ndim - 1)), keepdims=True)
    return np.maximum((activation * weights).sum(axis=-1), 0)


def _normalized(maps):
    largest = maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True)
    return (maps / np.where(largest > 0, largest, 1)).astype("float32")


def _spatial(shape, channels_first):
    return shape[2:] if channels_first else shape[1:-1]


def enlarged(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Returns `(n, *spatial)` maps interpolated linearly to another spatial size."""
    for axis, length in enumerate(size, start=1):
        before = maps.shape[axis]
        position = np.clip((np.arange(length) + 0.5) * before / length - 0.5, 0, before - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, before - 1)
        share = (position - low).astype("float32")
        share = share.reshape([-1 if axis == i else 1 for i in range(maps.ndim)])
        maps = maps.take(low, axis) * (1 - share) + maps.take(high, axis) * share
    return maps.astype("float32")
