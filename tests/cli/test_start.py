"""The command answers at once, and says what is installed."""

import json
import subprocess
import sys

import keras

import keras_residual

HELP = """
import sys
sys.argv = ["keras-residual", "--help"]
from keras_residual.cli.main import main
try:
    main()
except SystemExit:
    pass
heavy = {"keras", "tensorflow", "jax", "torch", "matplotlib", "numpy"} & set(sys.modules)
print("loaded:", *sorted(heavy))
import keras_residual
print(keras_residual.ResNet8.__name__, "ResNet8" in keras_residual.__all__)
"""


def test_help_imports_nothing_heavy_and_the_package_still_has_its_names():
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HELP], capture_output=True, text=True, check=True
    )
    assert "quickstart" in result.stdout
    assert result.stdout.splitlines()[-2:] == ["loaded:", "ResNet8 True"]


def test_checks_name_versions_backend_and_extras(run):
    result = run("checks --json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["keras"] == keras.__version__ and found["backend"] == keras.backend.backend()
    assert found["devices"]
    assert "matplotlib" in found["extras"]["plot"] and "dev" not in found["extras"]
    printed = run("checks").output
    assert "matplotlib" in printed and keras_residual.__version__ in printed
