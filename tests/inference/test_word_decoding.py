"""Words by pyctcdecode: with an equal beam it finds the same as this package's search."""

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


ARPA = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.3
-0.6\t</s>\t0
{ab}\tab\t-0.3
{ba}\tba\t-0.3

\\2-grams:
{ab}\t<s> ab
{ba}\t<s> ba

\\end\\
"""


@pytest.mark.parametrize("blank", [-1, 0])
def test_with_a_language_model_in_a_file(pyctcdecode, tmp_path, blank):
    """Where `aa`, `ab`, `ba` and `bb` are as probable, the words of the file decide."""
    pytest.importorskip("kenlm", reason="no kenlm")
    # Without the language model the second is a little better.
    x = np.log([[[0.49, 0.51, 1e-9, 1e-9], [1e-9, 1e-9, 1e-9, 1.0], [0.51, 0.49, 1e-9, 1e-9]]])
    x = np.roll(x, 1, axis=-1) if blank == 0 else x
    assert inference.decode_words(x, CHARACTERS, blank=blank) == ["ba"]
    for better, worse in (("ab", "ba"), ("ba", "ab")):
        path = tmp_path / f"{better}.arpa"
        path.write_text(ARPA.format(**{better: -0.2, worse: -3.0}))
        (text,) = inference.decode_words(x, CHARACTERS, blank=blank, language_model=path, weight=2)
        assert text == better
        (text,) = inference.decode_words(x, CHARACTERS, blank=blank, language_model=path, weight=0)
        assert text == "ba"


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
