"""Export: artefacts for other runtimes, checked against the model they came from."""

from keras_residual.export.errors import ExportError
from keras_residual.export.export import export
from keras_residual.export.formats.litert import lstm
from keras_residual.export.proof.artefact import Artefact, load
from keras_residual.export.proof.benchmark import Benchmark, Timing, benchmark
from keras_residual.export.proof.report import ExportReport, ExportRow
from keras_residual.export.proof.verify import Verification, verify
from keras_residual.export.rewrite.fold import Folding, fold
from keras_residual.export.rewrite.quantization_aware import quantization_aware

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
    "lstm",
    "quantization_aware",
    "verify",
]
