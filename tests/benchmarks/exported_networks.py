"""ResNet-50 at 224² in every format beside keras.applications' in Keras, in one run.

    python tests/benchmarks/exported_networks.py [seconds a row] [threads] [larger batch]

Random weights; each in a process of its own, all taking turns. Prints the table of the README.
"""

import contextlib
import os
import sys
import tempfile

import numpy as np

import keras_residual
from keras_residual import export

PEER = "keras.applications.ResNet50"


def write_all(directory):
    """Exports ResNet-50 and returns the files by the name to print."""
    model = keras_residual.ResNet50()
    images = np.random.default_rng(0).normal(size=(8, 224, 224, 3)).astype(np.float32)
    with contextlib.redirect_stdout(sys.stderr):
        formats = ("saved_model", "litert", "onnx")
        common = {"representative_data": images, "measure": False}
        export.export(model, directory, formats, **common)
        export.export(model, directory, ("litert", "onnx"), "int8", tolerance=1.0, **common)
    names = {
        "SavedModel": "saved_model",
        "LiteRT": "model.tflite",
        "LiteRT int8": "model_int8.tflite",
        "ONNX": "model.onnx",
        "ONNX int8": "model_int8.onnx",
    }
    return {name: os.path.join(directory, file) for name, file in names.items()}


def main(seconds=5.0, threads=2, batch=32):
    with tempfile.TemporaryDirectory() as directory:
        files = write_all(directory)
        measured = export.benchmark(
            PEER,
            "ResNet50",
            *files.values(),
            batch_sizes=(1, batch),
            threads=(threads,),
            seconds=seconds,
        )
    names = {PEER: PEER, "ResNet50": "`ResNet50` in Keras", **{v: k for k, v in files.items()}}
    rows = {(row.name, row.batch_size): row for row in measured.rows}
    base = {size: rows[PEER, size].median_seconds for size in (1, batch)}
    print(f"| | batch 1, ms | batch {batch}, images/s | times the peer | load, s | MB | size, MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for source, name in names.items():
        one, many = rows[source, 1], rows[source, batch]
        gains = f"{base[1] / one.median_seconds:.2f} / {base[batch] / many.median_seconds:.2f}"
        size = "" if one.file_bytes is None else f"{one.file_bytes / 1e6:.1f}"
        print(
            f"| {name} | {1e3 * one.median_seconds:.1f} | {many.per_second:.1f} | {gains} "
            f"| {one.load_seconds:.2f} | {many.memory_bytes / 1e6:.0f} | {size} |"
        )


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]), *map(int, sys.argv[2:]))
