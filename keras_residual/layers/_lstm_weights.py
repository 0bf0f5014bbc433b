"""Weights of a `ResidualLSTM` from and to stacks of other libraries' LSTM layers.

Keras and PyTorch order the gates alike (input, forget, candidate, output). PyTorch transposes the
kernels and has two biases, of which only the sum matters.
"""

from collections.abc import Iterator, Mapping

import keras
import numpy as np

from keras_residual import _checks


class LSTMWeights:
    """The part of `ResidualLSTM` that hands its weights out and takes others in."""

    def get_lstm_weights(self, index: int, backward: bool = False) -> list:
        """Returns `[kernel, recurrent_kernel, bias]` of a layer, as `keras.layers.LSTM` has them.

        Args:
            index: Which layer, from 0.
            backward: Whether to take the backward direction of a bidirectional bottom layer.
        """
        return self._cell(index, backward).get_weights()

    def set_lstm_weights(self, index: int, weights: list, backward: bool = False):
        """Sets `[kernel, recurrent_kernel, bias]` of a layer, arguments as `get_lstm_weights`."""
        cell = self._cell(index, backward)
        expected = [tuple(weight.shape) for weight in cell.weights]
        if not isinstance(weights, (list, tuple)):
            raise ValueError(f"`weights` must be a list of arrays. Received: weights={weights!r}")
        received = [tuple(np.shape(weight)) for weight in weights]
        if received != expected:
            raise ValueError(
                f"`weights` of layer {index} must have the shapes {expected}. "
                f"Received: the shapes {received}"
            )
        cell.set_weights(weights)

    def _cell(self, index, backward):
        index = _checks.choice("index", index, range(self.num_layers))
        if backward and (index > 0 or not self.bidirectional_bottom):
            raise ValueError(
                f"`backward=True` needs a bidirectional layer. Received: index={index}, "
                f"bidirectional_bottom={self.bidirectional_bottom}"
            )
        if not self.built:
            raise ValueError(f"{self.name!r} has no weights yet: call it or `build` it first")
        return self.backward_cell if backward else self.cells[index]

    def copy_from_keras(self, lstms: list):
        """Takes the weights of `keras.layers.LSTM` layers, bottom first.

        Args:
            lstms: One layer for each of the stack; with `bidirectional_bottom`, the first is a
                `keras.layers.Bidirectional`.
        """
        _from_keras(self, lstms)

    def copy_to_keras(self, lstms: list):
        """Gives its weights to `keras.layers.LSTM` layers, arguments as `copy_from_keras`."""
        _to_keras(self, lstms)

    def copy_from_torch(self, source):
        """Takes the weights of `torch.nn.LSTM`.

        Args:
            source: A module or state dict with all layers, or a list with one for each layer, the
                bottom one first.
        """
        _from_torch(self, source)

    def copy_to_torch(self, target):
        """Gives its weights to `torch.nn.LSTM`, arguments as `copy_from_torch`."""
        _to_torch(self, target)


def _from_keras(layer, lstms):
    """Copies the weights of `keras.layers.LSTM` layers into `layer`; bottom layer first."""
    for (index, backward), lstm in _keras_layers(layer, lstms):
        layer.set_lstm_weights(index, lstm.get_weights(), backward)


def _to_keras(layer, lstms):
    """Copies the weights of `layer` into `keras.layers.LSTM` layers, building them if need be."""
    for (index, backward), lstm in _keras_layers(layer, lstms):
        weights = layer.get_lstm_weights(index, backward)
        if not lstm.built:
            lstm.build((None, None, weights[0].shape[0]))
        if [tuple(w.shape) for w in lstm.weights] != [w.shape for w in weights]:
            raise ValueError(
                f"`lstms[{index}]` must have weights of the shapes {[w.shape for w in weights]}. "
                f"Received: the shapes {[tuple(w.shape) for w in lstm.weights]}"
            )
        lstm.set_weights(weights)


def _from_torch(layer, source):
    """Copies the parameters of `torch.nn.LSTM` modules or their state dicts into `layer`."""
    for (index, backward), state, suffix in _torch_layers(layer, source):
        kernel, recurrent_kernel = (
            _array(state, name + suffix).T for name in ("weight_ih", "weight_hh")
        )
        weights = [kernel, recurrent_kernel]
        if layer.cells[0].use_bias:
            weights.append(_array(state, "bias_ih" + suffix) + _array(state, "bias_hh" + suffix))
        elif "bias_ih" + suffix in state:
            raise ValueError(
                "`source` has biases and the layer has none. "
                f"Received: 'bias_ih{suffix}' for a layer with use_bias=False"
            )
        layer.set_lstm_weights(index, weights, backward)


def _to_torch(layer, target):
    """Copies the weights of `layer` into `torch.nn.LSTM` modules; the second bias becomes zero."""
    for (index, backward), state, suffix in _torch_layers(layer, target):
        kernel, recurrent_kernel, *bias = layer.get_lstm_weights(index, backward)
        values = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T}
        values |= {"bias_ih": bias[0], "bias_hh": 0 * bias[0]} if bias else {}
        for name, value in values.items():
            parameter = state.get(name + suffix)
            if parameter is None or tuple(parameter.shape) != value.shape:
                found = "none" if parameter is None else f"{tuple(parameter.shape)}"
                raise ValueError(
                    f"`target` must have a parameter {name + suffix!r} of shape {value.shape}. "
                    f"Received: {found}"
                )
            parameter.copy_(parameter.new_tensor(value))


def _positions(layer) -> list[tuple[int, bool]]:
    """Returns the `(index, backward)` of each LSTM in the stack."""
    backward = [(0, True)] if layer.bidirectional_bottom else []
    return [(0, False), *backward, *((i, False) for i in range(1, layer.num_layers))]


def _checked_list(layer, name, items):
    if not isinstance(items, (list, tuple)) or len(items) != layer.num_layers:
        received = f"{len(items)}" if isinstance(items, (list, tuple)) else type(items).__name__
        raise ValueError(
            f"`{name}` must be a list of {layer.num_layers} layers, the bottom one first. "
            f"Received: {received}"
        )
    return items


def _keras_layers(layer, lstms) -> Iterator:
    lstms = _checked_list(layer, "lstms", lstms)
    for index, backward in _positions(layer):
        lstm, both = lstms[index], index == 0 and layer.bidirectional_bottom
        kind = keras.layers.Bidirectional if both else keras.layers.LSTM
        if not isinstance(lstm, kind):
            raise ValueError(
                f"`lstms[{index}]` must be a keras.layers.{kind.__name__}. "
                f"Received: {type(lstm).__name__}"
            )
        if both:
            lstm = lstm.backward_layer if backward else lstm.forward_layer
        yield (index, backward), lstm


def _torch_layers(layer, modules) -> Iterator:
    """Yields position, state dict and the end of the parameters' names, for each LSTM.

    A single module holds all layers; otherwise there is one module for each.
    """
    if isinstance(modules, (list, tuple)):
        states = [_state(module) for module in _checked_list(layer, "modules", modules)]
        numbers = [0] * layer.num_layers
    else:
        states = [_state(modules)] * layer.num_layers
        numbers = range(layer.num_layers)
    for state in states:
        extra = f"weight_ih_l{numbers[-1] + 1}"
        for key in ("weight_hr_l0", extra):
            if key in state:
                raise ValueError(
                    f"The PyTorch LSTM must have {layer.num_layers} layers in all and no "
                    f"projection. Received: one with a parameter {key!r}"
                )
    for index, backward in _positions(layer):
        yield (
            (index, backward),
            states[index],
            f"_l{numbers[index]}" + ("_reverse" if backward else ""),
        )


def _state(module):
    state = module.state_dict() if hasattr(module, "state_dict") else module
    if not isinstance(state, Mapping):
        raise ValueError(
            f"A torch.nn.LSTM or its state dict is needed. Received: {type(module).__name__}"
        )
    return state


def _array(state, key):
    if key not in state:
        raise ValueError(f"The PyTorch LSTM has no parameter {key!r}. Received: {sorted(state)}")
    value = state[key]
    return value.detach().cpu().float().numpy() if hasattr(value, "detach") else value
