"""The guide's figures of fine-tuning are those that the benchmark has measured."""

import argparse
import json

import pytest
import tables
from support import benchmark


@pytest.fixture
def fine_tuning(monkeypatch):
    return benchmark("fine_tuning", monkeypatch)


def test_the_guide_has_what_was_measured(fine_tuning):
    assert tables.read(fine_tuning.GUIDE, "fine-tuning") == fine_tuning.table()


def test_times_as_fast_count_the_passes_through_frozen_layers(fine_tuning):
    """40 epochs of the head and four versions: 40 · 10 s against 4 · 5 s + 40 · 0.5 s."""
    found = fine_tuning.totals(kept=[0.5, 2.0], computed=[10.0, 20.0], passes=[5.0, 4.0])
    rest = fine_tuning.FINE_TUNE.epochs - fine_tuning.FINE_TUNE.head_epochs
    assert found["head_times_as_fast"] == 400 / 40
    with_kept = 40 + 4 * 4 + rest * 2
    assert found["freeze_stage3_times_as_fast"] == pytest.approx((400 + 20 * rest) / with_kept)


def test_an_interrupted_comparison_goes_on_with_the_same_settings_only(fine_tuning, tmp_path):
    arguments = argparse.Namespace(
        model="resnet8", size=32, head_epochs=2, rest=1, output=tmp_path, seeds=3
    )
    none = {way: [] for way in fine_tuning.WAYS}
    assert fine_tuning.kept_accuracies(arguments, "photos") == none
    found = {"kept": [0.5, 0.25], "computed in each step": [0.75]}
    result = {**fine_tuning.settings_of(arguments, "photos"), **found}
    (tmp_path / "fine_tuning-accuracy.json").write_text(json.dumps(result))
    assert fine_tuning.kept_accuracies(arguments, "photos") == found
    assert fine_tuning.kept_accuracies(arguments, "other photos") == none
    arguments.size = 64
    assert fine_tuning.kept_accuracies(arguments, "photos") == none
