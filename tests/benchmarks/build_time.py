"""Time to build a model and run its first forward pass, against keras.applications.

    python tests/benchmarks/build_time.py

Every measurement is a process of its own that has imported everything before the clock starts; the
candidates run in turn, medians of five.
"""

import json
import statistics
import subprocess
import sys
import time

CANDIDATES = [
    ("keras_residual", "ResNet50"),
    ("keras.applications", "ResNet50"),
    ("keras_residual", "DenseNet201"),
    ("keras.applications", "DenseNet201"),
    ("keras_residual", "ResNet1001V2"),
]
ROUNDS = 5


def measure(package, name):
    """Prints seconds to build, and seconds to build and run one image."""
    import keras
    import numpy as np

    import keras_residual

    # The first layer of a process pays for the framework's own start.
    keras.layers.Dense(1)(np.zeros((1, 1), "float32"))
    start = time.perf_counter()
    if package == "keras_residual":
        model = keras_residual.get_model(name)
    else:
        model = getattr(keras.applications, name)(weights=None)
    built = time.perf_counter() - start
    model.predict_on_batch(np.zeros((1, *model.input_shape[1:]), "float32"))
    print(json.dumps([built, time.perf_counter() - start]))


def main():
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
        return
    times = {candidate: [] for candidate in CANDIDATES}
    for _ in range(ROUNDS):
        for candidate in CANDIDATES:
            command = [sys.executable, __file__, *candidate]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            times[candidate].append(json.loads(result.stdout.splitlines()[-1]))
    print("package              model          build s   build + first forward s")
    for (package, name), values in times.items():
        built, first = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{package:20s} {name:14s} {built:7.2f} {first:14.2f}")


if __name__ == "__main__":
    main()
