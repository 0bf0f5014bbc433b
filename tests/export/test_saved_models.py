"""The exported models in the repository are what their cards say."""

import json
import os
import pathlib

import numpy as np
import pytest
from export.saved_models import DIGITS, EXAMPLES, readme
from support import dataset_at_hand

from keras_residual import export, inference

FOLDER = pathlib.Path(__file__).parents[2] / "saved_models"
CARDS = sorted(FOLDER.glob("[!l]*/card.json"))
ENTRIES = [
    pytest.param(path.parent / name, entry, id=f"{path.parent.name}/{name}")
    for path in CARDS
    for name, entry in json.loads(path.read_text(encoding="utf-8"))["artefacts"].items()
]


def test_there_are_some():
    assert len(ENTRIES) >= 2


def test_readme_has_the_figures_of_the_cards():
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == readme()


def strings_at_hand(name, monkeypatch):
    """Returns waveforms of the examples' held-out strings of digits, and their labels."""
    dataset_at_hand(DIGITS)
    monkeypatch.syspath_prepend(EXAMPLES)
    import connected_digits
    import segments
    from common.digit_strings import Recordings
    from common.phone import fitting

    recordings = Recordings(pathlib.Path(os.environ["KERAS_RESIDUAL_DATA"]) / "spoken_digits.npz")
    if name == "connected_digits":
        return fitting(*connected_digits.labelled(connected_digits.test_strings(recordings)))
    return fitting(*segments.tagged(segments.held_out(recordings)))


@pytest.mark.parametrize(("path", "entry"), ENTRIES)
def test_card_is_true(path, entry, monkeypatch):
    artefact = export.load(path)
    assert artefact.sha256() == entry["sha256"] and artefact.bytes == entry["bytes"]
    assert artefact.operations() == entry["operations"]
    assert artefact.tensors() == {side: entry[side] for side in ("inputs", "outputs")}
    if artefact.format == "litert":
        found = {name: [] for name in entry["delegates"]}
        for refusal in export.lint(path):
            found[refusal.delegate].append(refusal.operation)
        assert found == {
            name: [line.split()[1].rstrip(":") for line in lines]
            for name, lines in entry["delegates"].items()
        }
    if path.parent.name in ("connected_digits", "spoken_segments"):
        waves, answers = strings_at_hand(path.parent.name, monkeypatch)
        outputs = artefact.predict(waves)
        checked = entry["verification"]
        if checked["error_rate"] is None:
            found, stated = np.mean(outputs.argmax(-1) == answers), checked["accuracy"]
        else:
            heard = [answer.labels for answer in inference.decode_greedy(outputs)]
            right = [row[row >= 0] for row in answers]
            mistakes = sum(map(inference.edit_distance, heard, right))
            found, stated = mistakes / sum(map(len, right)), checked["error_rate"]
        assert len(waves) == checked["samples"] and found == pytest.approx(stated, abs=0.003)
        return
    spoken = path.parent.name.startswith("spoken_digits")
    test = dataset_at_hand(DIGITS if spoken else path.parent.name.split("_")[0]).test
    images = test.x / np.float32(test.scale)
    images = images[..., 0] if spoken else images
    if artefact.pixels is not None:
        images = np.round(255 * images).astype(np.uint8)
    outputs = artefact.predict(images)
    assert np.mean(outputs.argmax(-1) == test.y) == pytest.approx(
        entry["verification"]["accuracy"], abs=0.006
    )
