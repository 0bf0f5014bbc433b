"""The growth benchmark names what grows too fast, and can be resumed."""

import json
import sys

import pytest
from support import benchmark


@pytest.fixture
def growth(monkeypatch):
    return benchmark("growth", monkeypatch)


def points_of(name, exponent, sizes=(10, 100, 1000)):
    return [
        {
            "curve": name,
            "size": size,
            "amount": size,
            "once_s": 1.0 + 0.01 * size,
            "each_s": 0.1 * size**exponent,
            "memory_mib": None,
        }
        for size in sizes
    ]


def test_what_grows_faster_than_its_arithmetic_is_named(growth):
    found = growth.slopes([*points_of("width", 1.0), *points_of("knobs", 2.0)])
    assert found["width"]["each_s"] == 1.0 and found["width"]["memory_mib"] is None
    assert found["knobs"]["each_s"] == 2.0 and found["knobs"]["once_s"] < 1
    assert growth.worse_than_linear(found) == ["knobs: each_s grows with exponent 2.0"]


def test_the_last_three_points_count(growth):
    """Small sizes show what everything costs in any case."""
    points = points_of("width", 1.0, (10, 100, 1000, 10_000))
    points[0]["each_s"] = points[1]["each_s"]
    assert growth.slope(points, "each_s") == 1.0


def test_known_points_are_not_measured_again(growth, tmp_path, monkeypatch, capsys):
    names = ["width", "knobs"]
    known = [*points_of("width", 1.0, growth.CURVES["width"].sizes)]
    known += points_of("knobs", 1.0, growth.CURVES["knobs"].sizes)
    (tmp_path / "growth.json").write_text(json.dumps({"points": known}))
    monkeypatch.setattr(growth.subprocess, "Popen", None)  # A process would be an error.
    picture = tmp_path / "growth.png"
    arguments = ["growth.py", "--curves", *names, "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--figure", str(picture)])
    assert growth.main() == 0
    assert "Nothing grows faster" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_point_is_measured(growth, tmp_path):
    point = growth.measured("folders", 100, tmp_path)
    assert point["amount"] == 100 and point["once_s"] > 0 and point["each_s"] is None
    assert point["memory_mib"] >= 0
