"""A trial trained on two virtual devices learns as on one, over `tf.distribute` and JAX."""

import json
import os
import subprocess
import sys

import pytest
from support import skip_without

SCRIPT = """
import json, sys
import keras
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_residual import data, tuning
space = tuning.HyperResNet(
    (8, 8, 1), 10, "ResNet8", depth=1, width=4, block="basic", augmentation="none", max_macs=500_000
)
parallel = sys.argv[2] == "2"
result = tuning.search(
    space, data.load("digits"), sys.argv[1], max_trials=1, epochs=2, data_parallel=parallel
)
row = result.rows[0]
print(json.dumps([row.status, row.reason, row.metrics.get("loss")]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_what_one_learns(backend, tmp_path):
    skip_without(backend)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    losses = []
    for devices in ("1", "2"):
        folder = str(tmp_path / devices)
        output = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, folder, devices],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert output.returncode == 0, output.stderr
        status, reason, loss = json.loads(output.stdout.splitlines()[-1])
        assert status == "COMPLETED", reason
        losses.append(loss)
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
