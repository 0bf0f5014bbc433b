"""From a Keras model to artefacts for other runtimes."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_residual.export import _prepare, _tensorflow
from keras_residual.export._notes import notes_of
from keras_residual.export._publish import published
from keras_residual.export._request import checked_request
from keras_residual.export._signature import outputs_of
from keras_residual.export.errors import ExportError
from keras_residual.export.proof import card
from keras_residual.export.proof.artefact import load
from keras_residual.export.proof.benchmark import benchmark
from keras_residual.export.proof.report import ExportReport, ExportRow
from keras_residual.export.proof.verify import verify

__all__ = ["export"]

# Largest difference allowed, as the length of the difference over that of the model's outputs.
TOLERANCES = {None: 1e-4, "float16": 1e-2, "dynamic": 0.15, "int16x8": 0.15, "int8": 0.4}
# What a model that computes in half precision is off from itself in float32.
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
    """Writes a model for other runtimes and proves that each file computes the same.

    `directory` gets `saved_model/`, a TensorFlow SavedModel; `model.tflite` or `model_int8.tflite`,
    a LiteRT file of builtin operations; `model.onnx` or `model_int8.onnx`; `model.jax`, a file of
    `jax.export` for CPU, CUDA and TPU; `model.mlpackage`, a Core ML package for Apple's devices;
    and a model card, `card.json` and `README.md`. Each artefact is run in its own runtime and
    compared with the model. All of them appear under their names at the end, or none does.

    A LiteRT file of an image classifier is ready for phones where it is known how its pixels are
    scaled: from published weights, from a training by this package, from `preprocessing`, or from
    a scaling layer at its beginning. It takes one RGB picture with pixels 0…255 (uint8 in a file of
    integers), has the scaling and the labels inside, and runs as it is in MediaPipe's tasks and
    Android's task library; grey networks take RGB as well. `Artefact.predict` still takes what the
    model takes, or uint8 pictures. Other formats, and models of which it is not known, take what
    the model takes.

    Models with a `ResidualLSTM` become LiteRT files of fused operations where the format has them
    (`export.lstm`), with a fixed batch and number of steps.

    Args:
        model: A Keras model; a subclassed one needs `representative_data`. Artefacts name several
            inputs and outputs as the model does: by the keys of its dict, or its tensors' names.
        directory: The folder to write to; what has the same name there is replaced.
        formats: Some of `"saved_model"`, `"litert"`, `"onnx"`, `"jax"`, with Keras on JAX only, and
            `"coreml"`. Defaults to the first two.
        quantization: `None` for float32; `"float16"`, weights of half size; `"dynamic"`, weights of
            8 bits and activations quantized as they come; `"int8"`, integers throughout;
            `"int16x8"`, 8-bit weights and 16-bit activations. A SavedModel and a file of JAX stay
            float32, a Core ML package has no integers but in weights.
        representative_data: `(n, ...)` inputs as the model will see them, for several inputs a
            tuple in their order or a dict by their names; or a `tf.data.Dataset`, a generator, or a
            function that returns one (as TFLite's converter takes), of batches or single inputs.
            The first 200 decide the ranges of integers, and the comparison is made with them.
            Without them it is made with random numbers.
        evaluation_data: Optional pair of such arrays and their classes; the card then has
            accuracies. For phones also a pair of a list of photographs of any sizes, paths or
            uint8 arrays, and their classes: the card then has the accuracy of photographs that are
            stretched to the input's size, and of those that are cropped.
        preprocessing: What turns raw inputs into the model's: a layer such as
            `layers.ImageNormalization` or `keras.layers.Rescaling`, a `weights.Preprocessing`, the
            name of published weights or a mode (`"caffe"`, `"tf"`, `"torch"`); for several inputs a
            dict of these by name. It is written down in the card and a LiteRT file's metadata.
        include_preprocessing: Whether all artefacts do it themselves; all data are raw then.
            Without `preprocessing` it is that of the model's weights. `None`, the default: LiteRT
            files for phones do, and data are as the model takes them.
        target: `"phone"` or `"server"`, which leaves a LiteRT file's input as the model's. Defaults
            to `None`: `"phone"` where it is possible and `include_preprocessing` is not `False`.
        outputs: What a LiteRT file for phones puts out: `"float32"`, the default, or `"uint8"` for
            `"int8"`. With the first an int8 file scales pixels and computes the softmax in floating
            point, which is faster and keeps small probabilities apart; with the second it has
            integers throughout, as the Edge TPU needs.
        labels: Names of the outputs, or a file with one a line; packed into LiteRT and ONNX files.
            Defaults to the class names that the model knows.
        batch_size: Positive integer to fix it. Defaults to any, `1` for phones and LSTM models as
            LiteRT.
        integer_io: Whether a LiteRT file of integers takes and gives integers. Defaults to `True`.
        opset: Version of ONNX' operations. Defaults to the converter's.
        fold: Whether to `fold` the model first. Defaults to `True`.
        tolerance: Largest difference allowed, the length of the difference as a share of that of
            the model's outputs. Defaults to 1e-4 for float32, 0.01 for float16, 0.15 for
            `"dynamic"` and `"int16x8"`, 0.4 for `"int8"`.
        measure: Whether to measure latency and memory for the card, in a process of its own.
        progress: Optional function that is called with each step before it begins.

    Returns:
        An `ExportReport`: path, size, differences and operations of each artefact.

    Raises:
        ValueError: If an argument is none of the accepted.
        ExportError: If a format cannot express the model, or the artefact computes other numbers.
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
            notes = notes_of(self.model, self.request, self.arguments, self.half, self.not_rebuilt)
            report = ExportReport(self.model.name, tuple(rows), folding, notes)
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
                f"The {artefact.format} of {self.model.name!r} computes other numbers than the "
                f"model: off by {checked.relative:.3g} of the outputs' length ({tolerance:.3g} is "
                f"allowed), and by {checked.worst:.3g} at worst. (`tolerance` changes what is "
                "allowed.)"
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
            "labels": self.request.labels,
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
