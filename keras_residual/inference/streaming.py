"""Streaming transcription of a sequence that arrives in pieces."""

import os

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.export import lstm


class TranscriptStream:
    """Transcribes a sequence that arrives in pieces, by greedy decoding.

    The labels equal those of decoding the whole sequence at once, however it is split. Leave out
    padding: steps that a model for whole sequences masks are not masked in a stream.

    Args:
        model: A `ResidualLSTMTranscriber` without a front or with a causal one, of sequences,
            waveforms or pictures, or the path of a file that `export.lstm.write_streaming` made of
            one.
        blank: Index of the blank; `-1`, the default, is the last unit.

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
        self._window = self._stream.window
        self._axis = self._window.axis - 1
        self._waiting = self._zeros(self._window.before)
        self._begun = self._ended = False
        self._last, self.labels = None, ()

    def push(self, piece: Tensor) -> tuple[int, ...]:
        """Processes the next steps, any number of them, and returns the new labels.

        Args:
            piece: `(steps, features)`, or `(samples,)` of a waveform, or `(height, columns,
                channels)` of a picture.

        Raises:
            ValueError: If the shape is another, a number is NaN or infinite, a waveform is given in
                integers, or the sequence has ended.
        """
        piece = np.asarray(piece)
        expected = list(self._stream.shape[1:])
        expected[self._axis] = "columns" if self._axis else "steps"
        if piece.ndim != len(expected) or any(
            size != given
            for size, given in zip(expected, piece.shape, strict=True)
            if not isinstance(size, str)
        ):
            raise ValueError(
                f"`piece` must have the shape ({', '.join(map(str, expected))}). "
                f"Received: a shape of {piece.shape}"
            )
        if self._window.needed > 1 and piece.dtype.kind != "f":
            raise ValueError(
                "`piece` must be samples of a waveform in [-1, 1]: divide int16 by 32768. "
                f"Received: {piece.dtype}"
            )
        if not np.isfinite(piece).all():
            raise ValueError("`piece` must be finite. Received: NaN or infinity")
        if self._ended:
            raise ValueError("The sequence has ended: `reset` begins a new one.")
        self._begun = self._begun or piece.shape[self._axis] > 0
        self._waiting = np.concatenate([self._waiting, piece], axis=self._axis)
        return self._decoded(self._window.size)

    def finish(self) -> tuple[int, ...]:
        """Ends the sequence and returns the new labels."""
        self._ended = True
        if not self._begun:
            return ()
        zeros = self._zeros(self._window.after)
        self._waiting = np.concatenate([self._waiting, zeros], axis=self._axis)
        new = self._decoded(self._window.needed)
        self._waiting = self._zeros(0)
        return new

    def _zeros(self, count):
        shape = list(self._stream.shape[1:])
        shape[self._axis] = count
        return np.zeros(shape)

    def _decoded(self, needed):
        """Returns the labels of all stretches of which so many steps have arrived."""
        new, window = [], self._window
        while (count := self._waiting.shape[self._axis]) >= needed:
            stretch, _ = np.split(self._waiting, [min(count, window.size)], axis=self._axis)
            missing = self._zeros(window.size - stretch.shape[self._axis])
            stretch = np.concatenate([stretch, missing], axis=self._axis)
            _, self._waiting = np.split(self._waiting, [min(count, window.hop)], axis=self._axis)
            for scores in self._stream(stretch[None])[0]:
                unit = int(scores.argmax())
                if unit != self._last and unit != self._blank % len(scores):
                    new.append(unit)
                self._last = unit
        self.labels += tuple(new)
        return tuple(new)
