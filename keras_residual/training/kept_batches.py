"""Batches of the cached outputs of a frozen part, on which the layers above it train."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_residual.training.frozen import Outputs

Tensor = Any


def kept_batches(
    outputs: Outputs,
    batch_size: int,
    training: bool,
    seed: int = 0,
    in_step: bool | None = None,
):
    """Returns batches for a training or an evaluation, made in the step if they fit into memory.

    Each epoch uses one version of each image, in turn.

    Args:
        outputs: The outputs.
        batch_size: Number of images in a batch.
        training: Whether to shuffle each epoch.
        seed: Non-negative integer, determines the order.
        in_step: Whether batches are made in the step. Defaults to whether the outputs are in
            memory.
    """
    batch_size = min(batch_size, outputs.count)
    order = _Order(outputs.count, outputs.versions, batch_size, training, seed)
    if outputs.in_memory if in_step is None else in_step:
        return KeptInMemory((outputs.values, outputs.targets), order)
    return KeptInFile(outputs, order) if training else FileSequence(outputs, order)


@dataclass(frozen=True)
class _Order:
    count: int
    versions: int
    batch_size: int
    training: bool
    seed: int

    def __len__(self) -> int:
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (rest > 0 and not self.training)

    def rows(self, epoch: int) -> np.ndarray:
        """Returns the rows of the outputs in the order of an epoch."""
        if not self.training:
            return np.arange(self.count, dtype=np.int32)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
        return (order + epoch % self.versions * self.count).astype(np.int32)

    def batches(self, epoch: int) -> list[np.ndarray]:
        rows = self.rows(epoch)
        return [
            rows[number * self.batch_size : (number + 1) * self.batch_size]
            for number in range(len(self))
        ]


@dataclass(frozen=True, eq=False)
class KeptInMemory:
    """Outputs in memory, batched inside the step.

    Attributes:
        arrays: Outputs and targets.
        rows: The order.
    """

    arrays: tuple[np.ndarray, np.ndarray]
    rows: _Order

    def __len__(self) -> int:
        return len(self.rows)

    def order(self, epoch: int) -> list[np.ndarray]:
        """Returns the rows of each batch, `(batches, size)`, and of a smaller last one."""
        batches = self.rows.batches(epoch)
        whole = [batch for batch in batches if len(batch) == self.rows.batch_size]
        rest = [batch[None] for batch in batches[len(whole) :]]
        return [np.stack(whole), *rest]

    def make(self, arrays: tuple[Tensor, Tensor], index: Tensor, epoch: Tensor) -> tuple[Any, ...]:
        """Returns `(outputs, targets)` of one row of `order(epoch)`."""
        values, targets = (keras.ops.take(array, index, axis=0) for array in arrays)
        return keras.ops.cast(values, "float32"), targets


@dataclass(frozen=True, eq=False)
class KeptInFile:
    """Outputs in a file, read batch by batch: a function of the epoch, for `training.fit`."""

    outputs: Outputs
    rows: _Order

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self, epoch: int) -> Iterator[tuple[Any, ...]]:
        """Yields the batches of that epoch and of all later ones."""
        while True:
            for batch in self.rows.batches(epoch):
                yield _read(self.outputs, batch)
            epoch += 1


class FileSequence(keras.utils.PyDataset):
    """Outputs in a file, read batch by batch in their order."""

    def __init__(self, outputs: Outputs, rows: _Order):
        super().__init__()
        self.outputs, self.rows = outputs, rows

    def __len__(self) -> int:
        return math.ceil(self.rows.count / self.rows.batch_size)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        return _read(self.outputs, self.rows.batches(0)[number])


def _read(outputs, rows) -> tuple[Any, ...]:
    # Read in the order of the file, then permuted.
    ascending = np.argsort(rows)
    values = np.empty((len(rows), *outputs.values.shape[1:]), np.float32)
    values[ascending] = outputs.values[rows[ascending]]
    return values, outputs.targets[rows]
