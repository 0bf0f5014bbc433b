"""The example of fine-tuning: its four ways, its table."""

import argparse
import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

import fine_tuning  # noqa: E402

from keras_residual import data  # noqa: E402


@pytest.mark.slow
def test_all_ways_run(tmp_path):
    draw = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 4)):
        for name, colour in (("blue", (40, 60, 200)), ("red", (200, 60, 40))):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(-40, 40, (40, 40, 3)) + np.array(colour)
                image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                image.save(folder / f"{number}.png")
    arguments = argparse.Namespace(model="resnet8", weights="cifar10", size=32, epochs=42, seed=0)
    rows = fine_tuning.compare(arguments, data.load(tmp_path / "photos"))
    assert list(rows) == list(fine_tuning.WAYS)
    assert rows["features and a linear classifier"]["epochs"] == 40
    assert all(0 <= row["accuracy"] <= 1 for row in rows.values())
    (tmp_path / "result.json").write_text(json.dumps({"ways": rows}))
    assert fine_tuning.table(tmp_path / "result.json").count("\n") == 2 + len(rows)
