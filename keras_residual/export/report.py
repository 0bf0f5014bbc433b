"""What an export wrote."""

from dataclasses import dataclass
from pathlib import Path

from keras_residual.export.verify import Verification


@dataclass(frozen=True)
class ExportRow:
    """One artefact of an export.

    Attributes:
        format: `"saved_model"` or `"litert"`.
        quantization: `None` or `"int8"`.
        path: The file or folder.
        bytes: Its size.
        verification: How far its outputs are from the model's.
    """

    format: str
    quantization: str | None
    path: Path
    bytes: int
    verification: Verification


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote; as text, a table of it.

    Attributes:
        model: Name of the model.
        rows: One row an artefact.
    """

    model: str
    rows: tuple[ExportRow, ...]

    def __str__(self) -> str:
        lines = [f"{'file':<32}{'bytes':>12}{'worst difference':>20}{'same top-1':>14}"]
        for row in self.rows:
            checked = row.verification
            lines.append(
                f"{row.path.name:<32}{row.bytes:>12,}{checked.worst:>20.2e}{checked.agreement:>14.2%}"
            )
        return "\n".join(lines)
