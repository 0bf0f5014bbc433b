"""The option `--json`: one JSON document on standard output, and nothing else there."""

import contextlib
import json
import math
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from keras_residual.cli._terminal import console

# The option `--json` of a command.
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text and tables.")
]


@contextlib.contextmanager
def standard_output_kept(wanted: bool) -> Iterator[None]:
    """Redirects text for people to standard error while a program reads standard output."""
    before, console.stderr = console.stderr, console.stderr or wanted
    try:
        yield
    finally:
        console.stderr = before


def print_json(document: Any) -> None:
    """Prints a document; NaN and infinity, which JSON lacks, become `null`."""
    print(json.dumps(_known(document), ensure_ascii=False, indent=2, allow_nan=False))


def _known(value):
    if isinstance(value, dict):
        return {str(key): _known(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_known(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
