"""Writes models with recurrent stacks to LiteRT, for whole sequences or for streaming."""

import dataclasses
import os
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._files import replacing
from keras_residual._words import counted, name_of
from keras_residual.export.errors import ExportError
from keras_residual.export.formats.litert import litert
from keras_residual.export.formats.litert.float_ends import network_of, parts_of
from keras_residual.export.formats.litert.joining import chained
from keras_residual.export.formats.litert.lstm_layers import phone_model, streaming_model
from keras_residual.export.formats.litert.lstm_runtime import (
    KerasStream,
    LiteRTSequences,
    LiteRTStream,
    operations,
)
from keras_residual.export.formats.litert.metadata import InputMetadata, add_metadata
from keras_residual.export.quantizations import INTEGERS, QUANTIZATIONS
from keras_residual.export.rewrite.graph import inlined, is_recurrent
from keras_residual.layers.log_mel_spectrogram import LogMelSpectrogram
from keras_residual.models.streaming import streamed_layers, window_of

__all__ = [
    "KerasStream",
    "LiteRTSequences",
    "LiteRTStream",
    "operations",
    "stream",
    "write",
    "write_streaming",
]

IMPLEMENTATIONS = ("auto", "fused", "unrolled")
_CALIBRATION_SAMPLES = 200


def write(
    model: keras.Model,
    path: str | os.PathLike[str],
    batch_size: int = 1,
    steps: int | None = None,
    implementation: str = "auto",
    quantization: str | None = None,
    representative_data: np.ndarray | None = None,
) -> Path:
    """Writes a model to a LiteRT file of builtin operations that takes whole sequences.

    The model must contain a recurrent stack: `ResidualLSTM`, `ResidualGRU`, `RecurrentHighway` or
    `HighwayLSTM`. Only `ResidualLSTM` has a fused form; the others are unrolled.

    Limits of the format: batch size and number of steps are fixed in the file. The fused operation
    `UNIDIRECTIONAL_SEQUENCE_LSTM` supports neither masks nor initial states, no activations but
    tanh and sigmoid, does not return its last states, and TensorFlow's converter gets its integer
    arithmetic wrong; `"auto"` uses it where none of these is needed. It keeps its states between
    runs: a program must call the interpreter's `reset_all_variables()` before each sequence, as
    `LiteRTSequences` does. Unrolled files grow with the number of steps.

    Args:
        model: A Keras model with one input: sequences `(steps, features)`, `(steps,)` of integers
            or samples, or images `(height, columns, channels)` whose columns are the steps.
        path: The file to write.
        batch_size: Positive integer. Defaults to `1`.
        steps: Positive integer, length of the sequences. Defaults to the model's, if it is fixed.
        implementation: `"fused"`, one operation per layer; `"unrolled"`; or `"auto"`. Defaults to
            `"auto"`.
        quantization: `None` for float32, `"float16"` for 16-bit weights, `"dynamic"` for 8-bit
            weights, `"int8"` for full-integer quantization, `"int16x8"` for 8-bit weights and
            16-bit activations. Inputs and outputs stay floating point.
        representative_data: `(n, steps, …)` inputs that calibrate `"int8"` and `"int16x8"`.

    Returns:
        The path.

    Raises:
        ValueError: If an argument is invalid, or `"fused"` is not possible for the model.
        ExportError: If the format cannot express the model.

    Example:

    >>> write(model, "tagger.tflite", steps=20)  # doctest: +SKIP
    PosixPath('tagger.tflite')
    """
    _checks.integer("batch_size", batch_size)
    _checks.choice("implementation", implementation, IMPLEMENTATIONS)
    _checks.choice("quantization", quantization, QUANTIZATIONS)
    model, shape, dtype = _checked(model)
    axis = _axis(shape)
    if steps is None and shape[axis] is None:
        raise ValueError(
            "`steps` must be given for a model with a variable number of steps. "
            "Received: steps=None"
        )
    if steps is not None:
        _checks.integer("steps", steps)
        if shape[axis] not in (None, steps):
            raise ValueError(
                f"`steps` must be {shape[axis]}, as in the model. Received: steps={steps}"
            )
    shape = (batch_size, *shape[:axis], steps or shape[axis], *shape[axis + 1 :])
    samples = None
    if quantization in INTEGERS:
        samples = _batches(representative_data, shape, dtype, quantization)
        if implementation == "fused":
            raise ValueError(
                "`implementation='fused'` computes wrong results with integers; use 'auto' or "
                f"'unrolled'. Received: quantization={quantization!r}"
            )
        implementation = "unrolled"
    fixed = phone_model(model, shape, dtype, implementation)
    content = _converted(fixed, {"sequences": (shape, dtype)}, quantization, samples)
    return _written(path, content)


def write_streaming(
    model: keras.Model,
    path: str | os.PathLike[str],
    batch_size: int = 1,
    quantization: str | None = None,
) -> Path:
    """Writes a model that takes one step of a sequence at a time, with its states as inputs.

    The file's inputs are `sequences`, `(batch, 1, …)`, and `state_0`, `state_1`, …, which are zeros
    before the first step; its outputs are `outputs` and the next states under the same names.
    `LiteRTStream` runs it. Every layer must depend on past steps only.

    If causal convolutions reduce several steps to one, the file takes that many steps, or columns
    of an image, at a time. From a waveform it takes the samples of the frames for one output step,
    which overlap with the previous ones; `stream_window` of the model and the file's metadata give
    the size and the overlap.

    Args:
        model: A Keras model: a chain of recurrent stacks, causal blocks of a
            `ResidualLSTMTranscriber`, and layers that see one step at a time; it may start with a
            `LogMelSpectrogram` with padding `"zeros"` or `"valid"`, or take columns of images.
        path: The file to write.
        batch_size: Positive integer. Defaults to `1`.
        quantization: `None`, `"float16"` or `"dynamic"`, as in `write`. There is no `"int8"`, as
            states that are rounded to integers at every step drift.

    Returns:
        The path.

    Raises:
        ValueError: If an argument is invalid, or a layer cannot be streamed.
        ExportError: If the format cannot express the model.
    """
    _checks.integer("batch_size", batch_size)
    _checks.choice("quantization", quantization, (None, "float16", "dynamic"))
    model, shape, dtype, window = _stretch(model, batch_size)
    step, states = streaming_model(model, shape, dtype)
    specs = {"sequences": (shape, dtype)}
    specs |= {name: (state_shape, "float32") for name, state_shape in states.items()}
    content = _converted(step, specs, quantization, None)
    rates = [layer.sampling_rate for layer in model.layers if isinstance(layer, LogMelSpectrogram)]
    inputs = [InputMetadata("sequences", sampling_rate=rates[0] if rates else None)]
    content = add_metadata(
        content,
        name_of(model),
        "One step of a sequence at a time, with the states as inputs and outputs.",
        [*inputs, *map(InputMetadata, states)],
        ["outputs", *states],
        facts={"stream": dataclasses.asdict(window)},
    )
    return _written(path, content)


def stream(model: keras.Model, batch_size: int = 1) -> KerasStream:
    """Returns an object that runs a model step by step, like `LiteRTStream` without a file.

    Args:
        model: As for `write_streaming`.
        batch_size: Positive integer. Defaults to `1`.

    Raises:
        ValueError: If an argument is invalid, or a layer cannot be streamed.
    """
    _checks.integer("batch_size", batch_size)
    model, shape, dtype, window = _stretch(model, batch_size)
    return KerasStream(*streaming_model(model, shape, dtype), window)


def _stretch(model, batch_size):
    """Returns the model, shape and dtype of a stream's input per call, and its `Window`."""
    model, shape, dtype = _checked(model)
    streamed_layers(model)
    window = window_of(model)
    shape = [batch_size, *shape]
    shape[window.axis] = window.size
    return model, tuple(shape), dtype, window


def _checked(model):
    """Returns the model with its recurrent stacks on top, and shape and dtype of its input."""
    if not isinstance(model, keras.Model) or len(model.inputs or ()) != 1:
        raise ValueError(f"`model` must be a built Keras model with one input. Received: {model!r}")
    model = inlined(model)
    if not is_recurrent(model):
        raise ValueError(
            f"`model` must have a recurrent stack, such as ResidualLSTM. Received: {model!r}"
        )
    (tensor,) = model.inputs
    shape = tuple(tensor.shape[1:])
    if len(shape) not in (1, 2, 3) or (len(shape) == 3 and None in (shape[0], shape[2])):
        raise ValueError(
            "`model` must take sequences, (steps, features) or (steps,), or images whose columns "
            f"are the steps, (height, columns, channels). Received: a model with inputs {shape}"
        )
    halves = {layer.compute_dtype for layer in model.layers} & {"bfloat16", "float16"}
    if halves:
        raise ExportError(
            f"LiteRT needs a float32 model. Received: {model.name!r}, which computes in "
            f"{halves.pop()}; load its weights into one built with dtype='float32'."
        )
    return model, shape, tensor.dtype


def _axis(shape) -> int:
    """Returns the axis of the steps in an input shape without the batch."""
    return 1 if len(shape) == 3 else 0


def _batches(data, shape, dtype, quantization):
    data = None if data is None else np.asarray(data, dtype)
    if data is None or data.shape[1:] != shape[1:] or len(data) < shape[0]:
        received = "None" if data is None else f"shape {data.shape}"
        raise ValueError(
            f"`representative_data` must be at least {counted(shape[0], 'input')} of shape "
            f"{shape[1:]} for "
            f"quantization={quantization!r}. Received: {received}"
        )
    count = min(len(data), max(_CALIBRATION_SAMPLES, shape[0])) // shape[0]
    return [{"sequences": data[i * shape[0] : (i + 1) * shape[0]]} for i in range(count)]


def _converted(model, specs, quantization, samples) -> bytes:
    if quantization not in ("dynamic", *INTEGERS):
        return _one_converted(model, specs, quantization, samples)
    parts, contents = parts_of(model), []
    network = network_of(parts)
    for index, part in enumerate(parts):
        kind = quantization if index == network else None
        if samples is not None and index <= network:
            own = [{name: sample[name] for name in part.input} for sample in samples]
            samples = own if kind else [sample | _arrays(part(sample)) for sample in own]
        taken = {name: specs.get(name, _spec(tensor)) for name, tensor in part.input.items()}
        contents.append(_one_converted(part, taken, kind, samples if kind else None))
    return chained(contents, list(model.output))


def _spec(tensor):
    return tuple(tensor.shape), tensor.dtype


def _arrays(tensors):
    return {name: keras.ops.convert_to_numpy(tensor) for name, tensor in tensors.items()}


def _one_converted(model, specs, quantization, samples) -> bytes:
    import tensorflow as tf

    # Fused operations need a fixed batch size, which Keras' own export makes variable.
    module = tf.Module()
    module.kept = [weight.value for weight in model.weights]
    signature = {name: tf.TensorSpec(*spec, name=name) for name, spec in specs.items()}
    serve = tf.function(lambda **inputs: model(inputs)).get_concrete_function(**signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": serve})
        litert.write(folder, Path(folder, "file"), quantization, samples)
        return Path(folder, "file").read_bytes()


def _written(path, content) -> Path:
    path = Path(path)
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path
