"""Labels of a sequence that arrives in pieces."""

import os

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.export import lstm


class TranscriptStream:
    """Transcribes a sequence that arrives in pieces, by the best path.

    The labels are those of the whole sequence at once, whatever the pieces are.

    Args:
        model: A `ResidualLSTMTranscriber` of sequences without a front or with a causal one, or the
            path of a file that `export.lstm.write_streaming` made of one.
        blank: Number of the unit of the blank; `-1`, the default, is the last.

    Attributes:
        labels: All labels so far, a tuple.

    Example:

    >>> heard = TranscriptStream(model)  # doctest: +SKIP
    >>> for piece in microphone:  # doctest: +SKIP
    ...     print(heard.push(piece))
    >>> heard.finish()  # doctest: +SKIP
    """

    def __init__(self, model: keras.Model | str | os.PathLike[str], blank: int = -1):
        if isinstance(model, keras.Model):
            self._stream = lstm.stream(model)
        elif isinstance(model, str | os.PathLike):
            self._stream = lstm.LiteRTStream(model)
        else:
            raise ValueError(f"`model` must be a Keras model or a path. Received: model={model!r}")
        if self._stream.shape[0] != 1:
            raise ValueError(
                "`model` must take one sequence at a time. Received: a file for "
                f"{self._stream.shape[0]}"
            )
        self._blank = _checks.integer("blank", blank, minimum=-1)
        self.reset()

    def reset(self) -> None:
        """Begins a new sequence."""
        self._stream.reset()
        self._waiting = np.zeros((0, *self._stream.shape[2:]))
        self._last, self.labels = None, ()

    def push(self, piece: Tensor) -> tuple[int, ...]:
        """Takes the next steps, any number of them, and returns the labels that are new.

        Args:
            piece: `(steps, features)`.

        Raises:
            ValueError: If the shape is another, or a number is NaN or infinite.
        """
        piece = np.asarray(piece)
        if piece.shape[1:] != self._stream.shape[2:] or piece.ndim != len(self._stream.shape) - 1:
            shape = ", ".join(["steps", *map(str, self._stream.shape[2:])])
            raise ValueError(
                f"`piece` must have the shape ({shape}). Received: a shape of {piece.shape}"
            )
        if not np.isfinite(piece).all():
            raise ValueError("`piece` must be finite. Received: NaN or infinity")
        steps = np.concatenate([self._waiting, piece])
        group = self._stream.shape[1]
        whole = len(steps) // group * group
        self._waiting = steps[whole:]
        return self._heard(steps[:whole].reshape(-1, 1, *self._stream.shape[1:]))

    def finish(self) -> tuple[int, ...]:
        """Ends the sequence and returns the labels that are new."""
        if not len(self._waiting):
            return ()
        # The output of a group follows from its first step; the others count for what comes later.
        missing = self._stream.shape[1] - len(self._waiting)
        widths = [(0, missing)] + [(0, 0)] * (self._waiting.ndim - 1)
        group = np.pad(self._waiting, widths)[None, None]
        self._waiting = self._waiting[:0]
        return self._heard(group)

    def _heard(self, groups):
        new = []
        for group in groups:
            for scores in self._stream(group)[0]:
                unit = int(scores.argmax())
                if unit != self._last and unit != self._blank % len(scores):
                    new.append(unit)
                self._last = unit
        self.labels += tuple(new)
        return tuple(new)
