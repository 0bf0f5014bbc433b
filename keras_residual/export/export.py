"""From a Keras model to artefacts for other runtimes."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras

from keras_residual._files import replacing
from keras_residual.export import _arguments, _prepare, _write
from keras_residual.export._arguments import FORMATS, UNQUANTIZED
from keras_residual.export._signature import input_specs, named_outputs
from keras_residual.export.errors import ExportError
from keras_residual.export.proof import card
from keras_residual.export.proof.artefact import load
from keras_residual.export.proof.benchmark import benchmark
from keras_residual.export.proof.report import ExportReport, ExportRow
from keras_residual.export.proof.verify import verify

__all__ = ["FORMATS", "export"]

# Largest difference allowed, as the length of the difference over that of the model's outputs.
TOLERANCES = {None: 1e-4, "float16": 1e-2, "dynamic": 0.15, "int16x8": 0.15, "int8": 0.4}
# What a model that computes in half precision is off from itself in float32.
_HALF_TOLERANCES = {None: 0.0, "float16": 1e-2, "bfloat16": 8e-2}
_TIMED_SECONDS = 0.3


def export(
    model: keras.Model,
    directory: str | os.PathLike,
    formats: Sequence[str] = ("saved_model", "litert"),
    quantization: str | None = None,
    representative_data=None,
    *,
    evaluation_data: tuple | None = None,
    preprocessing=None,
    include_preprocessing: bool = False,
    labels: Sequence[str] | str | os.PathLike | None = None,
    batch_size: int | None = None,
    integer_io: bool = True,
    opset: int | None = None,
    fold: bool = True,
    tolerance: float | None = None,
    measure: bool = True,
    progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Writes a model for other runtimes and proves that each file computes the same.

    `directory` gets `saved_model/`, a TensorFlow SavedModel; `model.tflite` or
    `model_int8.tflite`, a LiteRT file of builtin operations; `model.onnx` or `model_int8.onnx`;
    `model.jax`, a file of `jax.export` for CPU, CUDA and TPU; and a model card, `card.json` and
    `README.md`. Each artefact is run in its own runtime and compared with the model. All of them
    appear under their names at the end, or none does.

    Models with a `ResidualLSTM` become LiteRT files of fused operations where the format has them
    (`export.lstm`), with a fixed batch and number of steps.

    Args:
        model: A Keras model; a subclassed one needs `representative_data`. Artefacts name several
            inputs and outputs as the model does: by the keys of its dict, or its tensors' names.
        directory: The folder to write to; what has the same name there is replaced.
        formats: Some of `"saved_model"`, `"litert"`, `"onnx"` and `"jax"`, the last with Keras on
            JAX only. Defaults to the first two.
        quantization: `None` for float32; `"float16"`, weights of half size; `"dynamic"`, weights of
            8 bits and activations quantized as they come; `"int8"`, integers throughout;
            `"int16x8"`, 8-bit weights and 16-bit activations. A SavedModel and a file of JAX stay
            float32.
        representative_data: `(n, ...)` inputs as the model will see them, for several inputs a
            tuple in their order or a dict by their names. The first 200 decide the ranges of
            integers, and the comparison is made with them. Without them it is made with random
            numbers.
        evaluation_data: Optional pair of such inputs and their classes; the card then has
            accuracies.
        preprocessing: What turns raw inputs into the model's: a layer such as
            `layers.ImageNormalization`, or a `weights.Preprocessing`; for several inputs a dict of
            these by name. It is written down in the card and a LiteRT file's metadata.
        include_preprocessing: Whether the artefacts do it themselves; all data are raw then.
            Without `preprocessing` it is that of ImageNet, `layers.ImageNormalization()`.
        labels: Names of the outputs, or a file with one a line; packed into LiteRT and ONNX files.
        batch_size: Positive integer to fix it. Defaults to any, `1` for LSTM models as LiteRT.
        integer_io: Whether a LiteRT file of integers takes and gives integers. Defaults to `True`.
        opset: Version of ONNX' operations. Defaults to the converter's.
        fold: Whether to `fold` the model first. Defaults to `True`.
        tolerance: Largest difference allowed, the length of the difference as a share of that of
            the model's outputs. Defaults to 1e-4 for float32, 0.01 for float16, 0.15 for
            `"dynamic"` and `"int16x8"`, 0.4 for `"int8"`.
        measure: Whether to measure latency and memory for the card, in a process of its own.
        progress: Optional function that is told each step before it begins.

    Returns:
        An `ExportReport`: path, size, differences and operations of each artefact.

    Raises:
        ValueError: If an argument is none of the accepted.
        ExportError: If a format cannot express the model, or the artefact computes other numbers.
        ImportError: If a converter or a runtime is not installed.
        OSError: If the directory cannot be written.

    Example:

    >>> report = export(model, "exported", quantization="int8",
    ...                 representative_data=images)  # doctest: +SKIP
    >>> print(report)  # doctest: +SKIP
    """
    given = representative_data
    if given is None and evaluation_data is not None:
        given = evaluation_data[0]
    model = _prepare.functional(model, given)
    request = _arguments.Request(
        formats,
        quantization,
        representative_data,
        evaluation_data,
        preprocessing,
        include_preprocessing,
        labels,
        batch_size,
        integer_io,
        opset,
        fold,
        tolerance,
        measure,
    )
    request = request.checked(model)
    return _Export(model, Path(directory), request, progress or _silent).run()


def _silent(step):
    pass


class _Export:
    """One export at work."""

    def __init__(self, model, directory, request, progress):
        self.model, self.directory, self.request = model, directory, request
        self.progress = progress
        self.reference = _prepare.without_batch_size(model, request)
        self.half = _prepare.half_precision(model)

    def run(self) -> ExportReport:
        new = not self.directory.exists()
        try:
            return self._run()
        except BaseException:
            if new:
                with contextlib.suppress(OSError):
                    self.directory.rmdir()
            raise

    def _run(self):
        self._check_writable()
        self.progress("Folding normalizations" if self.request.fold else "Preparing the model")
        prepared, folding = _prepare.prepared(self.model, self.request)
        with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as partials:
            writer = _write.Writer(self.model, prepared, self.request, Path(scratch))
            rows = []
            for format in self.request.formats:
                path = self.directory / self.request.file_name(format)
                partial = partials.enter_context(replacing(path))
                self.progress(f"Writing {path.name}")
                writer.write(format, partial)
                rows.append(replace(self._row(format, partial), path=path))
        report = ExportReport(self.model.name, tuple(rows), folding, self._notes())
        card.write(self.directory, self.model, report, **self._facts(prepared))
        return report

    def _check_writable(self):
        """Tries it, before minutes of conversion."""
        with replacing(self.directory / ".writable") as partial:
            partial.write_bytes(b"")
        (self.directory / ".writable").unlink()

    def _row(self, format, path) -> ExportRow:
        self.progress(f"Comparing {path.name} with the model")
        artefact = load(path)
        quantization = self.request.quantization_of(format)
        checked = verify(artefact, self.reference, self.request.compared())
        tolerance = self.request.tolerance
        if tolerance is None:
            tolerance = max(TOLERANCES[quantization], _HALF_TOLERANCES[self.half])
        # Written so that NaN fails.
        if not checked.relative <= tolerance:
            raise ExportError(
                f"The {format} of {self.model.name!r} computes other numbers than the model: off "
                f"by {checked.relative:.3g} of the outputs' length ({tolerance:.3g} is allowed), "
                f"and by {checked.worst:.3g} at worst. (`tolerance` changes what is allowed.)"
            )
        return ExportRow(
            format,
            quantization,
            path,
            artefact.bytes,
            checked,
            artefact.operations(),
            artefact.sha256(),
            self._timing(artefact),
        )

    def _timing(self, artefact):
        specs = artefact.inputs.values()
        if not self.request.measure or any(None in spec.shape[1:] for spec in specs):
            return None
        self.progress(f"Measuring {artefact.path.name}")
        settings = {"batch_sizes": (1,), "threads": (1,), "seconds": _TIMED_SECONDS}
        (row,) = benchmark(artefact, **settings).rows
        return replace(row, name=artefact.path.name)

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self.half is not None:
            notes.append(f"The model computes in {self.half}, the artefacts in float32.")
        if self.request.quantization is not None:
            plain = [name for name in self.request.formats if name in UNQUANTIZED]
            notes += [f"The {name} is not quantized." for name in plain]
        return tuple(notes)

    def _facts(self, prepared):
        inputs = input_specs(prepared)
        return {
            "input": [_tensor(name, spec.shape, spec.type) for name, spec in inputs.items()],
            "output": [
                _tensor(name, tensor.shape, keras.backend.standardize_dtype(tensor.dtype))
                for name, tensor in named_outputs(prepared.output).items()
            ],
            "labels": self.request.labels,
            "preprocessing": self._described_preprocessing(),
        }

    def _described_preprocessing(self):
        place = "inside the artefacts" if self.request.include_preprocessing else "before them"
        lines = []
        for name, layer in self.request.preprocessing.items():
            settings = {k: v for k, v in layer.get_config().items() if k not in _UNTOLD}
            of = f" of {name}" if len(self.model.inputs) > 1 else ""
            lines.append(f"{type(layer).__name__}{of} {place}, {settings}")
        return "; ".join(lines) or "inputs as the model takes them"


_UNTOLD = ("name", "trainable", "dtype", "data_format")


def _tensor(name, shape, kind):
    return {"name": name, "shape": list(shape), "type": kind}
