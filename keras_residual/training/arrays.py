"""Batches of plain arrays, gathered inside the compiled step."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_residual import _checks


@dataclass(frozen=True, eq=False)
class ArrayBatches:
    """Batches of arrays that are gathered inside the step of `training.fit`, see `InStep`.

    The order of an epoch depends only on the seed and the number of the epoch.

    Attributes:
        arrays: Inputs and labels, with examples along the first axis.
        batch_size: Number of examples in a batch.
        seed: Determines the order.
        training: Whether to shuffle, and to drop a last batch that is smaller than the others.
    """

    arrays: tuple[np.ndarray, np.ndarray]
    batch_size: int
    seed: int = 0
    training: bool = True

    def __len__(self) -> int:
        whole, rest = divmod(len(self.arrays[0]), self.batch_size)
        return whole + (rest > 0 and not self.training)

    def order(self, epoch: int) -> list[np.ndarray]:
        """Returns the indices of the examples of each batch, and of a smaller last one."""
        count = len(self.arrays[0])
        index = np.arange(count, dtype=np.int32)
        if self.training:
            index = np.random.default_rng((self.seed, epoch)).permutation(index)
        whole = count // self.batch_size * self.batch_size
        parts = [index[:whole].reshape(-1, self.batch_size)]
        if not self.training:
            parts.append(index[None, whole:])
        return [part for part in parts if part.size]

    def make(self, arrays, index, epoch) -> tuple[Any, ...]:
        """Returns `(inputs, labels)` of one batch."""
        return tuple(keras.ops.take(array, index, axis=0) for array in arrays)


def is_array(value: object) -> bool:
    """Returns whether an object is an array or a tensor, and not a collection of them."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__getitem__")


def array_batches(
    pair: tuple[Any, ...], batch_size: int, seed: int = 0, training: bool = True
) -> ArrayBatches:
    """Returns the batches of `(inputs, labels)`.

    Raises:
        ValueError: If they are not arrays of equally many examples.
    """
    if any(hasattr(part, "ragged_rank") for part in pair):
        raise ValueError(
            "`data` must hold arrays whose examples have one shape: pad a ragged tensor by its "
            "`to_tensor()`. Received: a ragged tensor"
        )
    arrays = tuple(np.asarray(part) for part in pair)
    shapes = tuple(array.shape for array in arrays)
    if () in shapes or len(arrays[0]) != len(arrays[1]) or not len(arrays[0]):
        raise ValueError(
            "`data` as arrays must be (inputs, labels) of equally many examples. "
            f"Received: shapes {shapes}"
        )
    if any(array.dtype == object for array in arrays):
        raise ValueError(
            "`data` must hold arrays whose examples have one shape. Received: an array of objects"
        )
    batch_size = min(_checks.integer("batch_size", batch_size), len(arrays[0]))
    return ArrayBatches(arrays, batch_size, seed, training)
