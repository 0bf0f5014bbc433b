"""Weights of a recurrent stack, cell by cell."""

from typing import Any

import numpy as np

from keras_residual import _checks


class CellWeights:
    """The methods of a recurrent stack that get and set the weights of its cells."""

    def get_cell_weights(self, index: int, backward: bool = False) -> list[Any]:
        """Returns the weights of a layer's cell as arrays.

        Args:
            index: Which layer, from 0.
            backward: Whether to take the backward direction of a bidirectional bottom layer.
        """
        return self._cell(index, backward).get_weights()

    def set_cell_weights(self, index: int, weights: list[Any], backward: bool = False) -> None:
        """Sets the weights of a layer's cell, arguments as `get_cell_weights`."""
        cell = self._cell(index, backward)
        if not isinstance(weights, (list, tuple)):
            raise ValueError(f"`weights` must be a list of arrays. Received: weights={weights!r}")
        check_shapes(f"`weights` of layer {index}", map(np.shape, weights), cell)
        cell.set_weights(weights)

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
        """Returns the values of `backward` that are valid for layer `index`."""
        return (False, True) if index == 0 and self.bidirectional_bottom else (False,)


def check_shapes(name, received, cell):
    received = [tuple(shape) for shape in received]
    expected = [tuple(weight.shape) for weight in cell.weights]
    if received != expected:
        raise ValueError(f"{name} must have the shapes {expected}. Received: the shapes {received}")
