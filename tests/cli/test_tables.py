"""Every table that the command line prints can be read in 80 columns."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import keras_residual
from keras_residual.cli import _comparison, _measures, _report, _searching, benchmark, export, main
from keras_residual.cli._table import Column, layout

WIDTH = 80
LONG = "bottleneck 3-4-23-3 of 64-128-256-512, deep, projection, pre, SE, blurred by binomials"
CLI = Path(keras_residual.__file__).parent / "cli"


def check(text, width=WIDTH):
    """No line is too wide, and nothing is cut."""
    assert text and "…" not in text
    assert max(map(len, text.splitlines())) <= width, text


def check_words(text, rows):
    """No word or number of any cell is cut."""
    words = set(text.split())
    for row in rows:
        for cell in row:
            assert set(str(cell).split()) <= words, cell


def lines(rows, width, columns):
    return [line.plain for line in layout(columns, rows, width)]


def test_forms_of_a_table():
    columns = [Column("Name", text=True, wraps=True), Column("Size"), Column("Latency\nin ms")]
    rows = [["a long name of things", "76.2 kB", "1.32"], ["a long name of things", "9 B", "12"]]
    assert lines(rows, 40, columns) == [
        "                                Latency",
        "Name                      Size    in ms",
        "a long name of things  76.2 kB     1.32",
        "a long name of things      9 B       12",
    ]
    assert lines(rows, 30, columns)[2:4] == ["a long name   76.2 kB     1.32", "of things"]
    # Too narrow for words and numbers: the text has a line of its own.
    above = lines(rows, 24, columns)
    assert above[:3] == ["Name", "         Latency", "   Size    in ms"]
    assert above[3:] == ["a long name of things", "76.2 kB     1.32", "    9 B       12"]
    below = lines([row[::-1] for row in rows], 24, columns[::-1])
    assert below[2:5] == ["  Name", "   1.32  76.2 kB", "  a long name of things"]
    # Too narrow for the numbers: a line for each fact.
    assert lines(rows[:1], 15, columns) == [
        "a long name of things",
        "  Size           76.2",
        "                 kB",
        "  Latency in ms  1.32",
    ]


@pytest.mark.parametrize("width", [1, 15, 24, 30, 40, 200])
def test_no_form_loses_or_breaks_a_word(width):
    columns = [Column("Name", text=True, wraps=True), Column("Size"), Column("Latency\nin ms")]
    rows = [["résidu ＲＥＳ of things", "76.2 kB", "1.32"], ["", "9 B", "12"]]
    check_words("\n".join(lines(rows, width, columns)), rows)


def test_cells_are_text_and_no_markup():
    columns = [Column("Name", text=True), Column("Size")]
    assert lines([["[bold]a[/]", "[1]"]], 80, columns)[1] == "[bold]a[/]   [1]"


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "list --sort accuracy",
        "list resnext*",
        "list --task super-resolution",
        "checks",
        "summary resnet50",
        "summary seresnextaa101d_32x8d",
        "summary edsr",
        "summary bitresnet50x1 --input-shape 96x128x1 --classes 2000000000",
    ],
)
def test_printed_tables(run, monkeypatch, line):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    result = run(line, keep_columns=True)
    assert result.exit_code == 0, result.output
    table = result.stdout.split("parameters (")[0].rpartition("\n")[0]
    if line.startswith("checks"):
        table = table.partition("Extra")[2]
    check(table or result.stdout)


def test_tables_of_a_long_run(monkeypatch, capsys):
    """With the longest names and numbers that these columns get."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    timing = SimpleNamespace(median_seconds=0.98765, memory_bytes=987.6e6)
    checked = SimpleNamespace(worst=1.2345e-7, agreement=1.0, accuracy=0.98765, error=None)
    names = ["saved_model", "model_int16x8.tflite", "model_of_somebody_with_a_name.onnx"]
    rows = [SimpleNamespace(path=Path(n), bytes=987.6e6, verification=checked, timing=timing)
            for n in names]  # fmt: skip
    export.print_table(export._COLUMNS, cells := [export._row(row) for row in rows])
    text = capsys.readouterr().out
    check(text)
    check_words(text, cells)

    measured = [
        SimpleNamespace(name=name, batch_size=128, threads=16, median_seconds=0.98765,
                        p95_seconds=123.4, per_second=98765.4, load_seconds=0.00123,
                        memory_bytes=987.6e6, file_bytes=None)
        for name in ("keras.applications.ResNet152V2", "out/a/b/c/model_int8.tflite")
    ]  # fmt: skip
    benchmark.print_table(benchmark._COLUMNS, cells := [benchmark._row(row) for row in measured])
    text = capsys.readouterr().out
    check(text)
    check_words(text, cells)

    _comparison.print_rows(
        [_comparison.FormatRow("LiteRT float32", "model.tflite", 1.0, 987_654_321, 0.98765, 1e-7)]
    )
    check(capsys.readouterr().out)

    heads = ["trial", "accuracy", "parameters", "MACs", "int8 bytes", "ms", "seconds", "network"]
    cells = ["0017", "98.76%", "123,456,789", "12,345,678,901", "123,456,789", "1.234", "9.8", LONG]
    result = SimpleNamespace(
        failed=(), completed=True, output=Path("runs"), table=lambda: [heads, cells],
        remarks=list,
    )  # fmt: skip
    _searching.show(result, [Path("best.json")], "digits")
    text = capsys.readouterr().out
    check(text.partition("runs/")[0])
    check_words(text, [heads, cells])


def test_tables_of_classes_and_labels(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    names = ("crane (bird)", "black-footed albatross, Phoebastria nigripes (Audubon, 1839), adult")
    answers = _report.Answers(names)
    answers.add(np.zeros((3, 2, 2, 1)), np.array([0, 1, 1]), np.eye(2)[[0, 1, 0]])
    answers.print_table()
    text = capsys.readouterr().out
    check(text.partition("Macro")[0])
    check_words(text, [names, ("Precision", "Examples")])
    outputs = np.random.default_rng(0).normal(size=(8, 2))
    batches = [(None, np.ones((8, 2)))]
    for kind in ("multi_label", "regression"):
        found = _measures.measure(lambda x: outputs, batches, kind, names)
        found.print_table()
        text = capsys.readouterr().out
        check(text)
        check_words(text, [names])


@pytest.mark.parametrize("verb", main._VERBS)
def test_help_is_not_cut(run, monkeypatch, verb):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    result = run(f"{verb} --help", keep_columns=True)
    check(result.stdout)
    # No line of prose ends early: the first paragraph fills its lines.
    text = re.sub(r"\s+", " ", result.stdout)
    assert main._help_of(main._VERBS[verb]).splitlines()[0] in text


def test_one_way_to_print_a_table():
    """The live view of a search is the only exception."""
    for path in CLI.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if getattr(node, "module", None) == "rich.table" and "Table" in [
                name.name for name in node.names
            ]:
                assert path.name == "_search_progress.py", path
