"""Searches over several labels an example, numbers, and series."""

import json

import numpy as np
import pytest
from toy import NO_RECIPE, ToySpace, X

from keras_residual import data, tuning
from keras_residual.cli import _searching
from keras_residual.data.splits import ArraySplit
from keras_residual.tuning.measure import measure_of

pytestmark = pytest.mark.usefixtures("quick_garbage_collection")

RNG = np.random.default_rng(0)
SERIES = RNG.normal(3.0, 2.0, (60, 8, 2)).astype("float32")
SEVERAL = (SERIES.mean(axis=1) > 3.0).astype("float32")
NUMBERS = SERIES.mean(axis=1)
SMALL = {
    **dict.fromkeys(name for name in NO_RECIPE if name not in ("batch_size", "label_smoothing")),
    "batch_size": 16,
}


def series_of(y, kind):
    split = ArraySplit(
        x=SERIES, y=y, image_shape=(8, 2), scale=1.0, label_kind=kind, augmentation="none"
    )
    return data.Dataset("waves", split, split, ("a", "b"))


class Errors(ToySpace):
    """The toy networks with errors by a formula; wider ones are hardly better than narrow ones."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.labels, self.measure = "regression", measure_of("regression", 1)

    def fit(self, hp, model, x, y=None, **options):
        values = self.values(hp)
        error = 1 / (10 + values["units"] ** 0.05 + values["layers"])
        metrics = {"mean_absolute_error": error, "val_mean_absolute_error": error}
        return {**metrics, "score": self._score(metrics, hp)}


def test_the_smallest_error_is_the_best(tmp_path):
    y = np.arange(20, dtype=float)[:, None] / 3
    space = Errors(activation="relu", layers=1)
    space.classes = 1
    options = {"algorithm": "grid", "max_trials": 6, "epochs": 1}
    result = tuning.search(space, (X, y), tmp_path / "alone", **options)
    errors = [result.value(row) for row in result.completed]
    assert errors == sorted(errors) and result.value(result.best) == errors[0]
    assert result.table()[0][1] == "error" and result.table()[1][1] == f"{errors[0]:.4g}"
    assert result.settings["objective"] == ["mean_absolute_error"]
    front = result.pareto("parameters")
    assert [result.value(row) for row in front] == sorted(map(result.value, front), reverse=True)
    traded = tuning.search(
        space, (X, y), tmp_path / "traded", objective=("mean_absolute_error", "macs"), **options
    )
    for row in traded.completed:
        relative = row.cost.macs / space.cost({}).macs
        assert row.metrics["score"] == pytest.approx(-traded.value(row) * relative**0.07)
    assert traded.best.cost.macs < result.best.cost.macs
    page = next(path for path in result.report() if path.name == "report.html")
    assert "Error against macs" in page.read_text() and "Error 0." in page.read_text()
    with pytest.raises(ValueError, match="`objective` must be one of 'mean_absolute_error'"):
        tuning.search(space, (X, y), tmp_path / "x", objective="accuracy")


def test_several_labels_are_searched_with_a_log_for_tensorboard(tmp_path):
    fixed = {"stages": 1, "width": 4, "depth": 1, "kernels": "3-3", **SMALL}
    fixed |= dict.fromkeys(("se_ratio", "shortcut", "normalize_identity", "drop_path_rate"))
    space = tuning.HyperResNet1D((8, 2), 2, labels="multi_label", **fixed)
    assert space.network(space.options(space.values({}))).layers[-1].activation.__name__ == (
        "sigmoid"
    )
    dataset = series_of(SEVERAL, "multi_label")
    result = tuning.search(space, dataset, tmp_path, max_trials=1, epochs=2, tensorboard=True)
    row = result.best
    assert row.accuracy == row.metrics["val_binary_accuracy"] and "val_auc" in row.metrics
    assert len(row.curve) == 2 and row.curve[-1] == pytest.approx(row.accuracy)
    assert list((tmp_path / "tensorboard" / "0").rglob("events.out.tfevents.*"))
    assert "accuracy" in str(result)


def test_numbers_of_series_by_an_lstm_that_standardizes_them(tmp_path):
    fixed = {"num_layers": 1, "units": 4, "dropout": 0.0, "residual": True, **SMALL}
    fixed |= dict.fromkeys(("bidirectional_bottom", "pooling"))
    space = tuning.HyperResidualLSTM((8, 2), 2, labels="regression", **fixed)
    assert "label_smoothing" not in [knob.name for knob in space.knobs]
    dataset = series_of(NUMBERS, "regression")
    result = tuning.search(space, dataset, tmp_path, max_trials=1, epochs=1)
    assert np.isfinite(result.value(result.best)) and "val_accuracy" not in result.best.metrics
    network = result.network()
    assert [layer.name for layer in network.layers][1] == "standardize"
    result.report(pictures=False)
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["model"] == "ResidualLSTMClassifier"


@pytest.mark.parametrize(
    ("labels", "options", "y", "message"),
    [
        ("regression", {}, SEVERAL[:, 0].astype(int), "must hold 2 values for each example"),
        ("regression", {}, NUMBERS * np.nan, "must be finite"),
        ("multi_label", {}, NUMBERS, "must hold 0 and 1"),
        ("regression", {"recipe": "modern"}, NUMBERS, "must be one without label_smoothing"),
        ("several", {}, NUMBERS, "`labels` must be one of 'classes', 'multi_label', 'regression'"),
    ],
)
def test_labels_of_another_kind_are_refused(labels, options, y, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        space = tuning.HyperResNet1D((8, 2), 2, labels=labels, **options)
        tuning.search(space, (SERIES, y), tmp_path / "new", max_trials=1)
    assert not (tmp_path / "new").exists()


def test_a_dataset_of_another_kind_says_how_to_make_the_space(tmp_path):
    space = tuning.HyperResNet1D((8, 2), 2)
    with pytest.raises(ValueError, match="make the space with labels='regression'"):
        tuning.search(space, series_of(NUMBERS, "regression"), tmp_path / "new")


def test_the_command_makes_the_space_that_the_dataset_needs():
    several, numbers = series_of(SEVERAL, "multi_label"), series_of(NUMBERS, "regression")
    spaces = [
        _searching.space(model, source, "quick", {}, False, {})
        for model, source in (("resnet1d", several), ("lstm", numbers))
    ]
    assert [type(space) for space in spaces] == [tuning.HyperResNet1D, tuning.HyperResidualLSTM]
    assert [space.labels for space in spaces] == ["multi_label", "regression"]
    with pytest.raises(ValueError, match="--model resnet1d` and `--model lstm`"):
        _searching.space("resnet", several, "quick", {}, False, {})
    with pytest.raises(ValueError, match="needs series"):
        _searching.space("lstm", data.load("digits"), "quick", {}, False, {})
