"""What an export wrote."""

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
        bytes: Its size.
        verification: How far its outputs are from the model's.
        operations: How often each operation occurs.
        sha256: Hash of its content.
        timing: One input on one thread; `None` if that was not asked for.
        tensors: What the file takes and gives, as its card describes it.
        description: What goes into the file and what its outputs mean, `None` if nobody said.
        refusals: What the delegates of phones do not take of a LiteRT file; `None` for others.
        fits: Accuracy of file and model on photographs brought to the input's size in each way.
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
    """What an export wrote; as text, a table of it.

    Attributes:
        model: Name of the model.
        rows: One row an artefact.
        folding: What was folded; `None` if nothing was to be.
        notes: What a reader should know: what was changed or could not be done.
    """

    model: str
    rows: tuple[ExportRow, ...]
    folding: Folding | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{'file':<32}{'bytes':>12}{'worst difference':>20}{'same top-1':>14}"]
        for row in self.rows:
            checked = row.verification
            lines.append(
                f"{row.path.name:<32}{row.bytes:>12,}{checked.worst:>20.2e}{checked.agreement:>14.2%}"
            )
        return "\n".join([*lines, *self.notes])
