"""On two devices or in two processes a training has the loss curve of one device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import skip_without

SCRIPT = Path(__file__).parent / "one_training.py"
pytestmark = pytest.mark.slow


def start(folder, devices, **environment):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(SCRIPT), str(folder), devices],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def losses(running):
    stdout, stderr = running.communicate(timeout=400)
    assert running.returncode == 0, stderr[-3000:]
    return json.loads(stdout.splitlines()[-1])


def check(found, expected):
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, err_msg=name)


@pytest.mark.parametrize(("backend", "devices"), [("jax", "jax:2"), ("tensorflow", "mirrored:2")])
def test_two_devices(tmp_path, backend, devices):
    skip_without(backend)
    expected = losses(start(tmp_path / "one", "none", KERAS_BACKEND=backend))
    check(losses(start(tmp_path / "two", devices, KERAS_BACKEND=backend)), expected)
    again = losses(start(tmp_path / "two", devices, KERAS_BACKEND=backend, EPOCHS="4"))
    check(again, expected)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_train_in_the_step(backend):
    skip_without(backend)
    files = [str(SCRIPT.with_name(name)) for name in ("test_in_step.py", "test_objective.py")]
    tests = [sys.executable, "-m", "pytest", "-q", *files]
    environment = {**os.environ, "KERAS_BACKEND": backend, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(tests, env=environment, cwd=SCRIPT.parents[2], capture_output=True)
    assert done.returncode == 0, done.stdout[-3000:].decode()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_two_workers(tmp_path):
    """The chief alone writes."""
    expected = losses(start(tmp_path / "one", "none", KERAS_BACKEND="tensorflow"))
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    workers = []
    for index in range(2):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        config = {"KERAS_BACKEND": "tensorflow", "TF_CONFIG": json.dumps(task)}
        workers.append(start(tmp_path / f"worker{index}", "workers", **config))
    for worker in workers:
        check(losses(worker), expected)
    assert (tmp_path / "worker0" / "model.keras").exists()
    assert not list((tmp_path / "worker1").iterdir())
