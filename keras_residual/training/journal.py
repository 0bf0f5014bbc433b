"""Writes the log of a training after each epoch, and checkpoints at low cost."""

import csv
import io
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_residual._files import write_text
from keras_residual.training import checkpoint
from keras_residual.training.progress import Progress

CHECKPOINT, LOG, MODEL = "checkpoint.keras", "log.csv", "model.keras"
# Fraction of the time that may be spent on writing checkpoints.
_SHARE = 0.03
# Maximal time in seconds that a crash may cost, even if writing is slow.
_LONGEST = 60.0
ADVICE = (
    "A lower learning rate, a longer warmup or clipped gradients may help; with mixed_float16, "
    "mixed_bfloat16 or float32 may."
)


class Journal(keras.callbacks.Callback):
    """Writes the log and the checkpoint, and stops a training whose loss is NaN or infinite.

    Args:
        output: The folder; `None` to write nothing.
        progress: The progress of the training; each epoch adds a row.
        seconds: Least time between two checkpoints; `None` for 33 times the duration of the last
            one, at most a minute.
        writes: Whether this process writes files; only one of several does.
        whole: The model that is saved; the one that trains may be a part of it. Defaults to the
            one that trains.
    """

    def __init__(
        self,
        output: Path | None,
        progress: Progress,
        seconds: float | None = None,
        writes: bool = True,
        whole: keras.Model | None = None,
    ):
        super().__init__()
        self.output, self.progress = output, progress
        self.writes = writes and output is not None
        self._whole = whole
        self.seconds = seconds
        self.saved = len(progress.rows)
        self._next = -math.inf

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        values = {name: float(value) for name, value in logs.items()}
        if not math.isfinite(values["loss"]):
            self._stop(f"The loss became {values['loss']} in epoch {epoch + 1}.")
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = round(time.perf_counter() - self.began, 3)
        self.progress.rows.append(
            {"epoch": epoch + 1, **values, "learning_rate": rate, "seconds": seconds}
        )
        if self.writes:
            # The checkpoint also holds the log: rows of later epochs are removed when resumed.
            self._try(lambda: write_text(self.output / LOG, as_csv(self.progress.rows)), "log")
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        if last or time.perf_counter() >= self._next:
            self.save()

    @property
    def whole(self) -> keras.Model:
        """The model that is saved."""
        return self.model if self._whole is None else self._whole

    def save(self) -> None:
        """Writes the checkpoint; if that fails, the previous one is kept and training continues."""
        epoch = len(self.progress.rows)
        if not all(_is_finite(variable) for variable in self.whole.weights):
            self._stop(f"Weights became infinite or NaN in epoch {epoch}.")
        started = time.perf_counter()
        if self.writes and not self._try(self._checkpoint, "checkpoint"):
            return
        self.saved = epoch
        ended = time.perf_counter()
        rest = min((ended - started) / _SHARE, _LONGEST) if self.seconds is None else self.seconds
        self._next = ended + rest

    def _checkpoint(self):
        checkpoint.save(self.output / CHECKPOINT, self.whole, self.progress)

    def _try(self, write: Callable[[], None], what: str) -> bool:
        """Returns whether a file could be written; a full disk must not stop a training."""
        try:
            write()
        except (OSError, RuntimeError) as error:
            # HDF5 reports a full disk in either.
            if not isinstance(error, OSError) and "errno" not in str(error):
                raise
            warnings.warn(
                f"The {what} of epoch {len(self.progress.rows)} could not be written ({error}); "
                f"the checkpoint of epoch {self.saved} is kept and training continues.",
                stacklevel=2,
            )
            return False
        return True

    def _stop(self, reason: str):
        kept = "No epoch was finished."
        if self.output is None:
            kept = "No checkpoint is kept."
        elif self.saved:
            kept = f"{self.output / CHECKPOINT} holds epoch {self.saved}, the last good one."
        raise FloatingPointError(f"{reason} {kept} {ADVICE}")


def _is_finite(variable) -> bool:
    if not keras.backend.is_float_dtype(variable.dtype):
        return True
    return bool(np.isfinite(keras.ops.convert_to_numpy(keras.ops.sum(variable))))


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """Returns the names in all rows; validation data may have been added when resuming."""
    return list(dict.fromkeys(name for row in rows for name in row))


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Returns the rows as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
