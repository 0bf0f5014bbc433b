"""Runs LiteRT files of recurrent models on whole sequences and on streams."""

import os
from pathlib import Path

import keras
import numpy as np

from keras_residual import _checks
from keras_residual.export.formats.litert.quantized import from_tensor, to_tensor
from keras_residual.export.formats.litert.schema import file_facts, operation_counts
from keras_residual.models.streaming import Window

FUSED_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
_SIGNATURE = "serving_default"


class LiteRTSequences:
    """Runs a file written by `export.lstm.write`; every call starts from zero states.

    Args:
        path: The file.
        threads: Positive integer. Defaults to `1`.

    Call arguments:
        sequences: `(n, steps, …)`; the file's batch size must divide `n`.

    Returns:
        The outputs, `(n, …)`, floating point.

    Example:

    >>> LiteRTSequences("tagger.tflite")(sequences).shape  # doctest: +SKIP
    (3, 20, 17)
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1):
        self._interpreter = _interpreter(path, threads)
        self._interpreter.allocate_tensors()
        self._run = self._interpreter.get_signature_runner(_SIGNATURE)
        self._input = self._run.get_input_details()["sequences"]
        self._output = self._run.get_output_details()["outputs"]

    def __call__(self, sequences) -> np.ndarray:
        batch, *shape = self._input["shape"].tolist()
        sequences = np.asarray(sequences)
        if sequences.shape[1:] != tuple(shape) or not len(sequences) or len(sequences) % batch:
            raise ValueError(
                f"`sequences` must have the shape {(f'a multiple of {batch}', *shape)}. "
                f"Received: a shape of {sequences.shape}"
            )
        parts = []
        for start in range(0, len(sequences), batch):
            self._interpreter.reset_all_variables()
            values = to_tensor(sequences[start : start + batch], self._input)
            parts.append(from_tensor(self._run(sequences=values)["outputs"], self._output))
        return np.concatenate(parts)


class LiteRTStream:
    """Runs a file written by `export.lstm.write_streaming`, one step at a time.

    Args:
        path: The file.
        threads: Positive integer. Defaults to `1`.

    Attributes:
        shape: Shape of the input of one call: `(batch, 1, …)`, or with several steps that causal
            convolutions reduce to one, samples of a waveform, or columns of an image.
        window: A `Window`: the size of an input and its offset from the previous one.

    Call arguments:
        sequences: The next input, of that shape.

    Returns:
        The outputs for that input.

    Example:

    >>> stream = LiteRTStream("tagger.tflite")  # doctest: +SKIP
    >>> tags = [stream(features[None, None]) for features in sensor]  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1):
        self._run = _interpreter(path, threads).get_signature_runner(_SIGNATURE)
        self._inputs = self._run.get_input_details()
        self.shape = tuple(self._inputs["sequences"]["shape"].tolist())
        known = file_facts(Path(path).read_bytes()).get("stream")
        self.window = Window(self.shape[1], self.shape[1]) if known is None else Window(**known)
        self.reset()

    def reset(self):
        """Begins a new sequence."""
        self._states = {
            name: np.zeros(details["shape"], details["dtype"])
            for name, details in self._inputs.items()
            if name != "sequences"
        }

    def __call__(self, sequences) -> np.ndarray:
        sequences = np.asarray(sequences, self._inputs["sequences"]["dtype"])
        _check_next_steps(sequences, self.shape)
        self._states = self._run(sequences=sequences, **self._states)
        return self._states.pop("outputs")


class KerasStream:
    """Runs a model one step at a time, as `export.lstm.stream` returns it.

    Attributes:
        shape: Shape of the input of one call, `(batch, steps, …)`.
        window: A `Window`: the size of an input and its offset from the previous one.

    Call arguments:
        sequences: The next input, of that shape.

    Returns:
        The outputs for that input.
    """

    def __init__(self, step: keras.Model, states: dict[str, tuple[int, ...]], window: Window):
        self._step, self._shapes, self.window = step, states, window
        self.shape = tuple(step.input["sequences"].shape)
        self._dtype = step.input["sequences"].dtype
        self.reset()

    def reset(self):
        """Begins a new sequence."""
        self._states = {name: np.zeros(shape, "float32") for name, shape in self._shapes.items()}

    def __call__(self, sequences) -> np.ndarray:
        sequences = np.asarray(sequences, self._dtype)
        _check_next_steps(sequences, self.shape)
        self._states = dict(self._step.predict_on_batch({"sequences": sequences, **self._states}))
        return self._states.pop("outputs")


def _check_next_steps(sequences, shape):
    if sequences.shape != shape:
        raise ValueError(
            f"`sequences` must have the shape {shape}. Received: a shape of {sequences.shape}"
        )


def operations(path: str | os.PathLike[str]) -> set[str]:
    """Returns the names of the operations in a LiteRT file, including TensorFlow (Flex) ones."""
    return set(operation_counts(Path(path).read_bytes()))


def _interpreter(path, threads):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError('LiteRT files need: pip install "keras-residual[export]"') from error
    return Interpreter(str(path), num_threads=_checks.integer("threads", threads))
