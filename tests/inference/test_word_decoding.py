"""Words by pyctcdecode: as wide a beam finds what the search of this package finds."""

import sys

import numpy as np
import pytest

from keras_residual import inference

CHARACTERS = "ab "


def outputs(scale=2.0):
    return scale * np.random.default_rng(0).normal(size=(6, 6, 4))


@pytest.fixture
def pyctcdecode():
    package = pytest.importorskip("pyctcdecode")
    pytest.importorskip("pyctcdecode.language_model")
    return package


@pytest.mark.parametrize("blank", [-1, 1])
def test_without_a_language_model(pyctcdecode, blank):
    """Nothing is pruned unless that is asked for. It merges by the best of all paths."""
    x, mask = outputs(), np.array([6, 6, 6, 4, 5, 0])
    texts = inference.decode_words(x, CHARACTERS, mask, blank)
    names = list(CHARACTERS) if blank == -1 else ["a", None, "b", " "]
    beams = inference.decode_beam(x, mask, blank, beam_width=500)
    expected = [" ".join(found[0].text(names).split()) for found in beams]
    assert sum(a == b for a, b in zip(texts, expected, strict=True)) >= 5
    assert texts[-1] == ""


def test_with_a_language_model(pyctcdecode):
    class OnlyB(pyctcdecode.language_model.AbstractLanguageModel):
        order = 1

        def get_start_state(self):
            return None

        def score_partial_token(self, partial_token):
            return -100.0 * partial_token.count("a")

        def score(self, prev_state, word, is_last_word=False):
            return -100.0 * word.count("a"), None

    texts = inference.decode_words(outputs(), CHARACTERS, language_model=OnlyB())
    assert not any("a" in text for text in texts)


def test_what_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyctcdecode", None)
    with pytest.raises(ImportError, match=r"keras-residual\[speech\]"):
        inference.decode_words(outputs(), CHARACTERS)


def test_wrong_arguments(pyctcdecode, monkeypatch, tmp_path):
    for characters in ("ab", "aab", ["ab", "c", " "]):
        with pytest.raises(ValueError, match="`characters` must be 3 different characters"):
            inference.decode_words(outputs(), characters)
    with pytest.raises(ValueError, match="`language_model` must exist"):
        inference.decode_words(outputs(), CHARACTERS, language_model=tmp_path / "no.arpa")
    with pytest.raises(ValueError, match="`language_model` must be a path"):
        inference.decode_words(outputs(), CHARACTERS, language_model=3)
    monkeypatch.setitem(sys.modules, "kenlm", None)
    (tmp_path / "a.arpa").write_text("")
    with pytest.raises(ImportError, match="kenlm"):
        inference.decode_words(outputs(), CHARACTERS, language_model=tmp_path / "a.arpa")
