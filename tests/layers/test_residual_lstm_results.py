"""The tables of times beside PyTorch's are the ones that the kept results give."""

import json

import pytest
import tables
from support import benchmark


@pytest.fixture
def beside(monkeypatch):
    return benchmark("lstm_beside_torch", monkeypatch)


def test_tables_are_those_of_the_results(beside):
    assert tables.read(tables.BENCHMARKS, "lstm-beside-torch") == beside.table()
    assert tables.read(tables.BENCHMARKS, "lstm-products") == beside.products_table()


def test_a_row_has_the_ratios_of_both_backends(tmp_path, beside):
    row = {"ours": 1.0, "torch": 1.5, "ratio": 1.5, "quartiles": [1.4, 1.75]}
    rows = [{"size": beside.SIZES[0], "inference": row, "training": {**row, "ratio": 1.25}}]
    for name in ("tensorflow", "jax"):
        beside.path_of(name, tmp_path).write_text(json.dumps({"rows": rows}))
    head, _, *lines = beside.table(tmp_path).splitlines()
    assert head.count("inference") == 2
    assert lines == ["| 4, 128, 1, 128 |" + " 1.50 (1.40–1.75) | 1.25 (1.40–1.75) |" * 2]


def test_ratios_are_of_neighbours_and_the_first_is_warming_up(beside):
    times = iter((0, 9, 9, 10, 10, 12, 12, 16, 16, 18, 18, 20, 20, 24, 24, 30))
    found = beside.in_turn(lambda: None, lambda: None, 3, lambda: next(times))
    assert found["ours"] == 2000 and found["torch"] == 4000
    assert found["ratio"] == 1.5 and found["quartiles"] == [1.0, 2.0]
