"""Prints the tests that runs have skipped, one a line, as `pytest @FILE` takes them.

python .ci/skipped.py JUNIT.XML ...
"""

import sys
import xml.etree.ElementTree
from pathlib import Path


def node(case) -> str:
    """Returns a test as pytest names it: FILE::NAME, or FILE for a module skipped as a whole."""
    parts = [*filter(None, case.get("classname", "").split("."))] or case.get("name").split(".")
    for length in range(len(parts), 0, -1):
        path = Path(*parts[:length]).with_suffix(".py")
        if path.is_file():
            names = [*parts[length:], case.get("name")] if case.get("classname") else []
            return "::".join([path.as_posix(), *names])
    raise SystemExit(f"No file of the test {case.attrib}.")


reports = map(xml.etree.ElementTree.parse, sys.argv[1:])
cases = (case for report in reports for case in report.iter("testcase"))
skipped = [case for case in cases if case.find("skipped") is not None]
print(*dict.fromkeys(map(node, skipped)), sep="\n")
