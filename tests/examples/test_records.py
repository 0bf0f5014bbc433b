"""The output shown in an example's docstring is that of its recorded run."""

import ast
import importlib.util
import json
import re

import pytest
import tables

FOLDER = tables.ROOT / "examples"
RECORDS = {
    path.stem: record
    for path in sorted((FOLDER / "results").glob("*.json"))
    if isinstance(record := json.loads(path.read_text(encoding="utf-8")), dict)
    and "printed" in record
}
PRINTS = re.compile(r"prints\b[^:]*:\n\n((?:    .*\n?)+)")


def documentation(name):
    return ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", RECORDS)
def test_printed_lines_are_those_of_the_recorded_run(name):
    (block,) = PRINTS.findall(documentation(name))
    shown = [line.strip() for line in block.splitlines()]
    assert shown == [line.strip() for line in RECORDS[name]["printed"]][-len(shown) :]


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_when_where_and_how(name):
    record = RECORDS[name]
    assert record["command"].startswith(f"python examples/{name}.py")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"]) and record["machine"]
    assert record["seconds"] > 0 and record["processor_seconds"] > 0
    assert {"python", "keras", "numpy"} <= record["versions"].keys()


# Those whose results are many: their files below `results/`.
MANY = {"cifar10": "resnet*.json", "ucr_archive": "ucr/*.json"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_has_a_picture_and_a_kept_result(path):
    picture = tables.ROOT / "docs" / "images" / f"{path.stem}.png"
    assert 1000 < picture.stat().st_size < 400_000
    assert list((FOLDER / "results").glob(MANY.get(path.stem, f"{path.stem}.json")))


def test_last_lines_are_those_that_stay_on_a_terminal():
    path = tables.ROOT / "tests" / "record_example.py"
    spec = importlib.util.spec_from_file_location("record_example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = "Epoch 1/2\n\n\x1b[1m5/5\x1b[0m ━━━━ 1s\nstep 1\rstep 2  \n  accuracy: 9 %\n"
    assert module.last_lines(text) == ["step 2", "  accuracy: 9 %"]
