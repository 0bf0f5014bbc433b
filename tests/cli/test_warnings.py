"""The command line suppresses TensorFlow's messages but no warning of this package."""

import os
import resource
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from keras_residual._locks import claimed
from keras_residual.cli import _terminal
from keras_residual.cli._terminal import quiet

TRAIN = "train --model resnet8 --dataset tiny.npz --batch-size 8 --output run"


@pytest.fixture
def dataset(tmp_path):
    y = np.arange(16) % 4
    x = np.random.default_rng(0).integers(0, 64, (16, 8, 8, 1)) + 60 * y[:, None, None, None]
    parts = {"x_train": x.astype("uint8"), "y_train": y, "x_test": x.astype("uint8"), "y_test": y}
    np.savez(tmp_path / "tiny.npz", **parts)


def command(folder, line, **options):
    return subprocess.run(
        [sys.executable, "-m", "keras_residual.cli", *line.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
        **options,
    )


def test_only_warnings_of_this_package_pass(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with quiet():
            os.write(2, b"noise of a native library\n")
            warnings.warn_explicit("ours, \n in [one] line", UserWarning, _terminal.__file__, 1)
            warnings.warn_explicit("theirs", UserWarning, np.__file__, 1)
    shown = capfd.readouterr().err
    assert "Warning: ours, in [one] line\n" in shown
    assert "noise" not in shown and "Warning: theirs" not in shown


@pytest.mark.slow
def test_lost_checkpoints_and_damaged_ones_are_told(dataset, tmp_path):
    """In a process of its own, where standard error is the terminal's."""

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, resource.RLIM_INFINITY))

    lost = command(tmp_path, f"{TRAIN} --epochs 2", preexec_fn=small_files)
    assert lost.returncode == 0, lost.stderr
    assert "Warning: The checkpoint of epoch 2 could not be written" in lost.stderr
    closing = next(line for line in lost.stdout.splitlines() if line.startswith("run/ holds"))
    assert "model.keras" in closing and "checkpoint.keras" not in closing

    again = command(tmp_path, f"{TRAIN} --epochs 3")
    assert again.returncode == 0 and again.stderr == ""
    with (tmp_path / "run" / "checkpoint.keras").open("r+b") as file:
        file.truncate(900)
    damaged = command(tmp_path, f"{TRAIN} --epochs 3")
    assert damaged.returncode == 0, damaged.stderr
    assert (
        "Warning: run/checkpoint.keras is damaged. Going on from the one before" in damaged.stderr
    )


def test_the_closing_line_names_what_is_there(run, dataset, tmp_path):
    result = run(f"{TRAIN} --epochs 1")
    line = next(line for line in result.stdout.splitlines() if line.startswith("run/ holds"))
    names = line.removeprefix("run/ holds ").split(", ")
    assert {"model.keras", "result.json", "log.csv", "checkpoint.keras"} <= {*names}
    assert all((tmp_path / "run" / name).is_file() for name in names)


def test_a_folder_in_use_is_named(refused, dataset, tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w"):
        pass
    import threading

    ready, done = threading.Event(), threading.Event()

    def hold():
        with claimed(tmp_path / "run"):
            ready.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    try:
        assert "run is in use: another process writes to it" in refused(f"{TRAIN} --epochs 1")
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"model": "resnet8", "options": {"classes": 3}, "recipe": {}}',
            "'classes', which no search changes",
        ),
        (
            '{"model": "resnet8", "options": {"input_tensor": 1}, "recipe": {}}',
            "'input_tensor', which no search changes",
        ),
        ('{"model": 5, "options": {}, "recipe": {}}', "is not a best.json"),
        ('{"model": "resnet8", "options": [], "recipe": {}}', "is not a best.json"),
        ('{"model": "resnet8", "options": {}, "recipe": {"drops": 2}}', "`drops`"),
        ("[" * 100_000, "is not a best.json"),
        ("[]", "is not a best.json"),
    ],
)
def test_forged_results_of_a_search_are_refused(refused, dataset, tmp_path, content, message):
    (tmp_path / "best.json").write_text(content)
    assert message in refused("train --model best.json --dataset tiny.npz")


def test_inspect_refuses_fewer_classes_than_the_data_has(refused, dataset, tmp_path):
    import keras

    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    keras.Sequential(layers).save(tmp_path / "three.keras")
    line = refused("inspect three.keras --data tiny.npz")
    assert "The model outputs (3,); tiny has 4 classes." in line
