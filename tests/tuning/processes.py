"""Searches in processes of their own, to be killed."""

import json
import os
import pathlib
import subprocess
import sys
import time

import keras

TOY = pathlib.Path(__file__).parent / "toy.py"


def process(folder, space=None, options=None, cluster=None):
    """A search in a process of its own, on the backend of the tests.

    Keras' NumPy backend would start quicker, but it imports JAX, which need not be installed.
    """
    arguments = [str(folder), *(json.dumps(part or {}) for part in (space, options))]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(TOY), *arguments]
        + ([json.dumps(cluster)] if cluster else []),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )


def wait_until(condition, *processes, seconds=600):
    until = time.monotonic() + seconds
    while not condition():
        for running in processes:
            assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def completed(folder):
    def read(path):
        try:
            return json.loads(path.read_text())
        except ValueError:  # being written
            return {"status": "RUNNING"}

    states = {path.parent.name: read(path) for path in folder.glob("search/trial_*/trial.json")}
    return {name: state for name, state in states.items() if state["status"] == "COMPLETED"}
