"""The guide's tables of searches are those of the kept results."""

import json

import pytest
import tables
from support import benchmark

RESULTS = tables.ROOT / "tests" / "benchmarks" / "results"


@pytest.fixture
def results(monkeypatch):
    return benchmark("_search_results", monkeypatch)


def test_the_table_of_the_digits_is_that_of_the_kept_run(results):
    kept = json.loads((RESULTS / "search_curves.json").read_text())
    expected = results.table(kept["curves"], kept["minutes"])
    assert tables.read(results.GUIDE, "search-curves") == f"{expected}\n"


def test_the_table_of_other_data_is_that_of_the_kept_runs(results):
    kept = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("search_curves-*.json"))]
    expected = results.others_table(kept)
    assert tables.read(results.GUIDE, "search-curves-of-others") == f"{expected}\n"


def test_depth_and_cardinality_are_those_of_the_kept_run(monkeypatch):
    program = benchmark("depth_and_cardinality", monkeypatch)
    kept = json.loads((RESULTS / "depth_and_cardinality.json").read_text())["results"]
    text = tables.read(tables.ROOT / "docs" / "guide" / "depth.md", "depth-and-cardinality")
    assert text == program.text(kept)


def test_a_search_is_read_at_equal_minutes(results):
    """What was found after the time does not count; the goal is the best peer's mean."""
    points = {"0": {"points": [[10.0, 0.5], [59.0, 0.9], [61.0, 0.99]], "from_scratch": None}}
    peer = {"0": {"points": [[30.0, 0.8]], "from_scratch": None}}
    *_, ours, theirs = results.table({"evolution": points, "KT": peer}, 1).splitlines()
    assert ours.split(" | ")[1:] == ["2", "50.00 %", "50.00 %", "90.00 %", "90.0", "", "1.0 |"]
    assert theirs.endswith("| 0.5 |")
