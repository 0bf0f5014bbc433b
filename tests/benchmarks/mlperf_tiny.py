"""`ResNet8` beside MLPerf Tiny's image classifier: size and latency of LiteRT files.

    python tests/benchmarks/mlperf_tiny.py [FILE.tflite ...]

The peer is that benchmark's network in plain Keras, 78,666 parameters, through TensorFlow's own
converter; both have random weights, which size and speed do not depend on. Published files, or any
others, are measured in the same run when their paths are given. One thread, batch 1, in turns.
"""

import contextlib
import pathlib
import sys
import tempfile

import keras
import numpy as np

import keras_residual
from keras_residual import export

L = keras.layers


def peer():
    x = inputs = keras.Input((32, 32, 3))
    x = _normalized(x, 16)
    for width, strides in ((16, 1), (32, 2), (64, 2)):
        y = _normalized(x, width, strides)
        y = L.BatchNormalization()(L.Conv2D(width, 3, padding="same")(y))
        x = x if strides == 1 else L.Conv2D(width, 1, strides, padding="same")(x)
        x = L.ReLU()(L.Add()([x, y]))
    x = L.Flatten()(L.AveragePooling2D(8)(x))
    model = keras.Model(inputs, L.Dense(10, activation="softmax")(x))
    assert model.count_params() == 78_666
    return model


def _normalized(x, width, strides=1):
    return L.ReLU()(L.BatchNormalization()(L.Conv2D(width, 3, strides, padding="same")(x)))


def randomized(model):
    """Gives every weight another value, so that no two tensors of a file are the same."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        away_from = 1.0 if weight.name in ("gamma", "moving_variance") else 0.0
        weight.assign(away_from + 0.1 * random.standard_normal(weight.shape))
    return model


def by_plain_converter(model, path, images=None):
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if images is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image[None]] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        path.write_bytes(converter.convert())
    return path


def main(*published):
    images = np.random.default_rng(0).random((100, 32, 32, 3), np.float32)
    labels = [f"class {index}" for index in range(10)]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        folder = pathlib.Path(folder)
        options = {"labels": labels, "measure": False}
        ours, theirs = randomized(keras_residual.ResNet8()), randomized(peer())
        (full,) = export.export(ours, folder, "litert", None, images, **options).rows
        (small,) = export.export(ours, folder, "litert", "int8", images, **options).rows
        rows = {
            "MLPerf Tiny's network, float32": by_plain_converter(theirs, folder / "peer.tflite"),
            "`ResNet8`, float32": full.path,
            "MLPerf Tiny's network, int8": by_plain_converter(theirs, folder / "p8.tflite", images),
            "`ResNet8`, int8": small.path,
            **{path: pathlib.Path(path) for path in published},
        }
        files = [str(path) for path in rows.values()]
        measured = export.benchmark(*files, batch_sizes=(1,), threads=(1,), seconds=5.0)
    print("| | bytes | median, µs | 95 %, µs |\n|---|---:|---:|---:|")
    for name, row in zip(rows, measured.rows, strict=True):
        times = f"{1e6 * row.median_seconds:.0f} | {1e6 * row.p95_seconds:.0f}"
        print(f"| {name} | {row.file_bytes:,} | {times} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
