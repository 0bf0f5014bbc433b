"""Builds networks that take RGB pixels 0…255, with the scaling inside."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_residual.export._pixels import WHITE, Pixels
from keras_residual.export.rewrite.graph import graph_of

_TOLERANCE = 1e-4
_SOFTMAX = keras.activations.softmax


@dataclass(frozen=True)
class PictureNetwork:
    """A network that takes RGB pixels 0…255.

    Attributes:
        network: The functional model.
        mean: The mean that it subtracts from the pixels of each channel.
        folded: Whether the scaling was folded into the first convolution.
        is_logits: Whether the softmax was removed.
    """

    network: keras.Model
    mean: tuple[float, float, float]
    folded: bool
    is_logits: bool


def picture_network(
    network: keras.Model, pixels: Pixels, batch_size: int = 1, logits: bool = False
) -> PictureNetwork:
    """Returns a network with the same outputs that takes pixels.

    Scaling becomes a subtraction of the mean and a factor for each channel. The factors, the order
    of the channels and the reduction to grey go into the kernel of the first convolution. The mean
    stays, since the zeros with which a convolution pads its input stand for it: so the border is
    exact as well. It is subtracted along whole rows, which costs next to nothing, where subtracting
    it pixel by pixel costs a tenth of a small network's time.

    Args:
        network: A functional model of one input, channels last, with scaling layers at its
            beginning or without.
        pixels: How pixels become its input.
        batch_size: Positive integer.
        logits: Whether to remove a softmax at the end.
    """
    scaling, pixels, first = _beginning(network, pixels)
    shape = network.inputs[0].shape[1:-1]
    adapted = _adapted(first, pixels, shape)
    softmax = _softmax_at_the_end(network) if logits else None
    left_out = {layer.name for layer in scaling}
    if isinstance(softmax, keras.layers.Layer) and not _is_dense(softmax):
        left_out.add(softmax.name)

    def copy(layer):
        if adapted is not None and layer.name == first.name:
            return adapted
        return _linear(layer) if layer is softmax and _is_dense(layer) else layer

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in left_out else layer(*args, **kwargs)

    channels = pixels.channels if adapted is None else 3
    inside = keras.Input(batch_shape=(batch_size, *shape, channels), name="scaled")
    inner = keras.models.clone_model(network, inside, clone_function=copy, call_function=call)
    picture = keras.Input(batch_shape=(batch_size, *shape, 3), name=_input_name(network))
    x = SubtractMean(pixels.mean, name="mean")(picture) if any(pixels.mean) else picture
    if adapted is None and not _is_unit(pixels.matrix):
        x = _pointwise(pixels)(x)
    model = keras.Model(picture, inner(x), name=network.name)
    return PictureNetwork(model, pixels.mean, adapted is not None, softmax is not None)


def known_scaling(network: keras.Model, pixels: Pixels) -> Pixels:
    """Returns the map from pixels to the output of a network's own scaling layers."""
    return _beginning(network, pixels)[1]


def first_layer(network: keras.Model):
    """Returns the layer that consumes a network's only input, `None` if several do."""
    return _only_taker(network, graph_of(network), _input_operation(network))


def _beginning(network, pixels):
    """Returns the scaling layers, the map composed with them, and the next layer."""
    graph, name, scaling = graph_of(network), _input_operation(network), []
    while True:
        layer = _only_taker(network, graph, name)
        changed = None if layer is None else pixels.then(layer)
        if changed is None:
            return scaling, pixels, layer
        scaling.append(layer)
        pixels, name = changed, layer.name


def _input_operation(network):
    tensor = network.inputs[0]
    for operation in network.operations:
        if isinstance(operation, keras.layers.InputLayer) and operation.output is tensor:
            return operation.name
    return tensor.name


def _input_name(network):
    return "".join(c if c.isalnum() else "_" for c in network.inputs[0].name) or "image"


def _only_taker(network, graph, name):
    takers = graph.takers.get((name, 0, 0), [])
    if len(takers) != 1 or not graph.called_once(takers[0]):
        return None
    if len(graph.calls[takers[0]][0].sources) != 1:
        return None
    return next((layer for layer in network.layers if layer.name == takers[0]), None)


def _adapted(layer, pixels, shape):
    """Returns a copy of the first layer for centred pixels, `None` if its outputs differ."""
    if layer is None or isinstance(layer, keras.Model) or _is_unit(pixels.matrix):
        return None
    kernel = next(iter(_kernels(layer, pixels.channels)), None)
    if kernel is None:
        return None
    new = type(layer).from_config(layer.get_config())
    new.build((1, *shape, 3))
    matrix, values = np.array(pixels.matrix), []
    for old, variable in zip(layer.weights, new.weights, strict=True):
        value = np.asarray(keras.ops.convert_to_numpy(old), np.float64)
        if old is kernel:
            value = np.einsum("hwco,ck->hwko", value, matrix)
        if value.shape != tuple(variable.shape):
            return None
        values.append(value)
    new.set_weights(values)
    return new if _same(layer, new, pixels, shape) else None


def _kernels(layer, channels):
    for weight in layer.weights:
        shape = tuple(weight.shape)
        if weight.name == "kernel" and len(shape) == 4 and shape[2] == channels:
            yield weight


def _same(layer, new, pixels, shape):
    """Returns whether both give the same outputs for random pixels."""
    random = np.random.default_rng(0).integers(0, int(WHITE) + 1, (1, *shape, 3))
    centred = (random - np.array(pixels.mean)).astype(np.float32)
    expected, found = (
        np.asarray(keras.ops.convert_to_numpy(each(keras.ops.convert_to_tensor(x))), np.float64)
        for each, x in ((layer, pixels.apply(random)), (new, centred))
    )
    if expected.shape != found.shape:
        return False
    return np.abs(expected - found).max() <= _TOLERANCE * max(np.abs(expected).max(), 1e-6)


def _pointwise(pixels):
    """Returns the scaling as a 1×1 convolution, which every runtime supports."""
    layer = keras.layers.Conv2D(pixels.channels, 1, use_bias=False, name="scale")
    layer.build((None, None, None, 3))
    layer.set_weights([np.array(pixels.matrix, np.float32).T[None, None]])
    return layer


def _is_unit(matrix):
    return np.array_equal(matrix, np.eye(3))


def _softmax_at_the_end(network):
    """Returns the layer that computes a network's softmax, `None` if there is none."""
    output = network.outputs[0]
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer) or getattr(layer, "output", None) is None:
            continue
        if layer.output is output:
            is_softmax = isinstance(layer, keras.layers.Softmax)
            is_softmax |= getattr(layer, "activation", None) is _SOFTMAX
            plain = type(layer) in (keras.layers.Dense, keras.layers.Activation)
            return layer if is_softmax and (plain or not layer.weights) else None
    return None


def ends_with_softmax(network: keras.Model) -> bool:
    """Returns whether a network's output comes from a softmax that can be removed."""
    return _softmax_at_the_end(network) is not None


def without_softmax(network: keras.Model, whole: keras.Model | None = None) -> keras.Model:
    """Returns a network without the softmax at its end.

    Args:
        network: A functional model.
        whole: The model that it is the last part of, if any.
    """
    name = _softmax_at_the_end(whole or network).name

    def copy(layer):
        return _linear(layer) if layer.name == name and _is_dense(layer) else layer

    def call(layer, *args, **kwargs):
        left_out = layer.name == name and not isinstance(layer, keras.layers.Dense)
        return args[0] if left_out else layer(*args, **kwargs)

    return keras.models.clone_model(network, clone_function=copy, call_function=call)


def _is_dense(layer):
    return type(layer) is keras.layers.Dense


def _linear(layer):
    new = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    new.build(layer.input.shape)
    new.set_weights(layer.get_weights())
    return new


class SubtractMean(keras.layers.Layer):
    """Subtracts one number from each channel of `(batch, height, width, channels)`.

    A row of pixels is treated as one vector: runtimes broadcast along the last axis one vector at a
    time, and vectors of three numbers are too short to be fast.
    """

    def __init__(self, mean, **kwargs):
        super().__init__(**kwargs)
        self.mean = tuple(mean)

    def call(self, inputs):
        batch, height, width, channels = inputs.shape
        rows = keras.ops.reshape(inputs, (batch or -1, height, width * channels))
        rows = rows - np.tile(np.array(self.mean, np.float32), width)
        return keras.ops.reshape(rows, (batch or -1, height, width, channels))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
