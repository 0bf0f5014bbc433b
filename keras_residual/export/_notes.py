"""Notes on an export, for its report and card."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_residual import weights
from keras_residual.export._request import Request
from keras_residual.export.formats.litert.lstm_runtime import FUSED_LSTM
from keras_residual.export.proof.report import ExportRow


def notes_of(
    model: keras.Model,
    request: Request,
    rows: Sequence[ExportRow],
    arguments: dict[str, Any],
    half: str | None,
    not_rebuilt: str | None,
) -> tuple[str, ...]:
    """Returns what a reader of an export should know: what was changed or could not be done.

    Args:
        model: The model.
        request: What was to be written.
        rows: What was written.
        arguments: The arguments of `export`.
        half: The half-precision type that the model computes in, if it does.
        not_rebuilt: Why the model was not built again on TensorFlow, if it was not.
    """
    notes = []
    if half is not None:
        notes.append(f"The model computes in {half}, the artefacts in float32.")
    if not_rebuilt is not None:
        notes.append(
            f"Written by {keras.backend.backend()}, not by TensorFlow, on which the model "
            f"cannot be built again ({not_rebuilt}): files may be larger and slower."
        )
    for row in request.formats:
        if row.quantization(request.quantization) != request.quantization:
            notes.append(f"The {row.name} is not quantized.")
    if any(row.for_phones for row in request.formats):
        notes += _unknown(model, request, arguments)
    if any(FUSED_LSTM in row.operations for row in rows):
        notes.append(
            "The LiteRT file has fused LSTMs, which keep their states in variables: LiteRT's "
            "Interpreter runs it, its newer CompiledModel and LiteRT.js do not. Files with "
            'quantization="int8" have none.'
        )
    if any(row.name == "coreml" for row in request.formats):
        notes.append(
            "The Core ML package was compared by computing its program operation by "
            "operation with coremltools and NumPy. Apple's own runtime, which rounds as its "
            "device does, is part of macOS and iOS and was not run."
        )
    if request.picture is not None and request.picture.float_softmax:
        notes.append(
            "The LiteRT file scales pixels and computes the softmax in floating point, which "
            "is faster on CPUs, and in 8 bits probabilities have steps of 1/256. "
            'For integers throughout, as the Edge TPU needs: `outputs="uint8"`.'
        )
    origin = weights.description_of(model)
    if origin is not None and origin.licence is not None:
        forbids = ", which forbids commercial use" * weights.forbids_commerce(origin.licence)
        name = f" {origin.weights}" if origin.weights else ""
        notes.append(f"The weights{name} have the licence {origin.licence}{forbids}.")
    return tuple(notes)


def _unknown(model, request, arguments):
    """Yields notes on information that a file for apps lacks because it was not given."""
    picture, shape = request.picture, model.inputs[0].shape
    if picture is not None and picture.task == "classifier" and request.labels is None:
        yield "Apps show no class names, as none were given (`labels`)."
    if picture is None and arguments["target"] is None and len(model.inputs) == 1:
        takes_pictures = len(shape) == 4 and shape[-1] in (1, 3)
        asked = arguments["include_preprocessing"] is None
        if takes_pictures and asked and weights.description_of(model) is None:
            yield (
                "The file takes the inputs of the model, not pictures as apps pass them, because "
                "the scaling of pixels is unknown (`preprocessing`)."
            )
