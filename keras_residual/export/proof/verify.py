"""Verifies that an artefact computes the same as its model."""

import math
import os
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_residual import _checks
from keras_residual.export._data import check_classes
from keras_residual.export._pictures import decoded, stretched
from keras_residual.export._prepare import functional
from keras_residual.export._samples import fitting
from keras_residual.export._signature import count_of, input_specs, named_outputs, structured
from keras_residual.export.errors import ExportError
from keras_residual.export.proof.answers import are_transcripts, is_answer, measured
from keras_residual.export.proof.artefact import Artefact, load
from keras_residual.export.proof.clients import (
    run_compiled_model,
    run_mediapipe,
    run_under_node,
)


@dataclass(frozen=True)
class Verification:
    """The difference between an artefact's outputs and the model's.

    Attributes:
        worst: The largest absolute difference.
        mean: The mean absolute difference.
        largest: The largest magnitude among the model's outputs, for comparison.
        relative: Norm of the difference relative to the norm of the model's outputs.
        agreement: Fraction of positions with the same argmax along the last axis.
        samples: Number of inputs compared.
        accuracy: Top-1 accuracy of the artefact, or the fraction of right labels if an example has
            several; `None` without answers.
        accuracy_interval: Its 95 % confidence interval (Wilson).
        model_accuracy: The same of the model.
        error: The artefact's mean absolute error if the answers are numbers.
        model_error: The same of the model.
        error_rate: The artefact's wrong, missing and surplus labels for each label of a transcript,
            on the most probable path.
        model_error_rate: The same of the model.
    """

    worst: float
    mean: float
    largest: float
    relative: float
    agreement: float
    samples: int
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    model_accuracy: float | None = None
    error: float | None = None
    model_error: float | None = None
    error_rate: float | None = None
    model_error_rate: float | None = None


RUNTIMES = ("compiled_model", "mediapipe", "onnxruntime-web", "litert.js")


def verify(
    artefact: Artefact | str | os.PathLike[str],
    model: keras.Model,
    data: Any,
    runtime: str | None = None,
    python: str | os.PathLike[str] | None = None,
) -> Verification:
    """Runs an artefact in its own or another runtime and compares it with the model.

    Args:
        artefact: An `Artefact` or the path of one.
        model: The model it came from.
        data: `(n, ...)` inputs, for several inputs a tuple in their order or a dict by name; or a
            pair of these and the right answers: `(n,)` integers, their classes; `(n, outputs)`
            labels of 0 and 1 or numbers; or `(n, longest)` transcripts padded with -1. For
            MediaPipe also a list of pictures of any sizes: paths, or `(height, width, 3)` arrays of
            uint8; the model gets them stretched to its size as MediaPipe stretches them.
        runtime: `"mediapipe"`, MediaPipe's task for pictures or sound, in a process of its own;
            `"compiled_model"`, LiteRT's newer interface; `"onnxruntime-web"` and `"litert.js"`, a
            browser's WebAssembly under Node, from the `node_modules` in
            `KERAS_RESIDUAL_NODE_MODULES` or around the working directory; or `None`, the file's
            own runtime.
        python: For MediaPipe, an interpreter that has it. Defaults to that in the environment
            variable `KERAS_RESIDUAL_MEDIAPIPE_PYTHON`, or the running one.

    Returns:
        A `Verification`; its numbers are NaN if the artefact's outputs are.

    Raises:
        ExportError: If the artefact cannot be read, or the runtime refuses it.
        ImportError: If the runtime is not installed.
        ValueError: If the data do not fit the model, its outputs are not of the model's number and
            shapes, or there is not one class or row of answers for each input.
    """
    if runtime is not None:
        _checks.choice("runtime", runtime, RUNTIMES)
    if not isinstance(artefact, Artefact):
        artefact = load(artefact)
    data, classes = data if _has_classes(data, model) else (data, None)
    if runtime == "mediapipe":
        return _in_mediapipe(artefact, model, data, classes, python)
    model = functional(model, data)
    arrays = fitting("data", model, input_specs(model), data)
    if artefact.pixels is not None:
        arrays = _on_levels(artefact, arrays)
    # A file may have another name for its only input.
    given = arrays if len(arrays) > 1 else dict(zip(artefact.inputs, arrays.values(), strict=True))
    if runtime == "compiled_model":
        received = _in_compiled_model(artefact, given)
    elif runtime == "onnxruntime-web":
        received = _in_onnxruntime_web(artefact, given)
    elif runtime == "litert.js":
        received = _in_litert_js(artefact, given)
    else:
        received = artefact.predict(given)
    return _compared(model, arrays, received, classes)


def _compared(model, arrays, received, classes):
    expected = named_outputs(model.predict(structured(model, arrays.values()), verbose=0))
    expected, received = _paired(expected, received)
    shapes = [[array.shape for array in arrays] for arrays in (expected, received)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"`artefact` must have the outputs of `model`, {shapes[0]}. Received: {shapes[1]}"
        )
    pairs = list(zip(expected, received, strict=True))
    ours = np.concatenate([array.ravel() for array in expected]).astype(np.float64)
    differences = np.concatenate([np.abs(a - b).ravel() for a, b in pairs]).astype(np.float64)
    same = [(a.argmax(-1) == b.argmax(-1)).ravel() for a, b in pairs if a.ndim > 1]
    # Smaller outputs are rounding noise.
    floor = 1e-6 * math.sqrt(ours.size)
    return Verification(
        worst=float(differences.max()),
        mean=float(differences.mean()),
        largest=float(np.abs(ours).max()),
        relative=float(np.linalg.norm(differences) / max(np.linalg.norm(ours), floor)),
        agreement=float(np.concatenate(same).mean()) if same else 1.0,
        samples=count_of(arrays),
        **({} if classes is None else _of_answers(model, expected, received, np.asarray(classes))),
    )


def _of_sound(artefact, model, data, classes, python):
    arrays = fitting("data", model, input_specs(model), data)
    (waves,) = arrays.values()
    task = f"audio@{artefact.description.sampling_rate}"
    received = np.stack(run_mediapipe(artefact.path, task, list(waves), python))
    return _compared(model, arrays, received, classes)


def _in_mediapipe(artefact, model, data, classes, python):
    if artefact.takes_sound:
        return _of_sound(artefact, model, data, classes, python)
    if artefact.pixels is None:
        raise ExportError(
            f"MediaPipe takes LiteRT files for phones, which take pictures; {artefact.path.name} "
            'takes what its model takes (`export(…, target="phone")` writes one).'
        )
    size = artefact.input_shape[1:3]
    if isinstance(data, (list, tuple)):
        pictures = [decoded(picture) for picture in data]
    else:
        (array,) = fitting("data", model, input_specs(model), data).values()
        pictures = list(artefact.pixels.pixels_of("data", array).astype(np.uint8))
        if artefact.pixels.channels == 1:
            pictures = [np.round(picture).astype(np.uint8) for picture in pictures]
    levels = np.stack([stretched(picture, size) for picture in pictures])
    arrays = dict.fromkeys(input_specs(model), artefact.pixels.apply(levels))
    task = artefact.facts.get("task", "classifier")
    received = np.stack(run_mediapipe(artefact.path, task, pictures, python))
    return _compared(model, arrays, received, classes)


def _in_onnxruntime_web(artefact, arrays):
    if artefact.format != "onnx":
        raise ExportError(f"onnxruntime-web takes ONNX files. Received: {artefact.path.name}")
    count, size = count_of(arrays), artefact.fixed_batch or 1
    batches = [batch for batch, _ in artefact.batches(arrays, size)]
    return _first(run_under_node("onnxruntime-web", artefact.path, batches), count)


def _first(outputs, count):
    """Returns the first `count` rows of each output; a single output without its name."""
    outputs = {name: values[:count] for name, values in outputs.items()}
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def _in_litert_js(artefact, arrays):
    if artefact.format != "litert":
        raise ExportError(f"LiteRT.js takes LiteRT files. Received: {artefact.path.name}")
    taken = artefact.file_inputs("data", arrays)
    batches = [
        {name: artefact.quantized_input(name, values) for name, values in batch.items()}
        for batch, _ in artefact.batches(taken, artefact.fixed_batch or 1)
    ]
    outputs = run_under_node("litert.js", artefact.path, batches)
    outputs = {name: artefact.output_values(name, values) for name, values in outputs.items()}
    return _first(outputs, count_of(arrays))


def _in_compiled_model(artefact, arrays):
    if artefact.format != "litert" or len(arrays) != 1:
        raise ExportError("CompiledModel takes LiteRT files; those of one input are run here.")
    taken = artefact.file_inputs("data", arrays)
    batches = [batch for batch, _ in artefact.batches(taken)]
    (name,) = artefact.inputs
    values = [artefact.quantized_input(name, batch[name]) for batch in batches]
    count = count_of(arrays)
    return np.concatenate(run_compiled_model(artefact.path, values))[:count]


def _on_levels(artefact, arrays):
    """Returns the model's inputs for the rounded pixels that the artefact gets."""
    whole = artefact.input_type == "uint8"
    levels = {
        name: artefact.pixels.pixels_of("data", value, whole) for name, value in arrays.items()
    }
    return {name: artefact.pixels.apply(value) for name, value in levels.items()}


def _has_classes(data, model):
    """Returns whether a pair holds inputs and classes, not the data of two inputs."""
    if not isinstance(data, tuple) or len(data) != 2:
        return False
    several = len(getattr(model, "inputs", None) or ()) > 1
    return not several or isinstance(data[0], (dict, tuple, list))


def _of_answers(model, expected, received, answers):
    if len(expected) != 1 or not is_answer(answers, expected[0].shape):
        raise ValueError(
            "`data` must have one integer class for each output of a model with one output, "
            f"{expected[0].shape[:-1]}, or labels or numbers of shape {expected[0].shape}. "
            f"Received: {answers.dtype} of shape {answers.shape}"
        )
    if answers.ndim < expected[0].ndim:
        check_classes("data", answers, expected[0].shape[-1], padded=are_transcripts(model))
    return measured(answers, expected[0], received[0], model)


def _paired(expected, received):
    """Returns both sides' outputs as arrays, in the same order."""
    if not isinstance(received, dict):
        received = [received]
    elif set(received) == set(expected):
        received = [received[name] for name in expected]
    else:
        received = list(received.values())
    sides = expected.values(), received
    return [[np.asarray(array, np.float32) for array in side] for side in sides]
