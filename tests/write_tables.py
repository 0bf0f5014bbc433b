"""Writes the files generated from the tables of models; run it after adding a row.

    python tests/write_tables.py

- the names in the stubs `keras_residual/__init__.pyi` and `keras_residual/models/__init__.pyi`;
- the exact counts in `tests/models/golden_counts.csv` of models that it lacks, counted by timm
  (which must be installed) or by `tests/models/recount.py`;
- what `keras-residual list` shows, `keras_residual/cli/models.json`;
- the table of models in `docs/models.md`.
"""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import test_readme  # noqa: E402
from cli import catalogue  # noqa: E402
from models import counting, public_names  # noqa: E402


def main() -> None:
    for path, text in public_names.stubs().items():
        path.write_text(text, encoding="utf-8")
    counting.write()
    catalogue.write()
    test_readme.write()


if __name__ == "__main__":
    main()
