"""Streaming of sequence models: maps the next steps and states to outputs and next states."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers import HighwayLSTM, RecurrentHighway, ResidualGRU, ResidualLSTM
from keras_residual.layers.log_mel_spectrogram import LogMelSpectrogram
from keras_residual.layers.lstm.causal_block import CausalResidualBlock
from keras_residual.layers.lstm.recurrent_stack import RecurrentStack
from keras_residual.layers.lstm.step_masks import CertainBlank, ShortenedMask, TrailingPadding
from keras_residual.layers.registration import registered

# Layers whose output at a step depends only on their input at that step.
PER_STEP = (
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.Embedding,
    keras.layers.LayerNormalization,
    keras.layers.Rescaling,
)
WITH_STATES = (RecurrentStack, CausalResidualBlock)
# How messages list these layers.
_NAMED = (ResidualLSTM, ResidualGRU, RecurrentHighway, HighwayLSTM, CausalResidualBlock)
# Skip masked steps instead of feeding them.
_OF_MASKS = (keras.layers.Masking, CertainBlank, ShortenedMask)


@dataclass(frozen=True)
class Window:
    """The window of the input that a stream takes per call.

    Attributes:
        size: Number of steps, samples or columns in a window.
        hop: Distance between the starts of two windows.
        needed: Number of them that the first output step of a window depends on; the rest of the
            window affects later output steps only.
        before: Number of zeros before the first step.
        after: Number of zeros after the last step.
        axis: Axis of the steps; the batch is axis 0.
    """

    size: int = 1
    hop: int = 1
    needed: int = 1
    before: int = 0
    after: int = 0
    axis: int = 1

    def fits(self, count: int | None) -> bool:
        """Returns whether this number of steps is a whole number of windows."""
        return count is not None and count >= self.size and (count - self.size) % self.hop == 0


def window_of(model: keras.Model) -> Window:
    """Returns the window of a model's stream.

    Raises:
        ValueError: If its spectrogram mirrors the waveform at the ends.
    """
    blocks = (layer for layer in model.layers if isinstance(layer, CausalResidualBlock))
    steps = math.prod(block.strides for block in blocks)
    axis = 2 if len(model.inputs[0].shape) == 4 else 1
    for layer in model.layers:
        if isinstance(layer, LogMelSpectrogram):
            return _window_of_waveforms(layer, steps)
    return Window(steps, steps, axis=axis)


def _window_of_waveforms(layer, steps) -> Window:
    if layer.padding == "reflect":
        raise ValueError(
            "A waveform in pieces needs a spectrogram with padding='zeros' or 'valid', which does "
            f"not look ahead. Received: {layer.name!r} with padding='reflect'"
        )
    length, stride = layer.sequence_length, layer.sequence_stride
    before = (length + 1) // 2 if layer.padding == "zeros" else 0
    after = length - before if layer.padding == "zeros" else 0
    size = max(steps * stride, (steps - 1) * stride + length)
    return Window(size, steps * stride, length, before, after)


def streamed_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a model that can be run step by step, in order, without masks.

    Raises:
        ValueError: If a layer needs later steps.
    """
    before, found = model.inputs[0], []
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if isinstance(layer, TrailingPadding) and layer.input is model.inputs[0]:
            continue
        # A mask may accompany the input.
        in_chain = keras.tree.flatten(layer.input)[0] is before
        if len(model.inputs) != 1 or not in_chain or not _is_streamed(layer, len(before.shape)):
            raise ValueError(
                "`model` must be a chain of layers that need no later step: front=None or "
                "front='causal' of a transcriber, and "
                f"{', '.join(kind.__name__ for kind in (*_NAMED, *PER_STEP))}. "
                f"Received: {layer.name!r}, {type(layer).__name__}"
            )
        before = layer.output
        if not isinstance(layer, _OF_MASKS):
            check_direction(layer)
            found.append(layer)
    return found


def _is_streamed(layer, rank) -> bool:
    if isinstance(layer, keras.layers.Permute):
        return rank == 4 and layer.dims == (2, 1, 3)
    if isinstance(layer, keras.layers.Reshape):
        return rank == 4 and layer.target_shape[0] == -1 and len(layer.target_shape) == 2
    return isinstance(layer, (*PER_STEP, *WITH_STATES, *_OF_MASKS, LogMelSpectrogram))


def check_direction(layer: keras.layers.Layer) -> None:
    """Raises if a recurrent stack needs later steps, or returns its states."""
    if isinstance(layer, RecurrentStack) and (
        layer.bidirectional_bottom or layer.go_backwards or layer.return_state
    ):
        raise ValueError(
            "A layer that needs later steps, or returns its states, cannot be streamed. "
            f"Received: {layer.name!r} with bidirectional_bottom={layer.bidirectional_bottom}, "
            f"go_backwards={layer.go_backwards}, return_state={layer.return_state}"
        )


def advance(layer: keras.layers.Layer, x: Tensor, states: Sequence[Tensor]) -> tuple[Any, ...]:
    """Returns the outputs of a layer with states for the next steps, and the next states."""
    if not isinstance(layer, RecurrentStack):
        return layer.step(x, states)
    outputs = []
    for t in range(x.shape[1]):
        y, states = layer.step(x[:, t], states)
        outputs.append(y)
    return (ops.stack(outputs, axis=1) if layer.return_sequences else y), states


def of_next_frames(layer: LogMelSpectrogram) -> LogMelSpectrogram:
    """Returns the spectrogram of a window, without padding at its ends."""
    return LogMelSpectrogram.from_config({**layer.get_config(), "padding": "valid"})


@registered
class SequenceModel(keras.Model):
    """A model of sequences that can also be run step by step, as `ResidualLSTM` can.

    Example:

    >>> model = ResidualLSTMTranscriber((None, 40), classes=10, units=8, front="causal")
    >>> states = model.get_initial_state(batch_size=1)
    >>> outputs, states = model.step(keras.ops.ones((1, 2, 40)), states)
    >>> outputs.shape
    TensorShape([1, 1, 11])
    """

    def step(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[Any, list[Any]]:
        """Runs the next steps of a stream; outputs equal those of the entire sequence.

        Without a front, each input step gives one output step; a causal front reduces `strides`
        input steps to one. For waveforms, `step` takes the samples of the frames for an output
        step, which overlap with those of the previous call: see `stream_window`;
        `inference.TranscriptStream` handles this for pieces of any length. Skip masked steps
        instead of passing them.

        Args:
            inputs: `(batch, size + k * hop, …)` for k + 1 output steps; for pictures
                `(batch, height, size + k * hop, channels)`. The axis of a single step may be
                omitted, as with `ResidualLSTM.step`.
            states: The states from `get_initial_state` or the previous call.

        Returns:
            The outputs `(batch, k + 1, units)`, without the axis of steps if `inputs` has none,
            and the list of next states.

        Raises:
            ValueError: If a layer needs later steps, or a shape does not fit.
        """
        window, (expected,) = self.stream_window, self.inputs
        inputs = ops.convert_to_tensor(inputs)
        single = window.size == 1 and len(inputs.shape) == len(expected.shape) - 1
        if single:
            inputs = ops.expand_dims(inputs, window.axis)
        _check_shape(inputs, expected, window)
        layers = streamed_layers(self)
        counts = [_state_count(layer) for layer in layers]
        if len(states) != sum(counts):
            raise ValueError(
                f"`states` must be {sum(counts)} tensors, as `get_initial_state` returns them. "
                f"Received: {len(states)}"
            )
        x, left, after = inputs, list(states), []
        for layer, count in zip(layers, counts, strict=True):
            own, left = left[:count], left[count:]
            if count:
                x, own = advance(layer, x, own)
                after += own
            else:
                x = (of_next_frames(layer) if isinstance(layer, LogMelSpectrogram) else layer)(x)
        return (x[:, 0] if single and len(x.shape) == 3 else x), after

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Returns the states before the first step, zeros.

        Raises:
            ValueError: If a layer needs later steps.
        """
        _checks.integer("batch_size", batch_size)
        return [
            state
            for layer in streamed_layers(self)
            if isinstance(layer, WITH_STATES)
            for state in layer.get_initial_state(batch_size)
        ]

    @property
    def stream_window(self) -> Window:
        """The window of the input that `step` takes.

        Raises:
            ValueError: If a layer needs later steps.
        """
        streamed_layers(self)
        return window_of(self)


def _state_count(layer) -> int:
    if not isinstance(layer, WITH_STATES):
        return 0
    return layer.state_count if isinstance(layer, RecurrentStack) else 2


def _check_shape(inputs, expected, window):
    others = [axis for axis in range(1, len(expected.shape)) if axis != window.axis]
    valid = len(inputs.shape) == len(expected.shape)
    valid = valid and all(inputs.shape[axis] == expected.shape[axis] for axis in others)
    if not valid or not window.fits(inputs.shape[window.axis]):
        shape = ["batch", *map(str, expected.shape[1:])]
        shape[window.axis] = f"{window.size} + k * {window.hop}"
        raise ValueError(
            f"`inputs` must have the shape ({', '.join(shape)}). "
            f"Received: a shape of {tuple(inputs.shape)}"
        )
