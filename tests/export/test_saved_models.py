"""The exported models in the repository are what their cards say."""

import json
import pathlib

import numpy as np
import pytest
from support import dataset_at_hand

from keras_residual import export

FOLDER = pathlib.Path(__file__).parents[2] / "saved_models"
CARDS = sorted(FOLDER.glob("[!l]*/card.json"))
ENTRIES = [
    pytest.param(path.parent / name, entry, id=f"{path.parent.name}/{name}")
    for path in CARDS
    for name, entry in json.loads(path.read_text(encoding="utf-8"))["artefacts"].items()
]


def test_there_are_some():
    assert len(ENTRIES) >= 2
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.parent.name}`" in readme for path in CARDS)


@pytest.mark.parametrize(("path", "entry"), ENTRIES)
def test_card_is_true(path, entry):
    artefact = export.load(path)
    assert artefact.sha256() == entry["sha256"] and artefact.bytes == entry["bytes"]
    assert artefact.operations() == entry["operations"]
    test = dataset_at_hand(path.parent.name.split("_")[0]).test
    outputs = artefact.predict((test.x / np.float32(test.scale)).astype("float32"))
    assert np.mean(outputs.argmax(-1) == test.y) == pytest.approx(
        entry["verification"]["accuracy"], abs=0.006
    )
