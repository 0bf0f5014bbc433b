"""The fine-tuning example: its four ways, its table, and resuming after an interruption."""

import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

import fine_tuning  # noqa: E402


def write_photographs(folder):
    draw = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 4)):
        for name, colour in (("blue", (40, 60, 200)), ("red", (200, 60, 40))):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(-40, 40, (40, 40, 3)) + np.array(colour)
                image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                image.save(folder / part / name / f"{number}.png")


@pytest.mark.slow
def test_all_ways_run(tmp_path, monkeypatch, capsys):
    write_photographs(tmp_path / "photos")
    results, picture = tmp_path / "result.json", tmp_path / "picture.png"
    command = f"fine_tuning.py --photos {tmp_path / 'photos'} --model resnet8 --weights cifar10"
    options = f"--size 32 --epochs 42 --results {results} --picture {picture}"
    monkeypatch.setattr(sys, "argv", f"{command} {options}".split())
    fine_tuning.main()
    result = json.loads(results.read_text())
    rows = result["ways"]
    assert list(rows) == list(fine_tuning.WAYS)
    assert rows["features and a linear classifier"]["epochs"] == 40
    assert rows["`fine_tune`"]["epochs"] == 42
    assert all(0 <= row["accuracy"] <= 1 for row in rows.values())
    assert fine_tuning.table(rows) in capsys.readouterr().out
    assert picture.stat().st_size > 1000

    # The same command continues after the rows in the file.
    del rows["from scratch"]
    rows["`fine_tune`"]["accuracy"] = 0.125
    results.write_text(json.dumps({**result, "ways": rows}))
    fine_tuning.main()
    printed = capsys.readouterr().out
    assert "from scratch: {" in printed
    assert "all layers at once: {" not in printed
    assert "| `fine_tune` | 12.5% | 42 |" in printed


def test_the_docstring_has_the_kept_table():
    result = json.loads((ROOT / "examples" / "results" / "fine_tuning.json").read_text())
    shown = "\n".join(line.strip() for line in fine_tuning.__doc__.splitlines())
    assert fine_tuning.table(result["ways"]).strip() in shown


def test_rows_of_other_settings_are_not_taken(tmp_path):
    path, settings = tmp_path / "result.json", {"model": "resnet8", "size": 32}
    assert fine_tuning.kept_rows(path, settings) == {}
    path.write_text(json.dumps({"ways": {"from scratch": {}}, "settings": settings}))
    assert fine_tuning.kept_rows(path, settings) == {"from scratch": {}}
    assert fine_tuning.kept_rows(path, settings | {"size": 64}) == {}
    assert fine_tuning.kept_rows(None, settings) == {}
