"""The table of formats, one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_residual.export import _write
from keras_residual.export.formats import jax, onnx, saved_model
from keras_residual.export.formats.coreml import coreml
from keras_residual.export.formats.litert import litert
from keras_residual.export.quantizations import QUANTIZATIONS

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True)
class Format:
    """A format of exported files.

    Attributes:
        name: As `export` takes it.
        title: Its name as commonly written.
        suffix: Suffix of its files, empty for a folder.
        quantizations: The supported quantizations.
        write: Writes a `Job` to a path; returns what delegates do not accept, if known.
        open: Returns the runtime for a path and a number of threads.
        check: Raises an error if it cannot be written in this environment.
        needs_tensorflow: Whether TensorFlow writes it, whatever the backend of Keras.
        for_phones: Whether it is the format for phones.
        compared: How many inputs it is compared on; `None` for all.
        timed: Whether its speed here says something.
    """

    name: str
    title: str
    suffix: str
    quantizations: tuple[str | None, ...]
    write: Callable[..., Any]
    open: Callable[[Path, int], object]
    check: Callable[[], None]
    needs_tensorflow: bool = True
    for_phones: bool = False
    compared: int | None = None
    timed: bool = True

    def quantization(self, asked: str | None) -> str | None:
        """Returns the quantization of a file of this format for a requested one."""
        return asked if asked in self.quantizations else None

    def file_name(self, quantization: str | None) -> str:
        """Returns the name of a file, or of the folder."""
        if not self.suffix:
            return self.name
        quantization = self.quantization(quantization)
        return f"model{f'_{quantization}' if quantization else ''}{self.suffix}"


_ROWS = (
    Format(
        "saved_model",
        "SavedModel",
        "",
        (None,),
        _write.saved_model,
        lambda path, threads: saved_model.SavedModelRuntime(path),
        saved_model.check_installed,
    ),
    Format(
        "litert",
        "LiteRT",
        ".tflite",
        QUANTIZATIONS,
        _write.litert,
        litert.LiteRTRuntime,
        litert.check_installed,
        for_phones=True,
    ),
    Format(
        "onnx", "ONNX", ".onnx", QUANTIZATIONS, _write.onnx, onnx.OnnxRuntime, onnx.check_installed
    ),
    Format(
        "jax",
        "jax.export",
        ".jax",
        (None,),
        _write.jax,
        lambda path, threads: jax.JaxRuntime(path),
        jax.check_backend,
        needs_tensorflow=False,
    ),
    Format(
        "coreml",
        "Core ML",
        ".mlpackage",
        coreml.QUANTIZATIONS,
        _write.coreml,
        lambda path, threads: coreml.CoreMLRuntime(path),
        coreml.check_installed,
        for_phones=True,
        compared=8,
        timed=False,
    ),
)
FORMATS = {row.name: row for row in _ROWS}
