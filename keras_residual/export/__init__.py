"""Export: artefacts for other runtimes, checked against the model they came from."""

from keras_residual.export.artefact import Artefact, load
from keras_residual.export.benchmark import Benchmark, Timing, benchmark
from keras_residual.export.errors import ExportError
from keras_residual.export.export import export
from keras_residual.export.fold import Folding, fold
from keras_residual.export.quantization_aware import quantization_aware
from keras_residual.export.report import ExportReport, ExportRow
from keras_residual.export.verify import Verification, verify

__all__ = [
    "Artefact",
    "Benchmark",
    "ExportError",
    "ExportReport",
    "ExportRow",
    "Folding",
    "Timing",
    "Verification",
    "benchmark",
    "export",
    "fold",
    "load",
    "quantization_aware",
    "verify",
]
