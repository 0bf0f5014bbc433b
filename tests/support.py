"""Numbers that tests compute with: weights and inputs from formulas, gradients in any backend."""

import functools
import importlib.util
import inspect
import math
import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_residual import data


def ramp(*shape, offset=0.0):
    """Returns an array in [-1, 1] that differs at every position: sin(0.7·k + offset)."""
    values = np.sin(0.7 * np.arange(math.prod(shape)) + offset)
    return values.reshape(shape).astype("float32")


def dataset_at_hand(name):
    """Returns a dataset, or skips the test with what `data.load` says is missing."""
    try:
        return data.load(name)
    except (ImportError, data.DatasetError) as error:
        pytest.skip(str(error))


def benchmark(name, monkeypatch):
    """Returns a program of `tests/benchmarks` as a module."""
    folder = pathlib.Path(__file__).parent / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def skip_without(package):
    """Skips a test whose child process needs a package, such as the JAX backend needs jax."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def sequential_value(name, shape, offset):
    """Returns the value of a weight by the last part of its name; variances stay positive."""
    values = ramp(*shape, offset=offset)
    if name.endswith("variance"):
        return 1.0 + 0.5 * values**2
    if name.endswith("gamma"):
        return 1.0 + 0.2 * values
    if name.endswith("kernel"):
        return values / math.sqrt(max(1, math.prod(shape[:-1])))
    return 0.1 + 0.2 * values


def is_floating(variable):
    return keras.backend.is_float_dtype(variable.dtype)


def set_sequential_weights(layer):
    """Gives every floating weight values by formula, the same in all backends and executions."""
    for layer_ in flatten(layer):
        if hasattr(layer_, "set_block_weights"):
            _set_stage(layer_)
    inside = {id(w) for s in flatten(layer) if hasattr(s, "set_block_weights") for w in s.weights}
    outside = [w for w in layer.weights if id(w) not in inside and is_floating(w)]
    for index, weight in enumerate(outside):
        weight.assign(sequential_value(weight.name, tuple(weight.shape), index))


def _set_stage(stage):
    for index in range(stage.depth):
        weights = stage.get_block_weights(index)
        stage.set_block_weights(
            index,
            {
                name: sequential_value(name, value.shape, index + position)
                for position, (name, value) in enumerate(weights.items())
            },
        )


def flatten(layer):
    """Returns the layers of a functional model, or the layer itself."""
    return layer.layers if isinstance(layer, keras.Model) else [layer]


def arguments_of_call(layer, **arguments):
    """Returns those of `arguments` that the layer's `call` takes."""
    accepted = inspect.signature(layer.call).parameters
    return {key: value for key, value in arguments.items() if key in accepted}


def run(layer, inputs, training=False):
    """Returns the outputs as an array."""
    return to_numpy(layer(inputs, **arguments_of_call(layer, training=training)))


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def gradients(layer, inputs, training=True, channels_first=False):
    """Returns outputs and the gradients of Σ outputs·ramp by the inputs and trainable weights.

    Non-trainable weights keep what the call changed, as in a training step.
    """
    backend = keras.backend.backend()
    compute = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]
    arguments = arguments_of_call(layer, training=training)
    if not layer.built:
        layer.build(inputs.shape)
    loss = functools.partial(_loss, channels_first=channels_first)
    outputs, found = compute(layer, ops.convert_to_tensor(inputs), arguments, loss)
    names = ["inputs", *(weight.path for weight in layer.trainable_weights)]
    values = [None if value is None else to_numpy(value) for value in found]
    return to_numpy(outputs), dict(zip(names, values, strict=True))


def _loss(outputs, channels_first):
    outputs = ops.cast(ops.moveaxis(outputs, 1, -1) if channels_first else outputs, "float32")
    return ops.sum(ops.multiply(outputs, ramp(*outputs.shape, offset=0.3)))


def _tensorflow(layer, inputs, arguments, loss_of):
    import tensorflow as tf

    sources = [inputs, *(weight.value for weight in layer.trainable_weights)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, **arguments)
        loss = loss_of(outputs)
    return outputs, tape.gradient(loss, sources)


def _jax(layer, inputs, arguments, loss_of):
    import jax

    def loss(inputs, trainable, other):
        outputs, updated = layer.stateless_call(trainable, other, inputs, **arguments)
        return loss_of(outputs), (outputs, updated)

    trainable = [weight.value for weight in layer.trainable_variables]
    other = [weight.value for weight in layer.non_trainable_variables]
    compute = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, (outputs, updated)), (by_inputs, by_weights) = compute(inputs, trainable, other)
    for variable, value in zip(layer.non_trainable_variables, updated, strict=True):
        variable.assign(value)
    return outputs, [by_inputs, *by_weights]


def _torch(layer, inputs, arguments, loss_of):
    inputs = inputs.clone().requires_grad_()
    weights = [weight.value for weight in layer.trainable_weights]
    for weight in weights:
        weight.grad = None
    outputs = layer(inputs, **arguments)
    loss_of(outputs).backward()
    return outputs, [inputs.grad, *(weight.grad for weight in weights)]


def checkpoint_restores_every_weight(model, other, folder):
    """Raises if `tf.train.Checkpoint` does not restore a weight of `model` in `other`.

    The states of random generators are left out: TensorFlow finds none of Keras' either.
    """
    import tensorflow as tf

    path = tf.train.Checkpoint(model=model).save(f"{folder}/checkpoint")
    tf.train.Checkpoint(model=other).restore(path).assert_existing_objects_matched()
    pairs = [*zip(model.variables, other.variables, strict=True)]
    assert any(not np.array_equal(to_numpy(a), 0 * to_numpy(a)) for a, _ in pairs) or not pairs
    lost = [
        a.path
        for a, b in pairs
        if a.dtype.startswith("float") and not np.array_equal(to_numpy(a), to_numpy(b))
    ]
    assert not lost, f"TensorFlow's checkpoint loses {lost}"


def one_line(error, *words):
    """Checks that a message is one line with all of these words."""
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    assert isinstance(error.value, ValueError)


def assert_same_step(layer, expected, x, atol):
    """Checks that two layers have the same outputs, gradients and weights after a step on `x`."""
    outputs, found = gradients(layer, x)
    expected_outputs, expected_gradients = gradients(expected, x)
    np.testing.assert_allclose(outputs, expected_outputs, atol=1e-6)
    for mine, theirs in zip(found.values(), expected_gradients.values(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=atol)
    for mine, theirs in zip(layer.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def photographs(count=200):
    """Pieces of real photographs, of many sizes."""
    from sklearn.datasets import load_sample_images

    sources, random = load_sample_images().images, np.random.default_rng(0)
    for index in range(count):
        source = sources[index % len(sources)]
        height, width = random.integers(20, 300, 2)
        top = random.integers(0, source.shape[0] - height)
        left = random.integers(0, source.shape[1] - width)
        yield np.ascontiguousarray(source[top : top + height, left : left + width])
