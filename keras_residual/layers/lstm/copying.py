"""Weights of a `ResidualLSTM` from and to stacks of other libraries' LSTM layers.

Keras and PyTorch order the gates alike (input, forget, candidate, output). PyTorch transposes the
kernels and has two biases, of which only the sum matters. Every copy checks all layers before it
changes the first.
"""

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_residual import _checks

_TORCH_PARAMETER = re.compile(r"(weight|bias)_(ih|hh|hr)_l\d+(_reverse)?")


class LSTMWeights:
    """The part of `ResidualLSTM` that hands its weights out and takes others in."""

    def get_lstm_weights(self, index: int, backward: bool = False) -> list[Any]:
        """Returns `[kernel, recurrent_kernel, bias]` of a layer, as `keras.layers.LSTM` has them.

        Args:
            index: Which layer, from 0.
            backward: Whether to take the backward direction of a bidirectional bottom layer.
        """
        return self._cell(index, backward).get_weights()

    def set_lstm_weights(self, index: int, weights: list[Any], backward: bool = False) -> None:
        """Sets `[kernel, recurrent_kernel, bias]` of a layer, arguments as `get_lstm_weights`."""
        cell = self._cell(index, backward)
        if not isinstance(weights, (list, tuple)):
            raise ValueError(f"`weights` must be a list of arrays. Received: weights={weights!r}")
        _check_shapes(f"`weights` of layer {index}", map(np.shape, weights), cell)
        cell.set_weights(weights)

    def copy_from_keras(self, lstms: list[Any]) -> None:
        """Takes the weights of `keras.layers.LSTM` layers, bottom first.

        Args:
            lstms: One layer for each of the stack; with `bidirectional_bottom`, the first is a
                `keras.layers.Bidirectional`.

        Raises:
            ValueError: If a layer is of another kind, has other shapes or is not built. Then no
                weight is changed.
        """
        pairs = self._beside_keras(lstms)
        for name, cell, lstm in pairs:
            if not lstm.built:
                raise ValueError(f"{name} has no weights yet: call it or `build` it first")
            _check_shapes(f"The weights of {name}", _shapes_of(lstm), cell)
        for _, cell, lstm in pairs:
            cell.set_weights(lstm.cell.get_weights())

    def copy_to_keras(self, lstms: list[Any]) -> None:
        """Gives its weights to `keras.layers.LSTM` layers, building them if need be.

        Arguments and errors as `copy_from_keras`.
        """
        pairs = self._beside_keras(lstms)
        for name, cell, lstm in pairs:
            width = cell.kernel.shape[0]
            _check_shapes(f"The weights of {name}", _shapes_of(lstm, width), cell)
        for _, cell, lstm in pairs:
            if not lstm.built:
                lstm.build((None, None, cell.kernel.shape[0]))
            lstm.cell.set_weights(cell.get_weights())

    def copy_from_torch(self, source: Any) -> None:
        """Takes the weights of `torch.nn.LSTM`.

        Args:
            source: A module or state dict with all layers, or a list with one for each layer, the
                bottom one first.

        Raises:
            ValueError: If a parameter is missing, left over or misshapen. Then no weight is
                changed.
        """
        weights = []
        for cell, parameters in self._beside_torch("source", source):
            arrays = {name: _array(value) for name, value in parameters.items()}
            kernels = [arrays["weight_ih"].T, arrays["weight_hh"].T]
            bias = [arrays["bias_ih"] + arrays["bias_hh"]] if cell.use_bias else []
            weights.append((cell, kernels + bias))
        for cell, values in weights:
            cell.set_weights(values)

    def copy_to_torch(self, target: Any) -> None:
        """Gives its weights to `torch.nn.LSTM`; the second bias becomes zero.

        Arguments and errors as `copy_from_torch`.
        """
        for cell, parameters in self._beside_torch("target", target, writable=True):
            kernel, recurrent_kernel, *bias = cell.get_weights()
            values = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T}
            values |= {"bias_ih": bias[0], "bias_hh": 0 * bias[0]} if bias else {}
            for name, value in values.items():
                parameter = parameters[name].detach()
                parameter.copy_(parameter.new_tensor(value))

    def _cell(self, index, backward=False):
        index = _checks.integer("index", index, 0, self.num_layers - 1)
        if backward and (index > 0 or not self.bidirectional_bottom):
            raise ValueError(
                f"`backward=True` needs a bidirectional layer. Received: index={index}, "
                f"bidirectional_bottom={self.bidirectional_bottom}"
            )
        if not self.built:
            raise ValueError(f"{self.name!r} has no weights yet: call it or `build` it first")
        return self.backward_cell if backward else self.cells[index]

    def _directions(self, index) -> tuple[bool, ...]:
        """Returns the values of `backward` that layer `index` has."""
        return (False, True) if index == 0 and self.bidirectional_bottom else (False,)

    def _beside_keras(self, lstms) -> list[tuple[Any, ...]]:
        """Returns the name of each of `lstms`, the cell that belongs to it, and itself."""
        pairs = []
        for index, lstm in enumerate(_one_a_layer("lstms", lstms, self.num_layers)):
            directions = self._directions(index)
            both = len(directions) > 1
            parts = [lstm]
            if both and isinstance(lstm, keras.layers.Bidirectional):
                parts = [lstm.forward_layer, lstm.backward_layer]
            fits = all(isinstance(part, keras.layers.LSTM) for part in parts)
            if not fits or len(parts) != len(directions):
                kind = "Bidirectional around an LSTM" if both else "LSTM"
                raise ValueError(
                    f"`lstms[{index}]` must be a keras.layers.{kind}. Received: {lstm!r}"
                )
            cells = (self._cell(index, backward) for backward in directions)
            pairs += [(f"`lstms[{index}]`", *pair) for pair in zip(cells, parts, strict=True)]
        return pairs

    def _beside_torch(self, name, modules, writable=False) -> list[tuple[Any, ...]]:
        """Returns each cell with the parameters that belong to it, by their names without a suffix.

        A single module holds all layers; in a list there is one for each.
        """
        every = range(self.num_layers)
        groups = [(name, modules, every)]
        if isinstance(modules, (list, tuple)):
            several = _one_a_layer(name, modules, self.num_layers)
            groups = [(f"{name}[{i}]", module, [i]) for i, module in enumerate(several)]
        found = []
        for part_of, module, indices in groups:
            state, expected = _state(part_of, module, writable), {}
            for number, index in enumerate(indices):
                for backward in self._directions(index):
                    suffix = f"_l{number}" + ("_reverse" if backward else "")
                    cell = self._cell(index, backward)
                    shapes = _torch_shapes(cell)
                    expected |= {part + suffix: shape for part, shape in shapes.items()}
                    found.append((cell, {part: state.get(part + suffix) for part in shapes}))
            _check_parameters(part_of, state, expected)
        return found


def _check_shapes(name, received, cell):
    received = [tuple(shape) for shape in received]
    expected = [tuple(weight.shape) for weight in cell.weights]
    if received != expected:
        raise ValueError(f"{name} must have the shapes {expected}. Received: the shapes {received}")


def _shapes_of(lstm, width=None):
    """Returns the shapes of a Keras layer's weights, over `width` features if it is not built."""
    if lstm.built:
        return [weight.shape for weight in lstm.cell.weights]
    gates = 4 * lstm.units
    return [(width, gates), (lstm.units, gates), (gates,)][: 3 if lstm.use_bias else 2]


def _torch_shapes(cell):
    kernel, recurrent_kernel, *bias = (tuple(weight.shape) for weight in cell.weights)
    shapes = {"weight_ih": kernel[::-1], "weight_hh": recurrent_kernel[::-1]}
    return shapes | ({"bias_ih": bias[0], "bias_hh": bias[0]} if bias else {})


def _one_a_layer(name, items, count):
    if not isinstance(items, (list, tuple)) or len(items) != count:
        received = f"{len(items)}" if isinstance(items, (list, tuple)) else type(items).__name__
        raise ValueError(
            f"`{name}` must be a list of {count} layers, the bottom one first. Received: {received}"
        )
    return items


def _state(name, module, writable):
    state = module.state_dict() if hasattr(module, "state_dict") else module
    if not isinstance(state, Mapping):
        raise ValueError(
            f"`{name}` must be a torch.nn.LSTM or its state dict. Received: {type(module).__name__}"
        )
    state = {key: state[key] for key in state if _TORCH_PARAMETER.fullmatch(str(key))}
    if writable and not all(hasattr(value, "copy_") for value in state.values()):
        raise ValueError(f"`{name}` must hold tensors of PyTorch, to be written to")
    return state


def _check_parameters(name, state, expected):
    received = {key: tuple(np.shape(value)) for key, value in state.items()}
    wrong = [
        f"{key} {received.get(key, 'missing')} for {expected.get(key, 'none')}"
        for key in sorted({*received, *expected})
        if received.get(key) != expected.get(key)
    ]
    if wrong:
        raise ValueError(
            f"`{name}` must have the parameters of this stack and no others. "
            f"Received: {', '.join(wrong)}"
        )


def _array(value):
    return value.detach().cpu().double().numpy() if hasattr(value, "detach") else np.asarray(value)
