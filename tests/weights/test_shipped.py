"""Weights included in the package: complete, with a card, and loaded without network access."""

import json
import pathlib
import tomllib

import numpy as np
import pytest
from support import dataset_at_hand

import keras_residual
from keras_residual.weights import _digests, cache, list_sources, preprocess, sources
from keras_residual.weights.errors import WeightsError

SHIPPED = [source for source in list_sources() if source.is_shipped]


@pytest.fixture(params=SHIPPED, ids=lambda source: source.name)
def source(request):
    return request.param


def test_small_networks_have_some():
    assert {"ResNet8", "ResNet20"} <= {source.model for source in SHIPPED}


def test_file_and_card_agree_with_the_table(source):
    path = cache.fetch(source)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["sha256"] == source.digest.removeprefix("sha256:")
    assert _digests.matches(path, source.digest) and path.stat().st_size <= 4_000_000
    assert source.top1 == pytest.approx(100 * card["accuracy_of_this_file"])
    assert card["model"] == source.model.lower() and card["dataset"] == source.classes
    assert {"recipe", "seed", "epochs", "command", "date"} <= set(card)


def test_the_name_of_the_classes_loads_them(source):
    model = keras_residual.get_model(source.model, weights=source.classes)
    assert model.output_shape == (None, 10)
    pixels = np.full((1, 32, 32, 3), 51, np.uint8)
    red = preprocess(pixels, model)[..., 0]
    np.testing.assert_allclose(red, (0.2 - 0.4915) / 0.2471, rtol=1e-5)
    with pytest.raises(ValueError, match="classes"):
        keras_residual.get_model(source.model, weights=source.classes, classes=7)


def test_the_accuracy_is_the_stated_one(source):
    test = dataset_at_hand(source.classes).test
    model = keras_residual.get_model(source.model, weights=source.classes)
    classes = model.predict(preprocess(test.x, model), 500, verbose=0).argmax(-1)
    assert 100 * np.mean(classes == test.y) == pytest.approx(source.top1, abs=0.02)


def test_a_damaged_installation_is_named(source, tmp_path, monkeypatch):
    (tmp_path / source.file_name).write_bytes(b"half")
    monkeypatch.setattr(cache, "asset", lambda name: tmp_path / name)
    with pytest.raises(WeightsError, match=f"{source.file_name}: not as it came with the package"):
        cache.fetch(source)
    monkeypatch.undo()
    assert sources.asset(source.file_name).is_file()


def test_they_need_no_extra():
    project = pathlib.Path(__file__).parents[2] / "pyproject.toml"
    required = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert any(name.startswith("safetensors") for name in required)
