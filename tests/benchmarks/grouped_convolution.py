"""One training step of a grouped 3×3 convolution in each equal form.

    python tests/benchmarks/grouped_convolution.py
    KERAS_BACKEND=jax python tests/benchmarks/grouped_convolution.py

Forward and both gradients, two of ResNeXt-50's shapes, forms in turn, medians of 15; Keras' own
form takes seconds a step on a CPU and runs twice. The layer uses what is fastest for the backend:
see `keras_residual/layers/_convolution/forms.py`.
"""

import statistics
import time

import keras
import numpy as np
from keras import ops

from keras_residual.layers._convolution import forms

SHAPES = [(2, 28, 256, 32), (2, 14, 512, 32)]
ROUNDS = {"keras": 2}


def block_diagonal(x, kernel, groups):
    """The dense equivalent: zeros outside the groups."""
    inner, filters = kernel.shape[2:]
    mask = np.kron(np.eye(groups), np.ones((inner, filters // groups))).astype("float32")
    dense = ops.tile(kernel, (1, 1, groups, 1)) * mask
    return ops.conv(x, dense, padding="same", data_format="channels_last")


FORMS = {
    "keras": lambda x, k, g: ops.conv(x, k, padding="same", data_format="channels_last"),
    "split": lambda x, k, g: forms.grouped_split(x, k, 1, "same", 1, g),
    "block-diagonal": block_diagonal,
    "ours": lambda x, k, g: forms.convolve(x, k, groups=g),
}


def training_step(form, groups):
    """Returns a compiled function of x and kernel that gives both gradients."""
    if keras.backend.backend() == "jax":
        import jax

        loss = lambda x, k: ops.sum(ops.square(form(x, k, groups)))  # noqa: E731
        step = jax.jit(jax.grad(loss, argnums=(0, 1)))
        return lambda x, k: jax.block_until_ready(step(x, k))
    import tensorflow as tf

    @tf.function(autograph=False)
    def step(x, k):
        with tf.GradientTape() as tape:
            tape.watch((x, k))
            loss = ops.sum(ops.square(form(x, k, groups)))
        return tape.gradient(loss, (x, k))

    return lambda x, k: [value.numpy() for value in step(x, k)]


def main():
    print("backend:", keras.backend.backend(), "— ms a training step")
    print("size  channels  groups  " + "  ".join(f"{name:>14s}" for name in FORMS))
    generator = np.random.default_rng(0)
    for batch, size, channels, groups in SHAPES:
        x = ops.convert_to_tensor(generator.random((batch, size, size, channels), "float32"))
        shape = (3, 3, channels // groups, channels)
        kernel = ops.convert_to_tensor(generator.random(shape, "float32"))
        steps = {name: training_step(form, groups) for name, form in FORMS.items()}
        for step in steps.values():
            step(x, kernel)
        times = {name: [] for name in FORMS}
        for index in range(15):
            for name, step in steps.items():
                if index >= ROUNDS.get(name, 15):
                    continue
                start = time.perf_counter()
                step(x, kernel)
                times[name].append(1e3 * (time.perf_counter() - start))
        row = "  ".join(f"{statistics.median(values):14.1f}" for values in times.values())
        print(f"{size:4d}  {channels:8d}  {groups:6d}  {row}", flush=True)


if __name__ == "__main__":
    main()
