"""Training and evaluation from the command line with each kind of labels and examples."""

import json

import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (48, 8, 8, 3), np.uint8)
SERIES = RANDOM.normal(size=(48, 24, 2)).astype("float32")
BRIGHT = X.mean(axis=(1, 2, 3)) / 255

SOURCES = {
    "multi_label": (X, np.stack([X[..., c].mean(axis=(1, 2)) > 127 for c in range(3)], 1) * 1.0),
    "regression": (X, np.stack([BRIGHT, 1 - BRIGHT + 0.25], axis=1)),
    "series": (SERIES, np.arange(48) % 3),
    "lstm": (SERIES, np.arange(48) % 3),
}
MODELS = {"series": "resnet1d", "lstm": "residuallstmclassifier"}


@pytest.mark.parametrize("name", SOURCES)
def test_train_and_evaluate(run, tmp_path, name):
    x, y = SOURCES[name]
    np.savez(tmp_path / "tiny.npz", x=x, y=y)
    dataset = "tiny.npz,examples=series" if x.ndim == 3 else "tiny.npz"
    model = MODELS.get(name, "resnet8")
    trained = run(
        f"train --model {model} --dataset {dataset} --batch-size 16 --epochs 1 --output run"
    )
    assert trained.exit_code == 0, trained.output + trained.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    measured = run(f"evaluate run/model.keras --dataset {dataset} --output report")
    assert measured.exit_code == 0, measured.output + measured.stderr
    report = json.loads((tmp_path / "report" / "report.json").read_text())["report"]
    assert report == result["report"]
    if name == "multi_label":
        assert len(report["accuracy"]) == 3 and "accuracy of a label" in measured.output
    if name == "regression":
        assert len(report["mean_absolute_error"]) == 2 and "mean absolute error" in trained.output


def test_a_size_is_for_images(refused, tmp_path):
    np.savez(tmp_path / "tiny.npz", x=SERIES, y=np.arange(48) % 3)
    line = "train --model resnet1d --dataset tiny.npz,examples=series --image-size 32"
    assert "is for images" in refused(line)


def test_measures():
    from keras_residual.cli import _measures

    y = np.array([[1.0, 0], [0, 0], [1, 1], [1, 1]])
    logits = np.array([[2.0, -1], [3, -1], [-1, 4], [5, 6]])
    found = _measures.measure(lambda x: logits, [(None, y)], "multi_label", ("a", "b"))
    assert found.columns == {
        "accuracy": [0.5, 1.0],
        "precision": [2 / 3, 1.0],
        "recall": [2 / 3, 1.0],
    }
    probabilities = 1 / (1 + np.exp(-logits))
    again = _measures.measure(lambda x: probabilities, [(None, y)], "multi_label", ("a", "b"))
    assert again.columns == found.columns
    numbers = _measures.measure(
        lambda x: y + np.array([1, 0]), [(None, y)], "regression", ("a", "b")
    )
    assert numbers.columns["mean_absolute_error"] == [1.0, 0.0]
    assert numbers.columns["r2"][1] == 1.0 and numbers.mean == 0.5
    with pytest.raises(ValueError, match="2 numbers per example"):
        _measures.measure(lambda x: y[:, :1], [(None, y)], "regression", ("a", "b"))


@pytest.mark.slow
def test_tune_with_series(run, tmp_path):
    np.savez(tmp_path / "tiny.npz", x=SERIES, y=np.arange(48) % 3)
    found = run(
        "tune --model resnet1d --dataset tiny.npz,examples=series --max-trials 1 --epochs 1 "
        "--knob width=4 --knob depth=1 --output search"
    )
    assert found.exit_code == 0, found.output + found.stderr
    assert (tmp_path / "search" / "best.json").exists()
