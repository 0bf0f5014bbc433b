"""Convolution against NumPy, its forms against each other."""

import itertools
import json

import keras
import numpy as np
import pytest
from layers import reference
from support import gradients, ramp, run, to_numpy

from keras_residual.layers import Convolution
from keras_residual.layers._convolution import forms
from keras_residual.layers.strides import for_each_axis

SIZES = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}


def reference_convolution(x, layer):
    kernel = to_numpy(layer.kernel)
    outputs = reference.convolve(x, kernel, layer.strides, layer.dilation_rate, layer.groups)
    return outputs + (to_numpy(layer.bias) if layer.use_bias else 0)


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 1},
        {"kernel_size": 1, "strides": 2},
        {"kernel_size": 2},
        {"kernel_size": 3, "strides": 2, "use_bias": True},
        {"kernel_size": 3, "strides": 3},
        {"kernel_size": 4, "strides": 2},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 3, "groups": 2},
        {"kernel_size": 3, "groups": 4, "strides": 2},
        {"kernel_size": 5, "groups": 2, "dilation_rate": 2},
        {"kernel_size": 3, "strides": 2, "dilation_rate": 2},
        {"kernel_size": 3, "strides": 2, "dilation_rate": 3, "groups": 2},
    ],
    ids=str,
)
def test_equals_numpy(rank, arguments):
    x = ramp(2, *SIZES[rank], 4)
    layer = Convolution(8, **arguments)
    outputs = run(layer, x)
    assert outputs.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(outputs, reference_convolution(x, layer), atol=1e-5)


def test_kernel_size_for_each_axis():
    x = ramp(2, 7, 6, 3)
    layer = Convolution(4, (1, 5), strides=2)
    np.testing.assert_allclose(run(layer, x), reference_convolution(x, layer), atol=1e-5)


PER_AXIS = [
    {"kernel_size": (3, 3), "strides": (1, 2)},
    {"kernel_size": (1, 3), "strides": (1, 2), "groups": 2},
    {"kernel_size": 3, "strides": (2, 3), "dilation_rate": 2},
    {"kernel_size": 3, "strides": (1, 2, 2)},
    {"kernel_size": (3, 5, 5), "strides": (1, 2, 2), "use_bias": True},
    {"kernel_size": 1, "strides": (2, 1, 3)},
    {"kernel_size": (1, 3, 3)},
    {"kernel_size": (1, 3, 2), "strides": 2, "groups": 2},
    {"kernel_size": (1, 3, 3), "strides": (2, 1, 2), "use_bias": True},
    {"kernel_size": (1, 3, 3), "strides": (2, 2, 2), "dilation_rate": 2},
    {"kernel_size": (3, 1, 1)},
    {"kernel_size": (3, 1, 1), "strides": (2, 1, 1), "groups": 4},
    {"kernel_size": (4, 1, 1), "strides": (2, 3, 1)},
    {"kernel_size": (3, 1, 1), "strides": 2, "dilation_rate": 3},
]


@pytest.mark.parametrize("arguments", PER_AXIS, ids=str)
def test_strides_for_each_axis(arguments):
    layer = Convolution(8, **arguments)
    rank = 2 if 2 in (len(np.atleast_1d(value)) for value in arguments.values()) else 3
    x = ramp(2, *SIZES[rank], 4)
    outputs = run(layer, x)
    assert outputs.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(outputs, reference_convolution(x, layer), atol=1e-5)
    again = Convolution.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.strides == layer.strides


@pytest.mark.parametrize("kernel_size", [(1, 3, 3), (3, 1, 1), 1, 3], ids=str)
@pytest.mark.parametrize("strides", [1, (2, 1, 2)], ids=str)
def test_gradients_over_three_axes(torch, kernel_size, strides):
    """The 2-D forms of flat kernels against PyTorch's 3-D convolution."""
    x, layer = ramp(2, *SIZES[3], 3), Convolution(4, kernel_size, strides=strides)
    outputs, found = gradients(layer, x)
    kernel = torch.from_numpy(to_numpy(layer.kernel)).permute(4, 3, 0, 1, 2).requires_grad_()
    inputs = torch.from_numpy(x).permute(0, 4, 1, 2, 3).requires_grad_()
    padding = [size // 2 for size in kernel.shape[2:]]
    theirs = torch.nn.functional.conv3d(inputs, kernel, stride=strides, padding=padding)
    np.testing.assert_allclose(outputs, theirs.detach().permute(0, 2, 3, 4, 1), atol=1e-5)
    (
        theirs.permute(0, 2, 3, 4, 1) * torch.from_numpy(ramp(*outputs.shape, offset=0.3))
    ).sum().backward()
    by_inputs, by_kernel = found.values()
    np.testing.assert_allclose(by_inputs, inputs.grad.permute(0, 2, 3, 4, 1), atol=1e-4)
    np.testing.assert_allclose(by_kernel, kernel.grad.permute(2, 3, 4, 1, 0), atol=1e-4)


@pytest.mark.parametrize("kernel_size", [(1, 3, 3), (3, 1, 1)])
def test_flat_kernels_take_unknown_sizes(kernel_size):
    inputs = keras.Input((None, None, None, 3))
    layer = Convolution(4, kernel_size, strides=(1, 2, 1))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, None, 4)
    for sizes in ((5, 4, 6), (3, 7, 5)):
        x = ramp(2, *sizes, 3)
        expected = reference_convolution(x, layer)
        np.testing.assert_allclose(model.predict_on_batch(x), expected, atol=1e-5)


@pytest.mark.parametrize("strides", [1, 2])
def test_pads_as_pytorch_does(torch, strides):
    x = ramp(2, 7, 6, 3)
    layer = Convolution(4, 3, strides=strides)
    ours = run(layer, x)
    theirs = torch.nn.functional.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2),
        torch.from_numpy(to_numpy(layer.kernel)).permute(3, 2, 0, 1),
        stride=strides,
        padding=1,
    )
    np.testing.assert_allclose(ours, theirs.permute(0, 2, 3, 1), atol=1e-5)


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize("strides", [1, 2])
def test_grouped_forms_agree(rank, strides, monkeypatch):
    """The form the backend takes and the portable one, forward and gradients."""
    x = ramp(2, *SIZES[rank], 6)

    def numbers():
        keras.utils.set_random_seed(3)
        return gradients(Convolution(12, 3, strides=strides, groups=3), x)

    expected, expected_gradients = numbers()
    split = forms.grouped_split
    monkeypatch.setattr(forms, "_grouped", split)
    outputs, found = numbers()
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    for gradient, other in zip(found.values(), expected_gradients.values(), strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own kernels")
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_grouped_convolution_trains_compiled(dtype):
    """Keras' own sends grouped gradients to XLA, oneDNN has none for float16."""
    model = keras.Sequential(
        [keras.Input((6, 6, 8)), Convolution(8, 3, groups=4, dtype=dtype), keras.layers.Flatten()]
    )
    model.compile("sgd", "mse", jit_compile=False)
    x, y = ramp(4, 6, 6, 8), ramp(4, 288, offset=1.0)
    first, *_, last = [float(model.train_on_batch(x, y)) for _ in range(5)]
    assert last < first


@pytest.mark.parametrize(
    ("sizes", "kernel_size"),
    [
        *itertools.product([(8, 8), (9, 8), (7, 11), (2, 3)], [7]),
        ((8, 9), 3),
        ((8, 9), 4),
        ((8, 9), 5),
        ((9,), 7),
        ((5, 6, 7), 3),
    ],
    ids=str,
)
def test_space_to_depth_is_the_same_function(sizes, kernel_size):
    x = ramp(2, *sizes, 3)

    def numbers(space_to_depth):
        keras.utils.set_random_seed(3)
        return gradients(Convolution(4, kernel_size, strides=2, space_to_depth=space_to_depth), x)

    expected, expected_gradients = numbers(False)
    outputs, found = numbers(True)
    np.testing.assert_allclose(outputs, expected, atol=2e-6)
    for gradient, other in zip(found.values(), expected_gradients.values(), strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-4)


def test_space_to_depth_on_unknown_sizes():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, Convolution(4, 7, strides=2, space_to_depth=True)(inputs))
    plain = Convolution(4, 7, strides=2)
    plain.build((None, None, None, 3))
    plain.set_weights(model.get_weights())
    for sizes in ((9, 8), (6, 7)):
        x = ramp(2, *sizes, 3)
        np.testing.assert_allclose(model.predict_on_batch(x), run(plain, x), atol=2e-6)


@pytest.mark.parametrize("arguments", [{"groups": 2}, {"space_to_depth": True, "kernel_size": 7}])
def test_channels_first_is_the_same_function(arguments):
    x = ramp(2, 7, 6, 4)
    last = Convolution(4, strides=2, **arguments)
    expected = run(last, x)
    first = Convolution(4, strides=2, data_format="channels_first", **arguments)
    first.build((2, 4, 7, 6))
    first.set_weights(last.get_weights())
    outputs = run(first, np.moveaxis(x, -1, 1))
    np.testing.assert_allclose(np.moveaxis(outputs, 1, -1), expected, atol=1e-5)


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize(
    ("kernel_size", "strides", "dilation_rate", "padded"),
    [
        *[(1, 1, 1, 0), (1, 2, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1), (3, 1, 2, 1), (3, 2, 1, 0)],
        (3, (2, 1, 3), 1, 0),
    ],
    ids=str,
)
def test_gradients_of_jax_forms(rank, kernel_size, strides, dilation_rate, padded):
    jax = pytest.importorskip("jax", reason="JAX, whose convolution is tested, is not installed")
    from keras_residual.layers._convolution import jax as form

    reach = (kernel_size - 1) * dilation_rate * padded
    strides = strides if isinstance(strides, int) else strides[:rank]
    options = (strides, [(reach // 2, reach - reach // 2)] * rank, dilation_rate)
    spatial = "DHW"[-rank:]

    def own(x, kernel):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            for_each_axis(strides, rank),
            options[1],
            rhs_dilation=(dilation_rate,) * rank,
            dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        )

    x, kernel = ramp(2, *SIZES[rank], 3), ramp(*(kernel_size,) * rank, 3, 4)
    expected, expected_gradients = jax.vjp(own, x, kernel)
    outputs, output_gradients = jax.vjp(lambda *a: form.convolve_jax(*a, *options), x, kernel)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
    gradient = ramp(*outputs.shape)
    for ours, theirs in zip(output_gradients(gradient), expected_gradients(gradient), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a form of TensorFlow")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "mode"),
    [(1, 1, "valid"), (3, 1, "same"), (2, 1, "same"), (3, 2, "valid"), (1, (2, 1), "valid")],
)
def test_gradients_as_matrix_products(dtype, kernel_size, strides, mode):
    import tensorflow as tf

    from keras_residual.layers._convolution.tensorflow import convolve_tensorflow

    x = tf.cast(ramp(2, 7, 9, 3), dtype)
    kernel = tf.cast(ramp(kernel_size, kernel_size, 3, 4), dtype)

    def found(convolve):
        with tf.GradientTape() as outer, tf.GradientTape() as inner:
            for tape in (outer, inner):
                tape.watch([x, kernel])
            outputs = convolve(x, kernel)
            loss = tf.reduce_sum(tf.tanh(outputs))
            first = inner.gradient(loss, [x, kernel])
            norm = sum(tf.reduce_sum(each**2) for each in first)
        return [outputs, *first, *outer.gradient(norm, [x, kernel])]

    ours = found(lambda x, kernel: convolve_tensorflow(x, kernel, strides, mode))
    theirs = found(lambda x, kernel: tf.nn.conv2d(x, kernel, strides, mode.upper()))
    tolerance = 1e-4 if dtype == "float32" else 0.05
    for mine, other in zip(ours, theirs, strict=True):
        largest = np.abs(to_numpy(other)).max()
        np.testing.assert_allclose(to_numpy(mine), to_numpy(other), atol=tolerance * largest)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a form of TensorFlow")
@pytest.mark.parametrize(
    ("dtype", "arguments", "shape", "expected"),
    [
        ("mixed_bfloat16", {"kernel_size": 3}, (14, 14, 256), True),
        ("mixed_bfloat16", {"kernel_size": 3, "strides": 2}, (14, 14, 256), True),
        ("mixed_bfloat16", {"kernel_size": 3}, (28, 28, 256), False),
        ("mixed_bfloat16", {"kernel_size": 3, "strides": 2}, (28, 28, 256), False),
        ("mixed_bfloat16", {"kernel_size": 3}, (14, 14, 128), False),
        ("mixed_bfloat16", {"kernel_size": 3, "dilation_rate": 2}, (7, 7, 256), False),
        ("mixed_bfloat16", {"kernel_size": 3, "groups": 2}, (7, 7, 512), False),
        ("mixed_bfloat16", {"kernel_size": 1}, (7, 7, 256), False),
        ("mixed_bfloat16", {"kernel_size": 3}, (7, None, 256), False),
        ("float32", {"kernel_size": 3}, (7, 7, 256), False),
    ],
)
def test_gradients_are_products_where_these_are_faster(dtype, arguments, shape, expected):
    import tensorflow as tf

    layer = Convolution(256, dtype=dtype, **arguments)
    layer.build((None, *shape))
    signature = tf.TensorSpec((None, *shape), layer.compute_dtype)
    for training in (True, False):
        step = tf.function(lambda x, training=training: layer(x, training=training))
        operations = step.get_concrete_function(signature).graph.get_operations()
        custom = any(operation.type == "IdentityN" for operation in operations)
        assert custom == (expected and training)
