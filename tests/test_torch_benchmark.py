"""The page's times beside PyTorch and JAX are those that the benchmark has measured."""

import json

import pytest
import tables
from support import benchmark


@pytest.mark.parametrize("peer", ["torch", "jax"])
def test_the_page_has_what_was_measured(monkeypatch, peer):
    torch_on_cpu = benchmark("torch_on_cpu", monkeypatch)
    assert tables.read(torch_on_cpu.PAGES[peer], f"{peer}-on-cpu") == torch_on_cpu.table(peer=peer)


def test_rows_that_were_not_measured_are_left_out(monkeypatch, tmp_path):
    torch_on_cpu = benchmark("torch_on_cpu", monkeypatch)
    found = {"torch_ms": 1200.4, "ours_ms": 1000.0, "ratio": 1.2, "quartiles": [1.1, 1.3]}
    rows = {"ResNet50 bfloat16 training": found}
    (tmp_path / "torch_on_cpu.json").write_text(json.dumps({"rows": rows}))
    line = "| `ResNet50`, training, bfloat16 | 1,200 | 1,000 | 1.20 | 1.10 to 1.30 |"
    assert torch_on_cpu.table(tmp_path).splitlines()[2:] == [line]
