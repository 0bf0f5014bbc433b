"""What stands in and beside exported files may be damaged or hostile."""

import io
import json
import shutil
import types
import zipfile
from pathlib import Path

import pytest

from keras_residual import export
from keras_residual.export.proof import artefact, card
from keras_residual.export.proof.artefact import Artefact, entries_of_card

SHIPPED = Path(__file__).parents[2] / "saved_models" / "cifar10_resnet8"
DAMAGED_CARDS = [
    "",
    "[" * 99999,
    "[]",
    "3",
    '{"artefacts": [1]}',
    '{"artefacts": 5}',
    '{"artefacts": {"model.bin": 5}}',
    '{"artefacts": {"model.bin": {"bytes": 3, "description": [1]}}}',
    '{"artefacts": {"model.bin": {"bytes": "3"}}}',
]


def runtime(**facts):
    return types.SimpleNamespace(format="litert", inputs={}, labels=lambda: None, **facts)


@pytest.mark.parametrize("text", DAMAGED_CARDS, ids=lambda text: text[:40])
def test_a_damaged_card_says_nothing(tmp_path, text):
    (tmp_path / "model.bin").write_bytes(b"abc")
    (tmp_path / "card.json").write_text(text)
    assert Artefact(tmp_path / "model.bin", runtime()).description is None
    assert isinstance(entries_of_card(tmp_path / "card.json"), dict)


def test_a_huge_card_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "card.json").write_text('{"artefacts": {"a": 1}}')
    assert entries_of_card(tmp_path / "card.json") == {"a": 1}
    monkeypatch.setattr(artefact, "_LARGEST_CARD", 9)
    assert entries_of_card(tmp_path / "card.json") == {}


def test_damaged_entries_of_an_earlier_card_are_left_out(tmp_path):
    """An export keeps the rows of earlier ones, which it must be able to print."""
    shipped = json.loads((SHIPPED / "card.json").read_text())
    weights = shipped["model"]["weights_sha256"]
    (name, entry), *_ = shipped["artefacts"].items()
    others = {"a": 5, "b": {}, "c": {**entry, "verification": []}, "d": {**entry, "bytes": "x"}}
    others |= {"e": {**entry, "operations": 3}, "f": {**entry, "inputs": [{"name": 1}]}}
    shipped["artefacts"] = {name: entry, **others}
    (tmp_path / "card.json").write_text(json.dumps(shipped))
    for file in shipped["artefacts"]:
        (tmp_path / file).touch()
    assert card._kept(tmp_path, weights) == {name: entry}


@pytest.mark.parametrize(
    "facts",
    [
        [],
        3,
        {"description": [1]},
        {"pixels": 3},
        {"pixels": {"matrix": [[1]]}},
        {"pixels": {"matrix": [[1]], "mean": [0]}},
        {"pixels": {"matrix": [[1, 1, 1]], "mean": [0]}},
        {"pixels": {"matrix": [[1], [1, 2]], "mean": [0]}},
        {"pixels": {"matrix": "a", "mean": 0}},
    ],
    ids=str,
)
def test_damaged_facts_in_a_file_are_named(facts):
    with pytest.raises(export.ExportError, match=r"^model\.tflite is damaged: its facts"):
        Artefact(Path("model.tflite"), runtime(facts=facts))


def test_grey_models_have_one_row_of_three_colours():
    facts = {"pixels": {"matrix": [[0.3, 0.6, 0.1]], "mean": [0, 0, 0]}}
    assert Artefact(Path("model.tflite"), runtime(facts=facts)).pixels.channels == 1


def test_labels_that_unpack_to_much_are_not_read(tmp_path):
    pytest.importorskip("ai_edge_litert")
    shipped = next(SHIPPED.glob("*.tflite"))
    assert export.load(shipped).labels
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"\n" * (1 << 25))
    path = tmp_path / "model.tflite"
    shutil.copyfile(shipped, path)
    with path.open("ab") as file:
        file.write(packed.getvalue())
    assert export.load(path).labels is None
