"""The guide's seconds to the first training step are those that the benchmark has measured."""

import json

import tables
from support import benchmark


def test_the_guide_has_what_was_measured(monkeypatch):
    first_step = benchmark("first_step", monkeypatch)
    assert tables.read(first_step.GUIDE, "first-step") == first_step.table()


def test_the_median_of_several_rounds_counts(monkeypatch, tmp_path):
    first_step = benchmark("first_step", monkeypatch)
    rows = [
        {"model": "ResNet110", "way": "built", "seconds": seconds} for seconds in (3.0, 1.0, 2.0)
    ]
    (tmp_path / "first_step.json").write_text(json.dumps({"rows": rows}))
    assert "| `ResNet110`, 32² |  | 2.0 s |  |" in first_step.table(tmp_path)
