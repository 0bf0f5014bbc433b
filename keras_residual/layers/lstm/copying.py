"""Copies weights between a recurrent stack and the recurrent layers of Keras and PyTorch.

Keras and PyTorch order the gates of an LSTM the same way (input, forget, candidate, output).
PyTorch transposes the kernels and has two biases; in an LSTM only their sum matters. All layers are
checked before any weight is changed.
"""

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_residual.layers.lstm.cell_weights import CellWeights, check_shapes

_TORCH_PARAMETER = re.compile(r"(weight|bias)_(ih|hh|hr)_l\d+(_reverse)?")


class PeerWeights(CellWeights):
    """Mixin of stacks of Keras' cells that copies weights from and to Keras and PyTorch.

    Attributes:
        cell_class: Class of the cells, such as `keras.layers.LSTMCell`.
        peer: Keras' layer with such a cell, such as `keras.layers.LSTM`.
        gates: Number of gates in a kernel.
    """

    cell_class: type[keras.layers.Layer]
    peer: type[keras.layers.Layer]
    gates: int

    def make_cell(self, index: int, options: dict[str, Any]) -> keras.layers.Layer:
        return self.cell_class(self.units, **options)

    def cell_weights(self, cell: keras.layers.Layer) -> tuple[Any, ...]:
        return cell.kernel, cell.recurrent_kernel, cell.bias

    def torch_arrays(self, cell: keras.layers.Layer) -> dict[str, np.ndarray]:
        """Returns the weights of a cell under PyTorch's names, without the layer's suffix."""
        kernel, recurrent_kernel, *bias = cell.get_weights()
        arrays = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T}
        return arrays | ({"bias_ih": bias[0], "bias_hh": 0 * bias[0]} if bias else {})

    def from_torch_arrays(self, arrays: Mapping[str, np.ndarray]) -> list[Any]:
        """Returns the weights of a cell from arrays named as in `torch_arrays`."""
        kernels = [arrays["weight_ih"].T, arrays["weight_hh"].T]
        return kernels + ([arrays["bias_ih"] + arrays["bias_hh"]] if "bias_ih" in arrays else [])

    def copy_from_torch(self, source: Any) -> None:
        """Copies the weights of PyTorch's module of the same kind, such as `torch.nn.LSTM`.

        Args:
            source: A module or state dict with all layers, or a list with one for each layer,
                bottom first.

        Raises:
            ValueError: If a parameter is missing, unexpected or has the wrong shape. No weights
                are changed then.
        """
        weights = []
        for cell, parameters in self._beside_torch("source", source):
            arrays = {name: _array(value) for name, value in parameters.items()}
            weights.append((cell, self.from_torch_arrays(arrays)))
        for cell, values in weights:
            cell.set_weights(values)

    def copy_to_torch(self, target: Any) -> None:
        """Copies the weights to PyTorch's module; where biases are summed, the second becomes zero.

        Args:
            target: As `source` of `copy_from_torch`.

        Raises:
            ValueError: As in `copy_from_torch`.
        """
        for cell, parameters in self._beside_torch("target", target, writable=True):
            for name, value in self.torch_arrays(cell).items():
                parameter = parameters[name].detach()
                parameter.copy_(parameter.new_tensor(np.ascontiguousarray(value)))

    def _copy_from_keras(self, name, layers):
        pairs = self._beside_keras(name, layers)
        for title, cell, layer in pairs:
            if not layer.built:
                raise ValueError(f"{title} has no weights yet: call or `build` it first")
            check_shapes(f"The weights of {title}", self._shapes_of(layer), cell)
        for _, cell, layer in pairs:
            cell.set_weights(layer.cell.get_weights())

    def _copy_to_keras(self, name, layers):
        pairs = self._beside_keras(name, layers)
        for title, cell, layer in pairs:
            shapes = self._shapes_of(layer, cell.kernel.shape[0])
            check_shapes(f"The weights of {title}", shapes, cell)
        for _, cell, layer in pairs:
            if not layer.built:
                layer.build((None, None, cell.kernel.shape[0]))
            layer.cell.set_weights(cell.get_weights())

    def _shapes_of(self, layer, width=None):
        """Returns the shapes of a Keras layer's weights, over `width` features if not built."""
        if layer.built:
            return [weight.shape for weight in layer.cell.weights]
        sizes = self.gates * layer.units
        bias = (2, sizes) if getattr(layer.cell, "reset_after", False) else (sizes,)
        return [(width, sizes), (layer.units, sizes), bias][: 3 if layer.use_bias else 2]

    def _beside_keras(self, name, layers) -> list[tuple[Any, ...]]:
        """Returns a name, the corresponding cell, and the layer for each of `layers`."""
        pairs = []
        for index, layer in enumerate(_one_a_layer(name, layers, self.num_layers)):
            directions = self._directions(index)
            both = len(directions) > 1
            parts = [layer]
            if both and isinstance(layer, keras.layers.Bidirectional):
                parts = [layer.forward_layer, layer.backward_layer]
            fits = all(isinstance(part, self.peer) for part in parts)
            if not fits or len(parts) != len(directions):
                kind = self.peer.__name__
                kind = f"Bidirectional around an {kind}" if both else kind
                raise ValueError(
                    f"`{name}[{index}]` must be a keras.layers.{kind}. Received: {layer!r}"
                )
            cells = (self._cell(index, backward) for backward in directions)
            pairs += [(f"`{name}[{index}]`", *pair) for pair in zip(cells, parts, strict=True)]
        return pairs

    def _beside_torch(self, name, modules, writable=False) -> list[tuple[Any, ...]]:
        """Returns each cell with its PyTorch parameters, named without the layer's suffix.

        A single module holds all layers; a list has one module per layer.
        """
        every = range(self.num_layers)
        groups = [(name, modules, every)]
        if isinstance(modules, (list, tuple)):
            several = _one_a_layer(name, modules, self.num_layers)
            groups = [(f"{name}[{i}]", module, [i]) for i, module in enumerate(several)]
        found = []
        for part_of, module, indices in groups:
            state, expected = _state(part_of, module, writable, self.peer.__name__), {}
            for number, index in enumerate(indices):
                for backward in self._directions(index):
                    suffix = f"_l{number}" + ("_reverse" if backward else "")
                    cell = self._cell(index, backward)
                    arrays = self.torch_arrays(cell)
                    shapes = {part + suffix: value.shape for part, value in arrays.items()}
                    expected |= shapes
                    found.append((cell, {part: state.get(part + suffix) for part in arrays}))
            _check_parameters(part_of, state, expected)
        return found


class LSTMWeights(PeerWeights):
    """The methods of `ResidualLSTM` that get, set and copy weights."""

    cell_class, peer, gates = keras.layers.LSTMCell, keras.layers.LSTM, 4

    def get_lstm_weights(self, index: int, backward: bool = False) -> list[Any]:
        """Returns `[kernel, recurrent_kernel, bias]` of a layer, in the order of Keras' LSTM.

        Args:
            index: Index of the layer, bottom first.
            backward: Whether to return the weights of the backward direction of a bidirectional
                bottom layer.
        """
        return self.get_cell_weights(index, backward)

    def set_lstm_weights(self, index: int, weights: list[Any], backward: bool = False) -> None:
        """Sets `[kernel, recurrent_kernel, bias]` of a layer; see `get_lstm_weights`."""
        self.set_cell_weights(index, weights, backward)

    def copy_from_keras(self, lstms: list[Any]) -> None:
        """Copies the weights of `keras.layers.LSTM` layers.

        Args:
            lstms: One layer for each layer of the stack, bottom first; with `bidirectional_bottom`,
                the first is a `keras.layers.Bidirectional`.

        Raises:
            ValueError: If a layer has the wrong type or shapes, or is not built. No weights are
                changed then.
        """
        self._copy_from_keras("lstms", lstms)

    def copy_to_keras(self, lstms: list[Any]) -> None:
        """Copies the weights to `keras.layers.LSTM` layers, which are built if necessary.

        Args:
            lstms: As in `copy_from_keras`.

        Raises:
            ValueError: As in `copy_from_keras`.
        """
        self._copy_to_keras("lstms", lstms)


class GRUWeights(PeerWeights):
    """The methods of `ResidualGRU` that copy weights.

    Keras orders the gates update, reset, candidate; PyTorch reset, update, candidate.
    """

    cell_class, peer, gates = keras.layers.GRUCell, keras.layers.GRU, 3

    def copy_from_keras(self, grus: list[Any]) -> None:
        """Copies the weights of `keras.layers.GRU` layers.

        Args:
            grus: One layer for each layer of the stack, bottom first; with `bidirectional_bottom`,
                the first is a `keras.layers.Bidirectional`.

        Raises:
            ValueError: If a layer has the wrong type, shapes or `reset_after`, or is not built. No
                weights are changed then.
        """
        self._check_reset("grus", grus)
        self._copy_from_keras("grus", grus)

    def copy_to_keras(self, grus: list[Any]) -> None:
        """Copies the weights to `keras.layers.GRU` layers, which are built if necessary.

        Args:
            grus: As in `copy_from_keras`.

        Raises:
            ValueError: As in `copy_from_keras`.
        """
        self._check_reset("grus", grus)
        self._copy_to_keras("grus", grus)

    def torch_arrays(self, cell: keras.layers.GRUCell) -> dict[str, np.ndarray]:
        if not self.reset_after:
            raise ValueError(
                "torch.nn.GRU needs a stack with reset_after=True. Received: reset_after=False"
            )
        kernel, recurrent_kernel, *bias = (_exchanged(w) for w in cell.get_weights())
        arrays = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T}
        return arrays | ({"bias_ih": bias[0][0], "bias_hh": bias[0][1]} if bias else {})

    def from_torch_arrays(self, arrays: Mapping[str, np.ndarray]) -> list[Any]:
        weights = [arrays["weight_ih"].T, arrays["weight_hh"].T]
        if "bias_ih" in arrays:
            weights.append(np.stack([arrays["bias_ih"], arrays["bias_hh"]]))
        return [_exchanged(weight) for weight in weights]

    def _check_reset(self, name, layers):
        for index, (_, _, layer) in enumerate(self._beside_keras(name, layers)):
            if layer.reset_after != self.reset_after:
                raise ValueError(
                    f"`{name}` must have reset_after={self.reset_after}, like this stack. "
                    f"Received: {layer!r} with reset_after={layer.reset_after} (direction {index})"
                )


def _exchanged(weight):
    """Returns a weight with its first two gates swapped."""
    first, second, rest = np.split(weight, 3, axis=-1)
    return np.concatenate([second, first, rest], axis=-1)


def _one_a_layer(name, items, count):
    if not isinstance(items, (list, tuple)) or len(items) != count:
        received = f"{len(items)}" if isinstance(items, (list, tuple)) else type(items).__name__
        raise ValueError(
            f"`{name}` must be a list of {count} layers, bottom first. Received: {received}"
        )
    return items


def _state(name, module, writable, kind):
    state = module.state_dict() if hasattr(module, "state_dict") else module
    if not isinstance(state, Mapping):
        raise ValueError(
            f"`{name}` must be a torch.nn.{kind} or its state dict. "
            f"Received: {type(module).__name__}"
        )
    state = {key: state[key] for key in state if _TORCH_PARAMETER.fullmatch(str(key))}
    if writable and not all(hasattr(value, "copy_") for value in state.values()):
        raise ValueError(f"`{name}` must hold PyTorch tensors, which can be written to")
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
