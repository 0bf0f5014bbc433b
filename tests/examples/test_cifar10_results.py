"""The table of CIFAR-10 in the documentation is what the committed results say.

`python tests/examples/test_cifar10_results.py` rewrites it.
"""

import json
import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "tests")]

import cifar10  # noqa: E402
import tables  # noqa: E402


def test_table_is_current():
    assert tables.read(tables.BENCHMARKS, "cifar10") == cifar10.table()


@pytest.mark.parametrize(
    "path", sorted(cifar10.RESULTS.glob("resnet*.json")), ids=lambda path: path.stem
)
def test_results_say_how_they_came_about(path):
    result = json.loads(path.read_text())
    assert {"seed", "command", "date", "machine", "versions", "seconds"} <= set(result)
    assert 0.1 < result["test_accuracy"] < 1


def test_what_a_training_came_to_is_kept(tmp_path):
    """The files of a command-line training; mixed precision is exported in float32."""
    import keras

    import keras_residual

    model = keras_residual.ResNet8(input_shape=(8, 8, 3), classes=3, dtype="mixed_bfloat16")
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).integers(0, 255, (250, 8, 8, 3), dtype=np.uint8)
    y = np.arange(250) % 3
    np.savez(tmp_path / "tiny.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    said = {
        "model": "resnet8", "recipe": "quick", "epochs": 2, "seed": 7, "seconds": 120,
        "test_accuracy": 0.5, "dataset": str(tmp_path / "tiny.npz"), "machine": "2 cores",
    }  # fmt: skip
    (tmp_path / "result.json").write_text(json.dumps(said))
    path = cifar10.keep(tmp_path, int8=True, results=tmp_path / "results")
    assert path.name == "resnet8-quick-2-seed7.json"
    kept = json.loads(path.read_text())
    plain = cifar10.in_float32(keras.saving.load_model(tmp_path / "model.keras"))
    assert all(weight.dtype == "float32" for weight in plain.weights)
    assert plain.compute_dtype == "float32" and plain.layers[2].compute_dtype == "float32"
    hits = plain.predict(x[:20] / np.float32(255), verbose=0).argmax(-1) == y[:20]
    assert kept["int8_accuracy"] == pytest.approx(hits.mean(), abs=0.11)
    row = next(line for line in cifar10.table(tmp_path / "results").splitlines() if "quick" in line)
    assert row.startswith("| `ResNet8` | quick, 2 | 7 | 50.00 % |") and "2 on 2 cores" in row


if __name__ == "__main__":
    tables.write(tables.BENCHMARKS, "cifar10", cifar10.table())
