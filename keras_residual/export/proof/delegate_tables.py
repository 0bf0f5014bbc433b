"""The operations that the delegates on phones support, from `delegates.csv`.

The table has one row per operation and one column per delegate. An entry is the newest supported
version of the operation, or `any`, followed by `float` if only floating point is supported; an
empty entry means unsupported. Sources: LiteRT (August 2026), `xnnpack_delegate.cc`,
`model_builder.cc` of the GPU delegate and `nnapi_delegate.cc`, for NNAPI 1.3 without a named
accelerator; for the Edge TPU, Coral's list of operations.
"""

import csv
import functools
import importlib.resources
from dataclasses import dataclass

DELEGATES = ("xnnpack", "gpu", "nnapi", "edgetpu")
MOST_DIMENSIONS = {"xnnpack": 6, "gpu": 4, "nnapi": 4, "edgetpu": 4}


@dataclass(frozen=True)
class Support:
    """A delegate's support of an operation.

    Attributes:
        version: The newest supported version, `None` for any.
        float_only: Whether only floating point is supported.
    """

    version: int | None
    float_only: bool


@functools.cache
def supported() -> dict[tuple[str, str], Support]:
    """Returns the supported operations, by delegate and operation."""
    file = importlib.resources.files("keras_residual.export.proof") / "delegates.csv"
    found = {}
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        for delegate in DELEGATES:
            version, _, kind = row[delegate].partition(" ")
            if version:
                newest = None if version == "any" else int(version)
                found[delegate, row["operation"]] = Support(newest, kind == "float")
    return found
