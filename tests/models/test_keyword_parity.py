"""Keyword networks against their papers' structures, written here in PyTorch's operations.

The reference takes spectrograms as the authors do, and this package's weights in their order.
"""

import keras
import numpy as np
import pytest
from support import run

import keras_residual

RANDOM = np.random.default_rng(0)


def drawn(model):
    """Gives every weight and statistic a value that is not its first one."""
    for weight in model.weights:
        name = weight.path.rpartition("/")[2]
        if name == "moving_variance":
            weight.assign(RANDOM.uniform(0.5, 2, weight.shape))
        elif name in ("kernel", "depthwise_kernel"):
            fan = int(np.prod(weight.shape[:-1]))
            weight.assign(RANDOM.normal(0, (2 / fan) ** 0.5, weight.shape))
        elif weight.dtype == "float32":
            weight.assign(RANDOM.uniform(0.5, 1.5, weight.shape))
    return model


class Reference:
    """PyTorch's operations with the weights of a layer of this package by their names."""

    def __init__(self, torch, kernel_order=(3, 2, 0, 1)):
        self.torch, self.f, self.kernel_order = torch, torch.nn.functional, kernel_order

    def named(self, layer):
        found = {}
        for weight in layer.weights:
            value = self.torch.tensor(keras.ops.convert_to_numpy(weight.value))
            found.setdefault(weight.path.rpartition("/")[2], value)
        return found

    def convolution(self, x, layer, **options):
        kernel = self.named(layer)["kernel"].permute(*self.kernel_order)
        return self.f.conv2d(x, kernel, self.named(layer).get("bias"), **options)

    def norm(self, x, layer, bands=1):
        """Batch normalization; with bands, each channel of each band has its own numbers."""
        values = self.named(layer)
        order = ("moving_mean", "moving_variance", "gamma", "beta")
        mean, variance, scale, offset = (values.get(name) for name in order)
        shape = x.shape
        if bands > 1:
            # (batch, channels, bands · frequencies, times): bands become channels.
            x = x.reshape(shape[0], shape[1] * bands, shape[2] // bands, shape[3])
            each = (mean, variance, scale, offset)
            mean, variance, scale, offset = (
                value.reshape(bands, -1).T.reshape(-1) for value in each
            )
        x = self.f.batch_norm(x, mean, variance, scale, offset, False, 0.1, 1e-5)
        return x.reshape(shape)


def res(reference, model, x, depth, pool, dilated):
    """Tang and Lin, 2018: after the first convolution, sums at every second one, then statistics.

    `x` is `(batch, 1, times, coefficients)`.
    """
    layers = {layer.name: layer for layer in model.layers}
    convolutions, norms = [layers["conv0"]], []
    for number in range(1, depth // 2 + 1):
        block = layers[f"block{number}"]
        convolutions += [block.conv1, block.conv2]
        norms += [part for part in (block.norm1, block.norm2) if part is not None]
    if depth % 2:
        convolutions.append(layers["last_conv"])
        norms.append(layers["last_norm"])
    norms.append(layers["final_norm"])
    assert len(convolutions) == depth + 1 and len(norms) == depth
    for index, layer in enumerate(convolutions):
        rate = 2 ** ((index - 1) // 3) if dilated and index else 1
        y = reference.f.relu(reference.convolution(x, layer, padding=rate, dilation=rate))
        if index == 0:
            x = y if pool is None else reference.f.avg_pool2d(y, pool)
            kept = x
            continue
        x = y
        if index % 2 == 0:
            x = kept = y + kept
        x = reference.norm(x, norms[index - 1])
    values = reference.named(model.layers[-1])
    return x.mean((2, 3)) @ values["kernel"] + values["bias"]


@pytest.mark.parametrize(
    ("name", "depth", "pool", "dilated"),
    [
        ("Res8Narrow", 6, (4, 3), False),
        ("Res15Narrow", 13, None, True),
        ("Res26Narrow", 24, (2, 2), False),
    ],
)
def test_res(torch, name, depth, pool, dilated):
    model = getattr(keras_residual, name)(
        front_end=None, input_shape=(25, 40, 1), classifier_activation=None
    )
    x = RANDOM.normal(size=(2, 25, 40, 1)).astype("float32")
    expected = res(
        Reference(torch), drawn(model), torch.tensor(x).permute(0, 3, 1, 2), depth, pool, dilated
    )
    np.testing.assert_allclose(run(model, x), expected.numpy(), rtol=1e-3, atol=2e-4)


def broadcasted(reference, model, x, depths=(2, 2, 4, 4)):
    """Kim et al., 2021, as the authors' code: `x` is `(batch, 1, frequencies, times)`."""
    layers, f = {layer.name: layer for layer in model.layers}, reference.f

    def convolution_and_norm(x, layer, activation, **options):
        return activation(reference.norm(reference.convolution(x, layer, **options), layer))

    x = convolution_and_norm(x, layers["stem"], f.relu, stride=(2, 1), padding=2)
    for stage, depth in enumerate(depths):
        for number in range(depth):
            block = layers[f"stage{stage + 1}_block{number + 1}"]
            kept, is_first = x, number == 0
            width = block.filters
            assert (block.expand is not None) == is_first
            if is_first:
                x = convolution_and_norm(x, block.expand, f.relu)
            stride = (2, 1) if is_first and stage in (1, 2) else 1
            x = reference.convolution(
                x, block.frequency_conv, stride=stride, padding=(1, 0), groups=width
            )
            x = reference.norm(x, block.sub_spectral, bands=5)
            rate = 2**stage
            y = convolution_and_norm(
                x.mean(2, keepdim=True),
                block.time_conv,
                f.silu,
                padding=(0, rate),
                dilation=(1, rate),
                groups=width,
            )
            x = x + reference.convolution(y, block.pointwise)
            x = f.relu(x if is_first else x + kept)
    x = reference.convolution(x, layers["frequency_conv"], padding=(0, 2), groups=x.shape[1])
    x = convolution_and_norm(x, layers["head"], f.relu).mean((2, 3))
    values = reference.named(model.layers[-1])
    return x @ values["kernel"] + values["bias"]


@pytest.mark.parametrize("name", ["BCResNet1", "BCResNet1_5"])
def test_bc_resnet(torch, name):
    model = getattr(keras_residual, name)(
        front_end=None, input_shape=(23, 40, 1), classifier_activation=None
    )
    x = RANDOM.normal(size=(2, 23, 40, 1)).astype("float32")
    # Kernels are (times, frequencies) here, and the other way round in the authors' code.
    reference = Reference(torch, (3, 2, 1, 0))
    expected = broadcasted(reference, drawn(model), torch.tensor(x).permute(0, 3, 2, 1))
    np.testing.assert_allclose(run(model, x), expected.numpy(), rtol=1e-3, atol=2e-4)
