import json

import keras
import matplotlib.image
import numpy as np
import pytest

from keras_residual import data, export

PICTURES = ("learning_curves.png", "confusion_matrix.png", "sample_predictions.png")


def check_output(folder, epochs, accuracy):
    """Every file is there, says the same, and agrees with what is measured here."""
    report = json.loads((folder / "report.json").read_text())
    rows = {row["format"]: row for row in report["formats"]}
    assert list(rows) == ["Keras", "SavedModel", "LiteRT float32", "LiteRT int8"]
    test = data.load("digits").test
    images = test.x / np.float32(test.scale)
    model = keras.saving.load_model(folder / "model.keras")
    expected = model.predict(images, verbose=0)
    outputs = {
        "Keras": expected,
        **{
            name: export.load(folder / rows[name]["file"]).predict(images)
            for name in ("SavedModel", "LiteRT float32", "LiteRT int8")
        },
    }
    for name, row in rows.items():
        assert row["accuracy"] == np.mean(outputs[name].argmax(-1) == test.y)
        difference = np.abs(outputs[name] - expected).max()
        assert row["worst_difference"] == pytest.approx(difference, abs=1e-6)
        assert 0 < row["latency_seconds"] < 1 and row["bytes"] > 50_000
        assert row["accuracy"] >= accuracy
    assert rows["SavedModel"]["worst_difference"] < 1e-5
    assert rows["LiteRT float32"]["worst_difference"] < 1e-5
    assert rows["LiteRT int8"]["bytes"] < 0.35 * rows["LiteRT float32"]["bytes"]
    card = json.loads((folder / "card.json").read_text())
    assert card["model"]["name"] == "resnet8"
    for name in ("SavedModel", "LiteRT float32", "LiteRT int8"):
        checked = card["artefacts"][rows[name]["file"]]["verification"]
        assert checked["accuracy"] == pytest.approx(rows[name]["accuracy"])
    text = (folder / "README.md").read_text()
    assert text.startswith("# resnet8\n") and "Functional" not in text
    assert f"{rows['LiteRT int8']['accuracy']:.2%} (" in text
    assert np.sum(report["confusion_matrix"]) == len(test.y)
    assert np.trace(report["confusion_matrix"]) / len(test.y) == rows["Keras"]["accuracy"]
    assert len(report["history"]["val_accuracy"]) == epochs
    for name in PICTURES:
        height, width, _ = matplotlib.image.imread(folder / name).shape
        assert min(height, width) > 400
    return report


def test_quickstart(run, tmp_path):
    result = run("quickstart --epochs 8 --seed 1 --output out")
    assert result.exit_code == 0, result.output
    report = check_output(tmp_path / "out", epochs=8, accuracy=0.9)
    assert report["seed"] == 1
    for row in report["formats"]:
        line = next(line for line in result.stdout.splitlines() if row["format"] in line)
        assert f"{row['accuracy']:.2%}" in line
    assert "What next" in result.stdout
    assert result.stderr == ""


def test_quickstart_names_missing_extras(refused, monkeypatch):
    from keras_residual.cli import _quickstart

    find = _quickstart.importlib.util.find_spec
    monkeypatch.setattr(
        _quickstart.importlib.util,
        "find_spec",
        lambda name: None if name in ("matplotlib", "ai_edge_litert") else find(name),
    )
    assert 'pip install "keras-residual[plot,export]"' in refused("quickstart")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quickstart_reaches_its_accuracy(run, tmp_path, seed):
    result = run(f"quickstart --seed {seed} --output out")
    assert result.exit_code == 0, result.output
    report = check_output(tmp_path / "out", epochs=30, accuracy=0.985)
    resumed = run(f"quickstart --seed {seed} --output out --resume")
    assert resumed.exit_code == 0
    again = check_output(tmp_path / "out", epochs=30, accuracy=0.985)
    assert again["history"] == report["history"]
