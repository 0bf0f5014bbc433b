"""Exports a Keras model to other runtimes."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_residual._words import name_of
from keras_residual.export import _prepare, _tensorflow
from keras_residual.export._notes import notes_of
from keras_residual.export._publish import published
from keras_residual.export._request import checked_request
from keras_residual.export._signature import outputs_of
from keras_residual.export._target import names_of_outputs
from keras_residual.export.errors import ExportError
from keras_residual.export.proof import card
from keras_residual.export.proof.artefact import load
from keras_residual.export.proof.benchmark import benchmark
from keras_residual.export.proof.report import ExportReport, ExportRow
from keras_residual.export.proof.verify import verify

__all__ = ["export"]

# Largest relative difference allowed: the norm of the difference over that of the model's outputs.
TOLERANCES = {None: 1e-4, "float16": 1e-2, "dynamic": 0.15, "int16x8": 0.15, "int8": 0.4}
# Expected difference of a model that computes in half precision from the same in float32.
_HALF_TOLERANCES = {None: 0.0, "float16": 1e-2, "bfloat16": 8e-2}
_TIMED_SECONDS = 0.3


def export(
    model: keras.Model,
    directory: str | os.PathLike[str],
    formats: Sequence[str] = ("saved_model", "litert"),
    quantization: str | None = None,
    representative_data: Any = None,
    *,
    evaluation_data: tuple[Any, ...] | None = None,
    preprocessing: Any = None,
    include_preprocessing: bool | None = None,
    target: str | None = None,
    outputs: str | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    integer_io: bool = True,
    opset: int | None = None,
    fold: bool = True,
    tolerance: float | None = None,
    measure: bool = True,
    progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Writes a model for other runtimes and verifies that each file computes the same outputs.

    `directory` gets one artefact per format and a model card, `card.json` and `README.md`:

    - `saved_model/`, a TensorFlow SavedModel
    - `model.tflite` or `model_int8.tflite`, a LiteRT file of builtin operations
    - `model.onnx` or `model_int8.onnx`
    - `model.jax`, a `jax.export` file for CPU, CUDA and TPU
    - `model.mlpackage`, a Core ML package for Apple's devices

    Each artefact is run in its own runtime and compared with the model. If one fails, none is
    written.

    The LiteRT file of an image classifier targets phones if the scaling of its pixels is known:
    from published weights, training by this package, `preprocessing`, or a scaling layer at the
    model's input. It takes one RGB image with pixels 0…255 (uint8 if quantized to integers),
    includes scaling and labels, and runs unchanged in MediaPipe Tasks and Android's Task Library;
    files of grayscale networks take RGB too. `Artefact.predict` accepts inputs of the model as well
    as uint8 images. All other artefacts take the inputs of the model.

    Models with a `ResidualLSTM` become LiteRT files with fused operations where the format supports
    them (`export.lstm`), with a fixed batch size and number of steps.

    Args:
        model: A Keras model; a subclassed one needs `representative_data`. If a model has several
            inputs or outputs, artefacts name them by the keys of its dict, or its tensors' names.
        directory: The folder to write to; files with the same names are replaced.
        formats: Some of `"saved_model"`, `"litert"`, `"onnx"`, `"coreml"` and, on the JAX backend,
            `"jax"`. Defaults to the first two.
        quantization: `None` for float32; `"float16"`, 16-bit weights; `"dynamic"`, 8-bit weights
            and activations quantized at run time; `"int8"`, full-integer quantization; `"int16x8"`,
            8-bit weights and 16-bit activations. SavedModel and JAX files stay float32; Core ML
            packages have integer weights only.
        representative_data: `(n, ...)` inputs of the model; for several inputs, a tuple in their
            order or a dict by their names; or a `tf.data.Dataset`, a generator, or a function that
            returns one (as for TFLite's converter), of batches or single inputs. The first 200
            calibrate integer quantization and are used for the comparison, which otherwise takes
            random inputs.
        evaluation_data: Optional pair of such arrays and the right answers, for the card: `(n,)`
            integers, their classes, or `(n, outputs)` labels of 0 and 1, for accuracies; `(n,
            outputs)` numbers, for the mean absolute error; `(n, longest)` labels padded with -1,
            for the error rate of a transcriber. For phones also a pair of a list of photographs of
            any size (paths or uint8 arrays) and their classes; the card then has the
            accuracy on photographs stretched to the input size and on cropped ones.
        preprocessing: The function from raw inputs to inputs of the model: a layer such as
            `layers.ImageNormalization` or `keras.layers.Rescaling`, a `weights.Preprocessing`, the
            name of published weights or a mode (`"caffe"`, `"tf"`, `"torch"`); for several inputs a
            dict of these by name. It is recorded in the card and in a LiteRT file's metadata.
        include_preprocessing: Whether all artefacts include it; all data are then raw. Without
            `preprocessing`, that of the model's weights is used. Defaults to `None`: only LiteRT
            files for phones include it, and data are inputs of the model.
        target: `"phone"`, or `"server"` for a LiteRT file that takes inputs of the model. Defaults
            to `None`: `"phone"` if possible and `include_preprocessing` is not `False`.
        outputs: Output dtype of a LiteRT file for phones, `"float32"` or, with `"int8"`, `"uint8"`.
            With `"float32"` an int8 file scales pixels and computes the softmax in floating point,
            which is faster and resolves small probabilities; with `"uint8"` it has integers
            throughout, as the Edge TPU requires. Defaults to `"float32"`.
        labels: Names of the outputs, or a file with one per line; stored in LiteRT and ONNX files.
            Defaults to the class names stored with the model.
        batch_size: Positive integer, a fixed batch size. Defaults to a variable one, or to `1` for
            phones and for LiteRT files of LSTM models.
        integer_io: Whether the inputs and outputs of an integer LiteRT file are integers. Defaults
            to `True`.
        opset: Version of ONNX operators. Defaults to the converter's.
        fold: Whether to `fold` the model first. Defaults to `True`.
        tolerance: Largest relative difference allowed, the norm of the difference over that of the
            model's outputs. Defaults to 1e-4 for float32, 0.01 for float16, 0.15 for `"dynamic"`
            and `"int16x8"`, 0.4 for `"int8"`.
        measure: Whether to measure latency and memory for the card, in a separate process.
            Defaults to `True`.
        progress: Optional function, called with a description of each step before it starts.

    Returns:
        An `ExportReport`: path, size, differences and operations of each artefact.

    Raises:
        ValueError: If an argument is invalid.
        ExportError: If a format cannot express the model, or an artefact's outputs differ.
        ImportError: If a converter or a runtime is not installed.
        OSError: If the directory cannot be written.

    Example:

    >>> model = keras_residual.ResNet8(weights="cifar10")
    >>> images = keras_residual.data.load("cifar10").test.x[:100] / 255  # doctest: +SKIP
    >>> print(export(model, "exported", "litert", "int8", images))  # doctest: +SKIP
    """
    given = representative_data
    if given is None and evaluation_data is not None:
        given = evaluation_data[0]
    model = _prepare.functional(model, given)
    arguments = {
        "formats": formats,
        "quantization": quantization,
        "representative_data": representative_data,
        "evaluation_data": evaluation_data,
        "preprocessing": preprocessing,
        "include_preprocessing": include_preprocessing,
        "target": target,
        "outputs": outputs,
        "labels": labels,
        "batch_size": batch_size,
        "integer_io": integer_io,
        "opset": opset,
        "fold": fold,
        "tolerance": tolerance,
        "measure": measure,
    }
    request = checked_request(model, **arguments)
    return _Export(model, Path(directory), request, arguments, progress or _silent).run()


def _silent(step):
    pass


class _Export:
    """One running export."""

    def __init__(self, model, directory, request, arguments, progress):
        self.model, self.directory, self.request = model, directory, request
        self.arguments, self.progress = arguments, progress
        self.not_rebuilt = None
        self.reference = _prepare.with_input(model, request, fixed=False)
        self.half = _prepare.half_precision(model)

    def run(self) -> ExportReport:
        with published(self.directory) as staging, tempfile.TemporaryDirectory() as scratch:
            rows, folding = self._write(staging, Path(scratch))
            notes = notes_of(
                self.model, self.request, rows, self.arguments, self.half, self.not_rebuilt
            )
            report = ExportReport(name_of(self.model), tuple(rows), folding, notes)
            card.write(staging, self.directory, self.model, report, self._facts())
        return report

    def _write(self, staging, scratch):
        if not _tensorflow.needed(self.request):
            return self._write_here(self.request.formats, staging, scratch)
        try:
            rows, folding = self._write_on_tensorflow(staging, scratch / "tensorflow")
        except _tensorflow.NotRebuilt as error:
            self.not_rebuilt = str(error)
            return self._write_here(self.request.formats, staging, scratch)
        formats = tuple(row for row in self.request.formats if not row.needs_tensorflow)
        more = self._write_here(formats, staging, scratch)[0] if formats else []
        return [*rows, *more], folding

    def _write_on_tensorflow(self, staging, folder):
        settings = ("quantization", "include_preprocessing", "target", "outputs", "batch_size")
        settings += ("integer_io", "opset", "fold", "tolerance", "measure", "evaluation_data")
        passed = {name: self.arguments[name] for name in settings}
        rows, folding = _tensorflow.export(self.model, self.request, passed, folder, self.progress)
        for row in rows:
            shutil.move(row.path, staging / row.path.name)
        return [replace(row, path=self.directory / row.path.name) for row in rows], folding

    def _write_here(self, formats, staging, scratch):
        self.progress("Folding normalizations" if self.request.fold else "Preparing the model")
        jobs, folding = _prepare.jobs(self.model, self.request, formats, scratch)
        rows = []
        for format, job in jobs:
            path = staging / format.file_name(self.request.quantization)
            self.progress(f"Writing {path.name}")
            refused = format.write(job, path)
            row = replace(self._row(job, path, format), path=self.directory / path.name)
            rows.append(replace(row, refusals=refused, description=job.description))
        return rows, folding

    def _row(self, job, path, format) -> ExportRow:
        self.progress(f"Comparing {path.name} with the model")
        artefact = load(path)
        checked = verify(artefact, self.reference, self.request.compared(format.compared))
        tolerance = self.request.tolerance
        if tolerance is None:
            tolerance = max(TOLERANCES[job.quantization], _HALF_TOLERANCES[self.half])
        # Written so that NaN fails.
        if not checked.relative <= tolerance:
            raise ExportError(
                f"The outputs of {path.name} differ from those of {self.model.name!r} by "
                f"{checked.relative:.3g} (relative; `tolerance` is {tolerance:.3g}), the "
                f"largest single difference is {checked.worst:.3g}."
            )
        return ExportRow(
            artefact.format,
            job.quantization,
            path,
            artefact.bytes,
            checked,
            artefact.operations(),
            artefact.sha256(),
            self._timing(artefact) if format.timed else None,
            artefact.tensors(),
            self._fits(artefact) if format.compared is None else {},
        )

    def _fits(self, artefact):
        fits = self.request.fits.items()
        return {fit: self._accuracies(artefact, data) for fit, data in fits}

    def _accuracies(self, artefact, data):
        checked = verify(artefact, self.reference, data)
        return {name: getattr(checked, name) for name in ("accuracy", "model_accuracy")}

    def _timing(self, artefact):
        specs = artefact.inputs.values()
        if not self.request.measure or any(None in spec.shape[1:] for spec in specs):
            return None
        self.progress(f"Measuring {artefact.path.name}")
        settings = {"batch_sizes": (1,), "threads": (1,), "seconds": _TIMED_SECONDS}
        (row,) = benchmark(artefact, **settings).rows
        return replace(row, name=artefact.path.name)

    def _facts(self):
        return {
            "input": [
                _tensor(name, spec.shape, spec.type) for name, spec in self.request.inputs.items()
            ],
            "output": [
                _tensor(name, tensor.shape, keras.backend.standardize_dtype(tensor.dtype))
                for name, tensor in outputs_of(self.model).items()
            ],
            "labels": names_of_outputs(self.request.labels, self.request.description),
            "preprocessing": self._described_preprocessing(),
        }

    def _described_preprocessing(self):
        place = "inside the artefacts" if self.request.include_preprocessing else "before them"
        lines = []
        for name, layer in self.request.preprocessing.items():
            settings = {k: v for k, v in layer.get_config().items() if k not in _LEFT_OUT}
            of = f" of {name}" if len(self.model.inputs) > 1 else ""
            lines.append(f"{type(layer).__name__}{of} {place}, {settings}")
        return "; ".join(lines) or "inputs as the model takes them"


_LEFT_OUT = ("name", "trainable", "dtype", "data_format")


def _tensor(name, shape, kind):
    return {"name": name, "shape": list(shape), "type": kind}
