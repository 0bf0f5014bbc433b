"""`--json`: one document on standard output, with the keys that the help names, and no more."""

import inspect
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import keras_residual
from keras_residual.cli import main


def documented(verb):
    """Returns what the help says of `--json`."""
    text = main._help_of(main._VERBS[verb])
    return text[text.index("With --json") :]


def check_keys(verb, document):
    """Every key is named in the help, and every name with an underscore there is a key."""
    words = set(re.findall(r"[\w-]+", documented(verb)))
    rows = document if isinstance(document, list) else [document]
    assert {key for row in rows for key in row} <= words
    if rows:
        inner = json.dumps(document)
        promised = {word for word in words if "_" in word} - ONE_KIND[verb]
        assert {word for word in promised if f'"{word}":' not in inner} == set()


# Keys of some documents only.
ONE_KIND = {"evaluate": {"macro_f1", "taken_for"}, "list": set(), "summary": set()}
ONE_KIND |= {"benchmark": set(), "checks": set()}


def answer(run, line):
    result = run(line)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    check_keys(line.split()[0], document)
    return document


def test_list(run):
    everything = answer(run, "list --json")
    names = [row["name"] for row in everything]
    assert names[: len(keras_residual.list_models())] == keras_residual.list_models()
    [row] = answer(run, "list ResNet50 --json")
    assert row["parameters"] == 25_557_032 and row["macs"] == 4_089_184_256
    assert row["input_shape"] == [224, 224, 3] and row["task"] == "classification"
    assert 76 < row["accuracy"] < 83 and row["accuracy_on"] == "imagenet"
    assert answer(run, "list nothing* --json") == []


def test_summary(run, model):
    found = answer(run, "summary resnet8 --input-shape 16x24x1 --classes 7 --json")
    assert found["input_shape"] == [16, 24, 1] and found["output_shape"] == [7]
    assert sum(layer["parameters"] for layer in found["layers"]) == found["parameters"]
    assert found["layers"][-1] == {
        "name": "classifier", "kind": "Dense", "output_shape": [7], "parameters": 455
    }  # fmt: skip
    assert answer(run, "summary edsr --json")["input_shape"] == [None, None, 3]


def test_evaluate(run, model, tmp_path):
    found = answer(run, "evaluate small.keras --json --output out")
    assert found["dataset"] == "digits" and found["seconds_per_example"] > 0
    confusion = np.array(found["report"]["confusion"])
    assert confusion.sum() == found["count"]
    assert found["report"]["accuracy"] == confusion.trace() / found["count"]
    assert len(found["mistakes"]) and set(found["mistakes"][0]) <= set(
        re.findall(r"\w+", documented("evaluate"))
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["report"] == found["report"]


def test_evaluate_several_numbers(run, tmp_path):
    import keras

    x = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "tiny.npz", x=x, y=x.mean(axis=(1, 2)) / 255)
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    # Its outputs are not finite; JSON has finite numbers only.
    model.layers[-1].bias.assign([np.nan, 0, 0])
    model.save(tmp_path / "three.keras")
    result = run("evaluate three.keras --dataset tiny.npz --json")
    assert result.exit_code == 0, result.output
    assert "NaN" not in result.stdout
    found = json.loads(result.stdout)
    check_keys("evaluate", found)
    assert found["report"]["mean_absolute_error"][0] is None
    assert found["report"]["mean_absolute_error"][1] > 0


def test_benchmark(run, model, tmp_path):
    rows = answer(run, "benchmark small.keras --batch-size 2 --threads 1 --seconds 0.1 --json")
    assert rows[0]["batch_size"] == 2 and rows[0]["median_seconds"] > 0
    assert rows[0]["per_second"] == pytest.approx(2 / rows[0]["median_seconds"])
    assert rows == json.loads((tmp_path / "runs" / "benchmark" / "benchmark.json").read_text())


def test_checks(run):
    assert answer(run, "checks --json")["devices"]


@pytest.mark.parametrize(
    "line", ["list --task x", "summary resnt50", "evaluate no.keras", "benchmark no.tflite"]
)
def test_an_error_leaves_standard_output_empty(run, line):
    result = run(f"{line} --json")
    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr.startswith("Error: ")


def test_every_verb_with_json_says_its_keys():
    verbs = [name for name, verb in main._VERBS.items() if "as_json" in
             inspect.signature(verb).parameters]  # fmt: skip
    assert set(verbs) >= {"list", "summary", "evaluate", "benchmark", "predict", "checks"}
    for name in verbs:
        assert documented(name)


def test_the_module_is_the_command_and_starts_at_once(tmp_path):
    """Neither the package's name nor `list` needs Keras."""
    code = (
        "import runpy, sys\n"
        "sys.argv = ['-m', 'list', '--task', 'translation', '--json']\n"
        "sys.orig_argv = ['python', '-m', 'keras_residual', *sys.argv[1:]]\n"
        "try:\n    runpy.run_module('keras_residual', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    for words in (["-c", code], ["-m", "keras_residual", "list", "GNMT", "--json"]):
        found = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert [row["name"] for row in json.loads(found.stdout)] == ["GNMT"]
