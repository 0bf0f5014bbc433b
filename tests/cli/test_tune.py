import html
import json
import re
import sys

import numpy as np
import pytest
from cli.refusals import refuses

import keras_residual

SPACE = (
    "--model resnet8 --knob block=basic --knob depth=1 --knob width=4,8 --knob stages=2 "
    "--knob stem=conv3 --knob batch_size=32"
)
FOUND = "found [here]"
TUNE = f"tune {SPACE} --dataset 'my tiny.npz' --output '{FOUND}' --epochs 1 --max-parameters 2500"


@pytest.fixture
def dataset(tmp_path):
    """Four kinds of stripes, 8 x 8 pixels."""
    rng = np.random.default_rng(0)

    def split(count):
        y = np.arange(count) % 4
        x = rng.integers(0, 100, (count, 8, 8, 1)).astype(np.uint8)
        for image, kind in zip(x, y, strict=True):
            image[kind * 2 : kind * 2 + 2] += 150
        return x, y

    (x_train, y_train), (x_test, y_test) = split(80), split(16)
    np.savez(
        tmp_path / "my tiny.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test
    )


def test_search_report_and_the_command_for_the_winner(run, dataset, tmp_path):
    found = run(f"{TUNE} --max-trials 2")
    assert found.exit_code == 0, found.output
    assert "knobs around ResNet8, at most 2,500 parameters" in found.stdout
    assert "trial 0: accuracy" in found.stdout and "2 trials completed, 0 failed" in found.stdout
    for name in ("parallel_coordinates.png", "accuracy_parameters.png"):
        content = (tmp_path / FOUND / name).read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) > 10_000
    assert len((tmp_path / FOUND / "trials.csv").read_text().splitlines()) == 3
    best = json.loads((tmp_path / FOUND / "best.json").read_text())
    assert f"{FOUND}/ best.json, trials.csv" in found.stdout
    page = html.unescape((tmp_path / FOUND / "report.html").read_text())
    assert "--dataset 'my tiny.npz'" in page
    assert best["cost"]["parameters"] <= 2500

    again = run(f"{TUNE} --max-trials 2")
    assert again.exit_code == 0 and "trial 0: accuracy" not in again.stdout
    assert "resuming after 2 trials" in again.stdout
    (command,) = [line for line in found.stdout.splitlines() if "keras-residual train" in line]
    trained = run(command.strip().removeprefix("keras-residual "))
    assert trained.exit_code == 0, trained.output
    assert f"{best['cost']['parameters']:,} parameters" in trained.stdout
    done = json.loads((tmp_path / FOUND / "best" / "result.json").read_text())
    assert done["recipe"] == f"{FOUND}/best.json"
    files = {path.name for path in (tmp_path / FOUND / "best").iterdir()}
    assert {"model.keras", "model.tflite", "model_int8.tflite"} <= files
    (following,) = [line for line in trained.stdout.splitlines() if "residual evaluate" in line]
    evaluated = run(following.removeprefix("Next: keras-residual "))
    assert evaluated.exit_code == 0, evaluated.output
    assert f"{FOUND}/best/model.keras on my tiny" in evaluated.stdout
    other = run(f"{TUNE} --max-trials 2 --seed 1")
    assert other.exit_code == 2 and "holds another search: seed differ" in other.stderr


def test_a_diverging_trial_is_told_and_the_search_goes_on(run, dataset, tmp_path):
    line = TUNE + " --knob optimizer=sgd --knob sgd_learning_rate=1e6 --max-trials 1"
    line += " --knob sgd_weight_decay=1e6 --knob warmup=0"
    result = run(line)
    assert result.exit_code == 0, result.output
    reason = r"trial 0 failed: (The loss|Weights|The metric '\w+') became (nan|inf)"
    assert re.search(reason, result.stdout)
    assert "No trial completed." in result.stdout
    assert not (tmp_path / FOUND / "best.json").exists()


def test_a_worker_without_a_chief_ends_with_a_line(run, dataset):
    result = run(f"{TUNE} --distributed worker --chief 127.0.0.1:9 --patience 1")
    assert result.exit_code == 1
    assert result.stderr == "Error: No chief has answered at 127.0.0.1:9 for 1 s.\n"


test_tune_refuses = refuses(
    "tune",
    [
        ("--model resnet21", "Did you mean ResNet"),
        ("--max-parameters 100", "No network of this space fits into its budget."),
        ("--max-parameters 100", "trainable parameters exceed --max-parameters 100."),
        ("--knob depth", "`--knob` must be NAME=VALUE"),
        ("--knob dept=2", "Unknown knob: 'dept'. Did you mean depth1"),
        ("--algorithm annealing", "`--algorithm` must be one of 'evolution'"),
        ("--objective size", "`--objective` must be one of"),
        ("--recipe quik", "Did you mean quick"),
        (
            "--distributed chief --chief 0.0.0.0:8000",
            "needs a `--secret-file`: set KERAS_RESIDUAL_SECRET",
        ),
        ("--distributed chief --secret-file absent", "The file of the secret, absent, cannot be"),
        ("--secret-file absent", "`--secret-file` needs"),
        (
            "--knob cardinality=0",
            "`cardinality` must be a positive integer. Received: cardinality=0",
        ),
        ("--knob stem=conv3,foo", "`stem` must be one of"),
        ("--knob batch_size=0", "`batch_size` takes no such value. Received: batch_size=0."),
        ("--distributed boss --chief a:1", "`--distributed` must be one of 'chief', 'worker'"),
        ("--chief a:1", "`--chief` needs"),
    ],
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a best.json"),
        ('{"model": "ResNet8"}', "is not a best.json"),
        ("[" * 100_000, "is not a best.json"),
        ('{"model": "ResNet8", "options": {"classes": 3}, "recipe": {}}', "hold 'classes'"),
        ('{"model": "ResNet8", "options": {"input_tensor": 1}, "recipe": {}}', "'input_tensor'"),
        ('{"model": "ResNet8", "options": {"stem": {}}, "recipe": {}}', "option 'stem'"),
        ('{"model": 5, "options": {}, "recipe": {}}', "model must be a name"),
        (None, "not exist"),
    ],
    ids=range(8),
)
def test_train_refuses_a_file_that_no_search_wrote(refused, tmp_path, content, message):
    if content is not None:
        (tmp_path / "best.json").write_text(content)
    assert message in refused("train --model best.json")


def test_the_winner_is_the_network_that_was_searched(tmp_path):
    from keras_residual import tuning
    from keras_residual.cli import _winner

    space = tuning.HyperResNet((8, 8, 1), 4, block="basic", depth=1)
    values = space.values({"width1": 24, "se_ratio": 0.25, "optimizer": "sgd"})
    result = tuning.SearchResult(space, (), tmp_path, 7, 0, {})
    row = tuning.TrialRow("0", "COMPLETED", {"score": 1.0}, values, space.cost(values))
    (tmp_path / "best.json").write_text(json.dumps(result.as_dict(row)))
    winner = _winner.read(tmp_path / "best.json")
    ours = keras_residual.get_model(winner.name, input_shape=(8, 8, 1), classes=4, **winner.options)
    searched = space.network(space.options(values))
    assert [w.shape for w in ours.weights] == [w.shape for w in searched.weights]
    assert winner.recipe == result.recipe(row)
    assert winner.recipe.optimizer == "sgd" and winner.recipe.epochs == 7


def test_without_its_extra_one_line_says_what_to_install(run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("keras_residual.tuning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "keras_residual.cli._searching", raising=False)
    monkeypatch.delattr(keras_residual.cli, "_searching", raising=False)
    monkeypatch.delattr(keras_residual, "tuning", raising=False)
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    found = run("tune --max-trials 1")
    assert found.exit_code == 2
    assert 'pip install "keras-residual[tune]"' in found.output.replace("\n", " ")
