"""A grouped 3×3 convolution in a LiteRT file: native, split and concatenated, block-diagonal.

    python tests/benchmarks/exported_grouped_convolution.py

ResNeXt-50's shapes, float32 and int8, one thread, in turns. The layer exports the native form.
"""

import contextlib
import sys
import tempfile

import keras
import numpy as np
from keras import ops

from keras_residual import export, layers

SHAPES = [(28, 256, 32), (14, 512, 32)]


class Form(keras.layers.Layer):
    """The same convolution in another form."""

    def __init__(self, source, form):
        super().__init__()
        self.kernel, self.groups = ops.convert_to_numpy(source.kernel), source.groups
        self.form = form

    def call(self, x):
        kernel, groups = self.kernel, self.groups
        if self.form == "split":
            parts = zip(ops.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
            pieces = [ops.conv(part, weight, padding="same") for part, weight in parts]
            return ops.concatenate(pieces, axis=-1)
        inner, filters = kernel.shape[2:]
        mask = np.kron(np.eye(groups), np.ones((inner, filters // groups))).astype("float32")
        return ops.conv(x, np.tile(kernel, (1, 1, groups, 1)) * mask, padding="same")

    def compute_output_shape(self, input_shape):
        return input_shape


def models(size, channels, groups):
    inputs = keras.Input((size, size, channels), batch_size=1)
    native = layers.Convolution(channels, 3, groups=groups)
    found = {"native": keras.Model(inputs, native(inputs))}
    for form in ("split", "block-diagonal"):
        found[form] = keras.Model(inputs, Form(native, form)(inputs))
    return found


def main():
    print(
        "| size, channels, groups | | native | split | block-diagonal |\n|---|---|---:|---:|---:|"
    )
    for shape in SHAPES:
        data = np.random.default_rng(0).normal(size=(4, shape[0], shape[0], shape[1]))
        for quantization in (None, "int8"):
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
                options = {"representative_data": data, "fold": False, "measure": False}
                files = [
                    export.export(
                        model, f"{folder}/{form}", "litert", quantization, batch_size=1, **options
                    ).rows[0]
                    for form, model in models(*shape).items()
                ]
                measured = export.benchmark(
                    *(row.path for row in files), batch_sizes=(1,), threads=(1,), seconds=1.0
                )
            times = " | ".join(f"{1e3 * row.median_seconds:.2f}" for row in measured.rows)
            print(f"| {shape} | {quantization or 'float32'}, ms | {times} |", flush=True)


if __name__ == "__main__":
    main()
