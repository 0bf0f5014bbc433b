"""Killed at random moments and started again, a training ends with the same weights."""

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


def process(folder, epochs):
    from os import environ

    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(SCRIPT), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**environ, "EPOCHS": str(epochs)},
    )


def run_with_kills(folder, epochs, kills, seed):
    """Kills as many processes as asked for at random moments, then lets one finish.

    Returns the numbers of finished epochs that the killed ones left.
    """
    moments, left = random.Random(seed), []
    while len(left) < kills:
        running = process(folder, epochs)
        until = None
        while running.poll() is None:
            # The clock runs from the first write on, so that some kills hit the work.
            if until is None and list(folder.glob("*")):
                until = time.monotonic() + moments.uniform(0, 4)
            if until is not None and time.monotonic() >= until:
                running.kill()
            time.sleep(0.002)
        errors = running.communicate()[1]
        if running.returncode == 0:
            break
        assert running.returncode == -9, errors
        left.append(training.finished_epochs(folder))
    last = process(folder, epochs)
    assert last.wait() == 0, last.communicate()[1]
    return left


def weights(folder):
    return keras.saving.load_model(folder / "model.keras", compile=False).get_weights()


def check(tmp_path, epochs, kills, seed):
    whole = process(tmp_path / "whole", epochs)
    assert whole.wait() == 0, whole.communicate()[1]
    left = run_with_kills(tmp_path / "killed", epochs, kills, seed)
    for ours, theirs in zip(weights(tmp_path / "killed"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not list((tmp_path / "killed").glob(".*"))
    return left


@pytest.mark.slow
def test_ten_kills_at_random_moments(tmp_path):
    left = check(tmp_path, epochs=600, kills=10, seed=0)
    assert len(left) == 10 and left == sorted(left)
    assert len(set(left)) > 3, f"the kills did not hit the training: {left}"
