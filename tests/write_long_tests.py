"""Writes `long_tests.txt`: the tests that the default run leaves to `pytest -m long`.

    pytest --junit-xml first.xml; pytest -m "long and not slow" --junit-xml longer.xml
    python tests/write_long_tests.py first.xml longer.xml

The slowest go, until what is left takes `BUDGET` seconds of one process: two processes on two idle
cores then take less than ten minutes with their start. `.ci/run` runs both parts.
"""

import argparse
import pathlib
import xml.etree.ElementTree

from junit import node

LIST = pathlib.Path(__file__).with_name("long_tests.txt")
BUDGET = 900.0


def long_tests(times, budget=BUDGET):
    """Returns the slowest of some tests, so that the rest takes at most `budget` seconds."""
    total, chosen = sum(times.values()), []
    for name in sorted(times, key=times.get, reverse=True):
        if total <= budget:
            break
        total -= times[name]
        chosen.append(name)
    return sorted(chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("times", nargs="+", help="what `pytest --junit-xml` has written")
    reports = [xml.etree.ElementTree.parse(report) for report in parser.parse_args().times]
    cases = [case for report in reports for case in report.iter("testcase")]
    chosen = long_tests({node(case): float(case.get("time")) for case in cases})
    LIST.write_text("".join(f"{name}\n" for name in chosen), encoding="utf-8")
    print(f"{len(chosen)} tests in {LIST}")


if __name__ == "__main__":
    main()
