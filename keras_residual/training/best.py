"""Restoring the weights of the best epoch at the end of a training."""

import math
from pathlib import Path
from typing import Any

import keras

from keras_residual._files import replacing
from keras_residual._words import first_line
from keras_residual.training.checkpoint import CheckpointError
from keras_residual.training.progress import Progress

BEST = "best.weights.h5"
MONITOR = "val_loss"


class BestEpoch(keras.callbacks.Callback):
    """Saves the weights of the epoch with the lowest loss on the held-out examples.

    The loss is used instead of the accuracy, because with a few hundred examples many epochs have
    the same accuracy. The callback precedes the journal, so that a checkpoint never refers to an
    epoch whose weights were not saved.

    Args:
        whole: The model whose weights are saved; the one that trains may be a part of it.
        output: The folder of the training.
        progress: The progress of the training.
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
        """Restores the weights of the best epoch, if there are held-out examples.

        Raises:
            CheckpointError: If the file with them is missing or damaged.
        """
        if best_epoch(self.progress.rows) is None or not (self.writes or self.path.exists()):
            return
        try:
            self._without_optimizer().load_weights(self.path)
        # A damaged file makes h5py and Keras raise several kinds of exception.
        except Exception as error:
            reason = first_line(error) if self.path.exists() else "it is missing"
            raise CheckpointError(
                f"{self.path} with the weights of the best epoch cannot be read ({reason}). "
                "Start over with resume=False, or train for more epochs."
            ) from error

    def _without_optimizer(self) -> keras.Model:
        """Returns an uncompiled model of the same layers; each phase has its own optimizer."""
        return keras.Model(self.whole.input, self.whole.output, name=self.whole.name)


def lowest(rows: list[dict[str, Any]]) -> float:
    """Returns the lowest loss on the held-out examples so far."""
    return min(_losses(rows).values(), default=math.inf)


def best_epoch(rows: list[dict[str, Any]]) -> int | None:
    """Returns the number, from 1, of the first epoch with the lowest loss, or `None`."""
    values = _losses(rows)
    return min(values, key=values.get) if values else None


def _losses(rows) -> dict[int, float]:
    """Returns the finite losses on the held-out examples by the number of the epoch."""
    known = {row["epoch"]: row[MONITOR] for row in rows if MONITOR in row}
    return {epoch: value for epoch, value in known.items() if math.isfinite(value)}
