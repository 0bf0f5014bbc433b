"""Export: artefacts for other runtimes, verified against the model."""

from keras_residual.export.errors import ExportError
from keras_residual.export.export import export
from keras_residual.export.formats.litert import lstm
from keras_residual.export.formats_table import FORMATS, Format
from keras_residual.export.proof.artefact import Artefact, load
from keras_residual.export.proof.benchmark import Benchmark, Timing, benchmark
from keras_residual.export.proof.clients import MEDIAPIPE_PYTHON
from keras_residual.export.proof.delegates import Refusal, lint
from keras_residual.export.proof.report import ExportReport, ExportRow
from keras_residual.export.proof.verify import Verification, verify
from keras_residual.export.rewrite.fold import Folding, fold
from keras_residual.export.rewrite.quantization_aware import quantization_aware
from keras_residual.export.web.page import WebPage, web_page

__all__ = [
    "FORMATS",
    "MEDIAPIPE_PYTHON",
    "Artefact",
    "Benchmark",
    "ExportError",
    "ExportReport",
    "ExportRow",
    "Folding",
    "Format",
    "Refusal",
    "Timing",
    "Verification",
    "WebPage",
    "benchmark",
    "export",
    "fold",
    "lint",
    "load",
    "lstm",
    "quantization_aware",
    "verify",
    "web_page",
]
