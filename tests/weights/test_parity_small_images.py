"""Same weights, same outputs: PyTorch code for CIFAR that is copied rather than installed.

The networks below follow the layouts of akamaster/pytorch_resnet_cifar10 (option A),
chenyaofo/pytorch-cifar-models (option B), xternalz/WideResNet-pytorch and
gpleiss/efficient_densenet_pytorch: their names, order of operations and padding.
"""

import peers
import pytest

import keras_residual as kr
from keras_residual import weights

nn = pytest.importorskip("torch", reason="parity with PyTorch networks needs torch").nn
functional = nn.functional


def conv3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


def conv1(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


class OptionA(nn.Module):
    def __init__(self, missing):
        super().__init__()
        self.missing = missing

    def forward(self, x):
        each = self.missing // 2
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, each, each))


class Basic(nn.Module):
    """The block of options A and B, whose only difference is the shortcut's name and kind."""

    def __init__(self, inputs, outputs, stride, option):
        super().__init__()
        self.conv1, self.bn1 = conv3(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv3(outputs, outputs), nn.BatchNorm2d(outputs)
        self.name = {"A": "shortcut", "B": "downsample"}[option]
        shortcut = nn.Sequential()
        if inputs != outputs and option == "A":
            shortcut = OptionA(outputs - inputs)
        elif inputs != outputs:
            shortcut = nn.Sequential(conv1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
        self.add_module(self.name, shortcut)

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.get_submodule(self.name)(x))


class Cifar(nn.Module):
    def __init__(self, depth, option):
        super().__init__()
        self.conv1, self.bn1 = conv3(3, 16), nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        for stage in (1, 2, 3):
            blocks = [Basic(widths[stage - 1], widths[stage], 1 + (stage > 1), option)]
            blocks += [Basic(widths[stage], widths[stage], 1, option) for _ in range(depth - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.head = {"A": "linear", "B": "fc"}[option]
        self.add_module(self.head, nn.Linear(64, 10))

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.get_submodule(self.head)(x.mean((2, 3)))


class WideBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv3(inputs, outputs, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv3(outputs, outputs)
        self.convShortcut = conv1(inputs, outputs, stride) if inputs != outputs else None

    def forward(self, x):
        activated = functional.relu(self.bn1(x))
        y = self.conv2(functional.relu(self.bn2(self.conv1(activated))))
        return y + (x if self.convShortcut is None else self.convShortcut(activated))


class WideStage(nn.Module):
    def __init__(self, inputs, outputs, stride, depth):
        super().__init__()
        rest = [WideBlock(outputs, outputs, 1) for _ in range(depth - 1)]
        self.layer = nn.Sequential(WideBlock(inputs, outputs, stride), *rest)

    def forward(self, x):
        return self.layer(x)


class Wide(nn.Module):
    def __init__(self, depth, factor):
        super().__init__()
        widths = (16, 16 * factor, 32 * factor, 64 * factor)
        self.conv1 = conv3(3, 16)
        for stage in (1, 2, 3):
            block = WideStage(widths[stage - 1], widths[stage], 1 + (stage > 1), depth)
            self.add_module(f"block{stage}", block)
        self.bn1, self.fc = nn.BatchNorm2d(widths[3]), nn.Linear(widths[3], 10)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(self.post(x).mean((2, 3)))

    def post(self, x):
        return functional.relu(self.bn1(x))


def dense(growth_rate, depth):
    """torchvision's code with the stem for small images, named as gpleiss names it."""
    network = peers.torchvision().models.DenseNet(
        growth_rate, (depth,) * 3, num_init_features=2 * growth_rate, num_classes=10
    )
    for name in ("norm0", "relu0", "pool0"):
        delattr(network.features, name)
    network.features.conv0 = conv3(3, 2 * growth_rate)
    network.features.norm_final = network.features.norm5
    del network.features.norm5
    return network


LAYERS = [f"layer{n}" for n in (1, 2, 3)]
CASES = {
    "option_a": (lambda: peers.TorchPeer(Cifar(3, "A"), LAYERS), kr.ResNet20),
    "option_b": (
        lambda: peers.TorchPeer(Cifar(3, "B"), LAYERS),
        lambda **kw: kr.ResNet20(shortcut="projection", **kw),
    ),
    "option_a_scanned": (
        lambda: peers.TorchPeer(Cifar(4, "A"), LAYERS),
        lambda **kw: kr.ResNet("basic", (4,) * 3, (16, 32, 64), stem="conv3", stem_width=16,
                               shortcut="pad", execution="scanned", **kw),
    ),
    "wide": (
        lambda: peers.TorchPeer(Wide(2, 2), ["block1", "block2", "bn1"], last_relu=True),
        lambda **kw: kr.WideResNet16_8(widths=(32, 64, 128), **kw),
    ),
    "dense": (
        lambda: peers.TorchPeer(
            dense(8, 3),
            ["features.denseblock1", "features.denseblock2", "features.norm_final"],
            last_relu=True,
        ),
        lambda **kw: kr.DenseNet((3,) * 3, 8, stem="conv3", stem_width=16, **kw),
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", CASES)
@pytest.mark.parametrize("size", [(32, 32), (33, 29)])
def test_network_equals_its_torch_peer(layout, size):
    peer, ours = (
        CASES[layout][0](),
        CASES[layout][1](input_shape=(None, None, 3), classes=10, classifier_activation=None),
    )
    weights.from_torch(ours, peer.state_dict)
    largest, difference, relative = peers.differences(ours, peer, size)
    print(f"{layout} {size}: logits to {largest:.1f}, difference {difference:.1e}", relative)
    assert 2 < largest < 50, "logits of this size prove nothing"
    assert difference <= 1e-4
    assert max(relative.values()) <= 1e-4
