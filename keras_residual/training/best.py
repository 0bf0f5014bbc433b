"""The best epoch of a training, kept and put back at its end."""

import math
from pathlib import Path
from typing import Any

import keras

from keras_residual._files import replacing
from keras_residual.training.progress import Progress

BEST = "best.weights.h5"
MONITOR = "val_loss"


class BestEpoch(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the lowest loss on the held-out examples.

    The loss and not the accuracy decides: of a few hundred examples many epochs have the same
    number right. Stands before the journal, so that a checkpoint never knows of an epoch whose
    weights were not kept.

    Args:
        whole: The model whose weights are kept; the one that trains may be a part of it.
        output: The folder of the training.
        progress: What has been done.
        writes: Whether this process writes files.
    """

    def __init__(self, whole: keras.Model, output: Path, progress: Progress, writes: bool = True):
        super().__init__()
        self.whole, self.path, self.progress = whole, output / BEST, progress
        self.writes = writes

    def on_epoch_end(self, epoch, logs=None):
        value = logs.get(MONITOR)
        if value is None or not self.writes or not value < lowest(self.progress.rows):
            return
        with replacing(self.path) as partial:
            self._without_optimizer().save_weights(partial)

    def put_in_place(self) -> None:
        """Gives the model the weights of the best epoch, or leaves the last where none is kept."""
        if best_epoch(self.progress.rows) is not None and self.path.exists():
            self._without_optimizer().load_weights(self.path)

    def _without_optimizer(self) -> keras.Model:
        """The same layers as a model that has not been compiled; each phase has its optimizer."""
        return keras.Model(self.whole.input, self.whole.output, name=self.whole.name)


def lowest(rows: list[dict[str, Any]]) -> float:
    """Returns the lowest loss on the held-out examples so far."""
    return min((row[MONITOR] for row in rows if MONITOR in row), default=math.inf)


def best_epoch(rows: list[dict[str, Any]]) -> int | None:
    """Returns the number, from 1, of the first epoch with the lowest loss, or `None`."""
    values = {row["epoch"]: row[MONITOR] for row in rows if MONITOR in row}
    return min(values, key=values.get) if values else None
