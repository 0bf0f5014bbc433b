"""Times `ResidualLSTM` against stacks of `keras.layers.LSTM` and `torch.nn.LSTM` that do the same.

    KERAS_BACKEND=tensorflow python tests/benchmarks/residual_lstm.py --keep
    KERAS_BACKEND=jax python tests/benchmarks/residual_lstm.py --units 64 --layers 8

Inference, and the gradient by all weights of the mean square of the outputs, compiled as `Model`
does by default (TensorFlow: a graph; `--jit` adds XLA. JAX: jit). All candidates of a row take
turns in one process; the numbers are medians in milliseconds. A few minutes on two idle cores.
PyTorch takes part where it is installed, eagerly, as its LSTM is one operation a layer.

`lstm_beside_torch.py` compares with PyTorch alone, at more sizes.

On a busy machine these medians say little. `--processor-time` takes one thread, its own time and
the least of the repeats instead.
"""

import argparse
import contextlib
import functools
import itertools
import os
import statistics
import time

import keras
import numpy as np
from _kept import RESULTS, keep
from _torch_lstm import torch_lstm_stack
from keras import ops

from keras_residual.layers import ResidualLSTM

IMPLEMENTATIONS = ("auto", "layerwise", "wavefront")


def keras_stack(units, num_layers):
    inputs = x = keras.Input((None, units))
    for index in range(num_layers):
        y = keras.layers.LSTM(units, return_sequences=True)(x)
        x = y if index == 0 else keras.layers.Add()([y, x])
    return keras.Model(inputs, x)


def residual_stack(units, num_layers, implementation):
    inputs = keras.Input((None, units))
    layer = ResidualLSTM(units, num_layers, implementation=implementation, return_sequences=True)
    return keras.Model(inputs, layer(inputs))


def torch_stack(units, num_layers, x):
    """Returns PyTorch's functions for inference and the gradient, or `None` without PyTorch."""
    try:
        import torch
    except ModuleNotFoundError:
        return None

    stack, x = torch_lstm_stack(units, num_layers), torch.tensor(ops.convert_to_numpy(x))

    def infer():
        with torch.inference_mode():
            stack(x)

    def train():
        stack.zero_grad(set_to_none=True)
        (stack(x) ** 2).mean().backward()

    return infer, train


def compiled(model, x, jit):
    """Returns a function for inference and one for the gradient, both waiting for their result."""
    if keras.backend.backend() == "tensorflow":
        return _compiled_tensorflow(model, x, jit)
    if keras.backend.backend() == "jax":
        return _compiled_jax(model, x)
    return _compiled_torch(model, x)


def _compiled_tensorflow(model, x, jit):
    import tensorflow as tf

    # It warns of as many traces as there are rows in the table.
    tf.get_logger().setLevel("ERROR")

    @tf.function(jit_compile=jit)
    def infer(x):
        return model(x, training=False)

    @tf.function(jit_compile=jit)
    def train(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x, training=True) ** 2)
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    # Calls return when they are done; `numpy()` would copy, which PyTorch does not do either.
    return lambda: infer(x), lambda: train(x)


def _compiled_jax(model, x):
    import jax

    trainable = [v.value for v in model.trainable_variables]
    other = [v.value for v in model.non_trainable_variables]

    def outputs(trainable, x, training):
        return model.stateless_call(trainable, other, x, training=training)[0]

    infer = jax.jit(lambda trainable, x: outputs(trainable, x, False))
    train = jax.jit(jax.grad(lambda trainable, x: (outputs(trainable, x, True) ** 2).mean()))
    return (
        lambda: jax.block_until_ready(infer(trainable, x)),
        lambda: jax.block_until_ready(train(trainable, x)),
    )


def _compiled_torch(model, x):
    import torch

    def infer():
        with torch.no_grad():
            return model(x, training=False)

    def train():
        loss = (model(x, training=True) ** 2).mean()
        return torch.autograd.grad(loss, [v.value for v in model.trainable_variables])

    return infer, train


def one_thread():
    """Lets the backend compute with one thread; to be called before it computes anything."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    with contextlib.suppress(ModuleNotFoundError):
        import torch

        torch.set_num_threads(1)


def timed(functions, repeats, clock=time.perf_counter, middle=statistics.median):
    """Returns the middle of the milliseconds of each function, calling them in turns."""
    times = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(repeats):
        for function, found in zip(functions, times, strict=True):
            start = clock()
            function()
            found.append(1e3 * (clock() - start))
    return [middle(found) for found in times]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--time", type=int, nargs="+", default=[16, 128])
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--jit", action="store_true", help="compile TensorFlow graphs with XLA")
    parser.add_argument("--processor-time", action="store_true", help="on a busy machine")
    parser.add_argument("--keep", action="store_true", help="write the results for the backend")
    given = parser.parse_args()
    measure = timed
    if given.processor_time:
        one_thread()
        measure = functools.partial(timed, clock=time.process_time, middle=min)
    backend, rows = keras.backend.backend(), []
    print(f"{backend}, milliseconds; the last columns are Keras / auto and torch / auto")
    columns = ("Keras", *IMPLEMENTATIONS, "torch")
    print(f"{'units':>5} {'batch':>5} {'time':>5} {'layers':>6}  {'':9}", end="")
    print(*(f"{column:>10}" for column in columns))
    for units, batch, steps, layers in itertools.product(
        given.units, given.batch, given.time, given.layers
    ):
        x = ops.convert_to_tensor(
            np.random.default_rng(0).normal(size=(batch, steps, units)), "float32"
        )
        models = [keras_stack(units, layers)]
        models += [residual_stack(units, layers, how) for how in IMPLEMENTATIONS]
        for model in models[1:]:
            model.set_weights(models[0].get_weights())
        functions = [compiled(model, x, given.jit) for model in models]
        peer = torch_stack(units, layers, x)
        functions += [peer] if peer else []
        for kind, column in (("inference", 0), ("training", 1)):
            found = measure([pair[column] for pair in functions], given.repeats)
            ratios = [found[0] / found[1], *(other / found[1] for other in found[4:])]
            row = {"units": units, "batch": batch, "steps": steps, "layers": layers, "kind": kind}
            milliseconds = dict(zip(columns, found, strict=False))
            rows.append({**row, "milliseconds": milliseconds, "ratios": ratios})
            print(f"{units:5} {batch:5} {steps:5} {layers:6}  {kind:9}", end="")
            print(*(f"{value:10.2f}" for value in found), end=" ")
            print(*(f"{ratio:7.2f}x" for ratio in ratios), flush=True)
    if given.keep:
        print(keep(RESULTS, f"residual_lstm-{backend}", rows=rows))


if __name__ == "__main__":
    main()
