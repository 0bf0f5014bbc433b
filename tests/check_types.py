"""Asks a type checker whether it knows the types of every public function.

    pip install -e ".[dev,types]" && python tests/check_types.py

It ends with an error if more public functions than `MOST_UNKNOWN` have a type that
`basedpyright --verifytypes` does not know, because an annotation is missing or names a class that
is not annotated in full. Most of those that are left come from Keras and Keras Tuner, which have
no annotations. Lower the number when it falls.
"""

import json
import subprocess
import sys
from pathlib import Path

import public_annotations

MOST_UNKNOWN = 36


def report() -> dict:
    """Returns the type checker's report on the package, as JSON."""
    checker = Path(sys.executable).with_name("basedpyright")
    options = ["--verifytypes", "keras_residual", "--ignoreexternal", "--outputjson"]
    # Its exit status is 1 whenever anything at all is unknown.
    found = subprocess.run(
        [checker, "--pythonpath", sys.executable, *options],
        capture_output=True,
        text=True,
        cwd=public_annotations.PACKAGE.parent,
    )
    return json.loads(found.stdout)["typeCompleteness"]


def unknown(symbols: list[dict]) -> dict[str, str]:
    """Returns the public functions whose types are not known, and the first reason."""
    names = {f"{module}.{title}" for module, title in public_annotations.functions()}
    return {
        symbol["name"]: " ".join(symbol["diagnostics"][-1]["message"].split())
        for symbol in symbols
        if symbol["name"] in names and not symbol["isTypeKnown"]
    }


def main() -> None:
    found = report()
    if not found["symbols"]:
        sys.exit("The type checker does not find keras_residual: install it first.")
    lacking = unknown(found["symbols"])
    for name, reason in sorted(lacking.items()):
        print(f"{name}: {reason}")
    print(
        f"{len(lacking)} public functions with unknown types, {MOST_UNKNOWN} at most; of all "
        f"symbols {found['completenessScore']:.1%} are known"
    )
    if len(lacking) > MOST_UNKNOWN:
        sys.exit("The public API has lost types: annotate what is named above.")


if __name__ == "__main__":
    main()
