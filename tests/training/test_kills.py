"""Killed at random moments and started again, a training ends with the same weights."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_residual import training

SCRIPT = Path(__file__).parent / "one_training.py"
EPOCHS = 60


def process(folder):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(SCRIPT), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EPOCHS": str(EPOCHS)},
    )


def epochs_in_log(folder):
    try:
        return len((folder / "log.csv").read_text().splitlines()) - 1
    except FileNotFoundError:
        return 0


def kill_at_a_random_moment(folder, moments):
    """Starts the training and kills it some epochs and a part of one later.

    Returns the numbers of epochs in the log and in the checkpoint that it left.
    """
    running = process(folder)
    wanted = epochs_in_log(folder) + moments.randrange(5)
    while epochs_in_log(folder) < wanted or not folder.exists():
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.5))
    running.kill()
    errors = running.communicate()[1]
    assert running.returncode == -9, errors
    return epochs_in_log(folder), training.finished_epochs(folder)


def run_to_the_end(folder):
    running = process(folder)
    errors = running.communicate()[1]
    assert running.returncode == 0, errors


def weights(folder):
    return keras.saving.load_model(folder / "model.keras", compile=False).get_weights()


@pytest.mark.slow
def test_ten_kills_at_random_moments(tmp_path):
    run_to_the_end(tmp_path / "whole")
    moments = random.Random(0)
    left = [kill_at_a_random_moment(tmp_path / "killed", moments) for _ in range(10)]
    saved = [checkpoint for _, checkpoint in left]
    assert saved == sorted(saved) and len(set(saved)) > 4, f"the kills missed the work: {left}"
    run_to_the_end(tmp_path / "killed")
    for ours, theirs in zip(weights(tmp_path / "killed"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not list((tmp_path / "killed").glob(".*"))
