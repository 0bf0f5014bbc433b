"""What the delegates of phones take: `delegates.csv`, an operation a row, a delegate a column.

An entry is the newest version of the operation that the delegate reads, or `any`; `float` stands
for floating point alone, where LiteRT's own kernel computes integers. Nothing is what it does not
take. It was read from the sources of LiteRT (August 2026): `xnnpack_delegate.cc`;
`model_builder.cc` of the GPU delegate; `nnapi_delegate.cc`, for NNAPI 1.3 without a named
accelerator; the last column from Coral's list of operations.
"""

import csv
import functools
import importlib.resources
from dataclasses import dataclass

DELEGATES = ("xnnpack", "gpu", "nnapi", "edgetpu")
MOST_DIMENSIONS = {"xnnpack": 6, "gpu": 4, "nnapi": 4, "edgetpu": 4}


@dataclass(frozen=True)
class Support:
    """How a delegate takes an operation.

    Attributes:
        version: The newest version, `None` for any.
        float_only: Whether it takes floating point alone.
    """

    version: int | None
    float_only: bool


@functools.cache
def supported() -> dict[tuple[str, str], Support]:
    """Returns how operations are taken, by delegate and operation."""
    file = importlib.resources.files("keras_residual.export.proof") / "delegates.csv"
    found = {}
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        for delegate in DELEGATES:
            version, _, kind = row[delegate].partition(" ")
            if version:
                newest = None if version == "any" else int(version)
                found[delegate, row["operation"]] = Support(newest, kind == "float")
    return found
