"""The table of times beside PyTorch's is the one that the kept results give."""

import json

import tables
from support import benchmark


def test_table_is_that_of_the_results(monkeypatch):
    residual_lstm = benchmark("residual_lstm", monkeypatch)
    assert tables.read(tables.BENCHMARKS, "residual-lstm") == residual_lstm.table()


def test_a_row_has_both_ratios(tmp_path, monkeypatch):
    residual_lstm = benchmark("residual_lstm", monkeypatch)
    size = {"units": 64, "batch": 1, "steps": 8, "layers": 2}
    rows = [
        {**size, "kind": "inference", "ratios": [2.0, 1.5]},
        {**size, "kind": "training", "ratios": [3.0, 1.25]},
    ]
    (tmp_path / "residual_lstm-tensorflow.json").write_text(json.dumps({"rows": rows}))
    assert "| 2, 64, 1, 8 | 1.50 | 1.25 |" in residual_lstm.table(tmp_path)
