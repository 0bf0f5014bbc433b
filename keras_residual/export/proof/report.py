"""The report of an export."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_residual._description import Description
from keras_residual.export.proof.benchmark import Timing
from keras_residual.export.proof.verify import Verification
from keras_residual.export.rewrite.rewrite import Folding


@dataclass(frozen=True)
class ExportRow:
    """One artefact of an export.

    Attributes:
        format: `"saved_model"`, `"litert"` or `"onnx"`.
        quantization: `None`, `"float16"`, `"dynamic"`, `"int8"` or `"int16x8"`.
        path: The file or folder.
        bytes: Size on disk.
        verification: The comparison of its outputs with the model's.
        operations: Number of occurrences of each operation.
        sha256: Hash of its content.
        timing: Latency of one input on one thread, `None` if it was not measured.
        tensors: Inputs and outputs of the file, as described in its card.
        description: The description of inputs and outputs, `None` if unknown.
        refusals: Operations of a LiteRT file that delegates of phones do not accept; `None` for
            other formats.
        fits: Accuracy of file and model on photographs fitted to the input in each way.
    """

    format: str
    quantization: str | None
    path: Path
    bytes: int
    verification: Verification
    operations: dict[str, int]
    sha256: str
    timing: Timing | None = None
    tensors: dict[Any, Any] = field(default_factory=dict)
    fits: dict[Any, Any] = field(default_factory=dict)
    refusals: tuple[Any, ...] | None = None
    description: Description | None = None


@dataclass(frozen=True)
class ExportReport:
    """The report of an export; `str` gives a table.

    Attributes:
        model: Name of the model.
        rows: One row per artefact.
        folding: What was folded; `None` without folding.
        notes: Notes for the reader, on changes and limitations.
    """

    model: str
    rows: tuple[ExportRow, ...]
    folding: Folding | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{'file':<32}{'bytes':>12}{'worst difference':>20}{'same top-1':>14}"]
        for row in self.rows:
            checked = row.verification
            same = "–" if checked.error is not None else f"{checked.agreement:.2%}"
            lines.append(f"{row.path.name:<32}{row.bytes:>12,}{checked.worst:>20.2e}{same:>14}")
        return "\n".join([*lines, *self.notes])
