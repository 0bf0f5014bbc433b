import csv
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from cli.refusals import refuses

from keras_residual import training
from keras_residual._description import read_from

TRAIN = "train --model resnet8 --dataset tiny.npz --batch-size 8 --output run"


@pytest.fixture
def dataset(tmp_path):
    """Four classes of brightness, which a network learns quickly."""
    rng = np.random.default_rng(0)

    def split(count):
        y = np.arange(count) % 4
        x = rng.integers(0, 64, (count, 8, 8, 3)) + 60 * y[:, None, None, None]
        return x.astype(np.uint8), y

    (x_train, y_train), (x_test, y_test) = split(48), split(16)
    np.savez(tmp_path / "tiny.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return tmp_path / "tiny.npz"


def log(folder):
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


def process(folder, line):
    """The command line in a process of its own."""
    # A shell's background job ignores Ctrl-C, and what it starts inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "keras_residual.cli", *line.split()],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )


def wait_for_epochs(running, folder, epochs, seconds=300):
    until = time.monotonic() + seconds
    while not ((folder / "log.csv").exists() and len(log(folder)) >= epochs):
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.005)


def test_train_then_evaluate(run, dataset, tmp_path):
    trained = run(f"{TRAIN} --epochs 6")
    assert trained.exit_code == 0, trained.output
    assert "48 training and 16 held-out images" in trained.stdout
    accuracy = float(log(tmp_path / "run")[-1]["val_accuracy"])
    assert f"Held-out accuracy {accuracy:.2%} after 6 epochs" in trained.stdout
    assert accuracy > 0.5
    for name in ("run/model.keras", "run/checkpoint.keras", "run"):
        result = run(f"evaluate {name} --dataset tiny.npz --batch-size 5")
        assert f"Held-out accuracy {accuracy:.2%} ({round(16 * accuracy)} of 16)" in result.stdout

    again = run(f"{TRAIN} --epochs 6")
    assert again.exit_code == 0 and f"{accuracy:.2%} after 6 epochs" in again.stdout
    other = run(f"{TRAIN} --epochs 6 --seed 3")
    assert other.exit_code == 2 and "seed=0 (now 3)" in other.stderr
    again = run(f"{TRAIN} --epochs 1 --seed 3 --no-resume")
    assert again.exit_code == 0 and len(log(tmp_path / "run")) == 1


def test_a_saved_network_takes_pixels_as_they_are(run, dataset, tmp_path):
    run(f"{TRAIN} --epochs 1 --dtype mixed_bfloat16 --image-size 12")
    model = keras.saving.load_model(tmp_path / "run" / "model.keras", compile=False)
    assert model.input_shape == (None, 12, 12, 3)
    assert model.get_layer("stage1").compute_dtype == "bfloat16"
    pixels = np.load(dataset)["x_train"] / 255
    standardized = model.get_layer("standardize")(pixels.astype(np.float32))
    values = keras.ops.convert_to_numpy(standardized)
    np.testing.assert_allclose(values.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(values.std((0, 1, 2)), 1, atol=1e-3)


def test_tested_at_another_size_than_trained(run, dataset, tmp_path):
    """The network's file is that of the test size; killed before it is written, it is written."""
    line = f"{TRAIN} --set image_size=8 --set test_image_size=12 --set augmentation=imagenet"
    line += " --set test_crop=0.95 --set rand_augment=7 --set repeats=3 --hold-out 0.25 --epochs 1"
    trained = run(line)
    assert trained.exit_code == 0, trained.output
    assert read_from(tmp_path / "run" / "model.keras").crop == 0.95
    model = keras.saving.load_model(tmp_path / "run" / "model.keras", compile=False)
    checkpoint = keras.saving.load_model(tmp_path / "run" / "checkpoint.keras", compile=False)
    assert model.input_shape == (None, 12, 12, 3)
    assert checkpoint.input_shape == (None, None, None, 3)
    for ours, theirs in zip(model.get_weights(), checkpoint.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    (tmp_path / "run" / "model.keras").unlink()
    again = run(line)
    assert again.exit_code == 0 and "after 1 epoch" in again.stdout
    again = keras.saving.load_model(tmp_path / "run" / "model.keras", compile=False)
    assert again.input_shape == (None, 12, 12, 3)
    asked = run("evaluate run --dataset tiny.npz --test-crop 0.95").stdout
    told = run("evaluate run --dataset tiny.npz").stdout
    assert "Held-out accuracy" in told and told.split(",")[0] == asked.split(",")[0]


def test_options_on_top_of_a_recipe_and_a_result(run, dataset, tmp_path):
    """Averaged weights, mixed images, and one evaluation on the test images."""
    line = f"{TRAIN} --recipe modern --epochs 2 --set ema=0.5 --set augmentation=shift"
    trained = run(f"{line} --hold-out 0.25")
    assert trained.exit_code == 0, trained.output
    assert "36 training and 12 held-out images" in trained.stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert f"Test accuracy {result['test_accuracy']:.2%}" in trained.stdout
    assert result["recipe"] == "modern" and result["set"] == ["ema=0.5", "augmentation=shift"]
    assert result["seed"] == 0 and result["epochs"] == 2 and "cores" in result["machine"]
    assert result["versions"]["keras"] == keras.__version__
    evaluated = run("evaluate run --dataset tiny.npz")
    assert f"Held-out accuracy {result['test_accuracy']:.2%}" in evaluated.stdout


def test_killed_at_any_moment_the_same_command_goes_on(run, dataset, tmp_path):
    line = f"{TRAIN} --epochs 40"
    killed = process(tmp_path, line)
    wait_for_epochs(killed, tmp_path / "run", 2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    finished = len(log(tmp_path / "run"))
    assert finished < 40
    assert run(line).exit_code == 0
    assert run(line.replace("--output run", "--output whole")).exit_code == 0
    resumed, whole = log(tmp_path / "run"), log(tmp_path / "whole")
    assert len(resumed) == 40
    for ours, theirs in zip(resumed, whole, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    models = [keras.saving.load_model(tmp_path / name / "model.keras") for name in ("run", "whole")]
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_interrupted_it_says_how_to_go_on(run, dataset, tmp_path):
    line = f"{TRAIN} --epochs 500 --no-resume"
    interrupted = process(tmp_path, line)
    wait_for_epochs(interrupted, tmp_path / "run", 2)
    interrupted.send_signal(signal.SIGINT)
    stdout, stderr = interrupted.communicate(timeout=120)
    assert interrupted.returncode == 130
    assert "Traceback" not in stderr
    done = training.finished_epochs(tmp_path / "run")
    assert done >= 1
    assert f"Interrupted. run/checkpoint.keras holds epoch {done} of 500." in stdout
    assert f"To resume: keras-residual {TRAIN} --epochs 500" in stdout
    assert "--no-resume" not in stdout
    assert run("evaluate run/checkpoint.keras --dataset tiny.npz").exit_code == 0


@pytest.fixture
def damaged(dataset, tmp_path):
    """Files of which a part is missing or replaced."""
    content = dataset.read_bytes()
    (tmp_path / "truncated.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "foreign.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign.keras").write_text("hello")
    (tmp_path / "foreign.tflite").write_text("hello, this is text")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "other.keras")
    whole = (tmp_path / "other.keras").read_bytes()
    (tmp_path / "truncated.keras").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "broken.keras").write_bytes(whole.replace(b"\x89HDF", b"\x00\x00\x00\x00"))


test_train_refuses_a_bad_dataset = refuses(
    "train --model resnet8 --dataset",
    [
        ("missing.npz", "missing.npz does not exist"),
        ("truncated.npz", "truncated"),
        ("foreign.npz", "no .npz archive"),
        ("other.npz", "lacks x_train"),
        ("./empty", "empty"),
        ("./missing", "missing does not exist"),
        ("missing/", "missing does not exist"),
        ("some/where/missing", "some/where/missing does not exist"),
        ("foreign.keras", "is not a dataset"),
    ],
    fixtures=("damaged",),
)


test_train_refuses = refuses(
    "train",
    [
        ("--model resnt20", "Unknown model: 'resnt20'. Did you mean ResNet20"),
        (
            "--model resnet8 --recipe he2016",
            "Unknown recipe: 'he2016'. Did you mean he2015?",
        ),
        ("--model resnet8 --dtype int8", "`--dtype` must be"),
        ("--model resnet8 --set rate=1", "`--set` takes NAME=VALUE of optimizer, learning_rate"),
        ("--model resnet8 --set model=5", "`model` must hold options of the network by name"),
        ("--model resnet8 --set drops=2", "`drops` must be a sequence of ascending fractions"),
        ("--model resnet8 --set augmentation=[1]", "`augmentation` must be the name of one"),
        ("--model resnet8 --set 'model={\"classes\": 3}'", "`classes` follows from the dataset"),
        ("--model resnet8 --set 'model={\"width\": 3}'", "width"),
        ("--model resnet8 --set model=" + 9999 * "[", "nested so deeply"),
        ("--model resnet8 --set ema=2", "`ema` must be a number in [0, 1). Received: ema=2"),
        ("--model resnet8 --hold-out 1.5", "`--hold-out` must be a number in [0, 1)"),
        ("--model resnet8 --hold-out nan", "`--hold-out` must be a number in [0, 1)"),
        ("--model resnet8 --scale 2", "`--scale` has no effect on resnet8, which classifies"),
        ("--model resnet8 --set rand_augment=11", "`rand_augment` must be a number in [0, 10]"),
        ("--model frobnicate", "Unknown model: 'frobnicate'. Accepted: ResNet18, ResNet34"),
        ("--model resnet50", "at least 32"),
        ("--model resnet50", "`--image-size 32` enlarges the images"),
    ],
)


@pytest.mark.parametrize(
    "option", ["--epochs 0", "--batch-size -1", "--image-size 0", "--seed -1", "--seed 4294967296"]
)
def test_train_refuses_numbers_out_of_range(run, option):
    result = run(f"train --model resnet8 {option}")
    assert result.exit_code == 2
    assert option.split()[0] in result.stderr


def test_output_must_be_a_folder(refused, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused("train --model resnet8 --epochs 1 --output file")
    assert "file must be a folder, and is a file." in line


test_evaluate_refuses_a_bad_model_file = refuses(
    "evaluate",
    [
        ("missing.keras", "missing.keras does not exist"),
        ("foreign.keras", "truncated or no .keras file"),
        ("truncated.keras", "truncated or no .keras file"),
        ("broken.keras", "broken.keras cannot be read as a Keras model"),
        ("foreign.tflite", "not a LiteRT file"),
        ("empty", "not a readable SavedModel"),
        ("tiny.npz", "is not a model file"),
        ("other.keras", "The model takes inputs of (4,)"),
    ],
    fixtures=("damaged",),
)


def test_evaluate_refuses_a_dataset_of_other_images(run, refused, dataset):
    assert run(f"{TRAIN} --epochs 1").exit_code == 0
    assert "the images of digits are (8, 8, 1)" in refused("evaluate run")


def test_evaluate_refuses_a_dataset_of_other_classes(run, refused, dataset, tmp_path):
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(5)]).save(
        tmp_path / "five.keras"
    )
    assert "tiny has 4 classes" in refused("evaluate five.keras --dataset tiny.npz")


def test_unsafe_model_files_are_not_run(refused, tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "lambda.keras")
    assert "lambda.keras cannot be read" in refused("evaluate lambda.keras")
