"""Same weights, same outputs at full size: one published network of each family; `-m slow`: all.

`-rP` prints a row a network: size, largest logit, largest difference, largest relative difference
of a stage.
"""

import functools

import keras
import peers
import pytest

import keras_residual as kr
from keras_residual import weights

SIZES = ((224, 224), (197, 255))

TORCHVISION = {
    "resnet18": kr.ResNet18,
    "resnet34": kr.ResNet34,
    "resnet50": kr.ResNet50,
    "resnet101": kr.ResNet101,
    "resnet152": kr.ResNet152,
    "resnext50_32x4d": kr.ResNeXt50_32x4d,
    "resnext101_32x8d": kr.ResNeXt101_32x8d,
    "resnext101_64x4d": kr.ResNeXt101_64x4d,
    "wide_resnet50_2": kr.WideResNet50_2,
    "wide_resnet101_2": kr.WideResNet101_2,
    "densenet121": kr.DenseNet121,
    "densenet161": kr.DenseNet161,
    "densenet169": kr.DenseNet169,
    "densenet201": kr.DenseNet201,
}
UNSHARED = {"share_preactivation": False}
TIMM = {
    "resnet18": kr.ResNet18,
    "resnet50": kr.ResNet50,
    "resnet18d": kr.ResNet18D,
    "resnet34d": kr.ResNet34D,
    "resnet50d": kr.ResNet50D,
    "resnet101d": kr.ResNet101D,
    "resnet152d": kr.ResNet152D,
    "seresnet18": functools.partial(kr.SEResNet18, se_divisor=8),
    "seresnet50": kr.SEResNet50,
    "seresnet101": kr.SEResNet101,
    "seresnext50_32x4d": kr.SEResNeXt50_32x4d,
    "resnext50_32x4d": kr.ResNeXt50_32x4d,
    "resnet50_gn": functools.partial(kr.ResNet50, normalization="group"),
    "resnetv2_18": functools.partial(kr.ResNet18V2, **UNSHARED),
    "resnetv2_34": functools.partial(kr.ResNet34V2, **UNSHARED),
    "resnetv2_50": kr.ResNet50V2,
    "resnetv2_101": kr.ResNet101V2,
    "resnetv2_152": kr.ResNet152V2,
    "resnetv2_18d": functools.partial(kr.ResNet18V2, stem="deep", shortcut="pooled", **UNSHARED),
    "resnetv2_50d": functools.partial(kr.ResNet50V2, stem="deep", shortcut="pooled"),
    "resnetv2_50d_gn": functools.partial(
        kr.ResNet50V2, stem="deep", shortcut="pooled", normalization="group"
    ),
    "densenet121": kr.DenseNet121,
    "densenet161": kr.DenseNet161,
}
KERAS_V2 = {"strided_block": "last", "pool_padding": "zero", "conv_bias": True}
KERAS = {
    "ResNet50": kr.ResNet50V1,
    "ResNet101": kr.ResNet101V1,
    "ResNet152": kr.ResNet152V1,
    "ResNet50V2": functools.partial(kr.ResNet50V2, **KERAS_V2),
    "ResNet101V2": functools.partial(kr.ResNet101V2, **KERAS_V2),
    "ResNet152V2": functools.partial(kr.ResNet152V2, **KERAS_V2),
    "DenseNet121": kr.DenseNet121,
    "DenseNet169": kr.DenseNet169,
    "DenseNet201": kr.DenseNet201,
}
ARGUMENTS = {"input_shape": (None, None, 3), "classifier_activation": None}


def networks(names, *quick):
    """Returns the names as parameters; all but the smallest of each family are slow."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=() if name in quick else slow) for name in names]


def assert_equal_outputs(label, model, peer):
    for size in SIZES:
        largest, difference, relative = peers.differences(model, peer, size)
        stages = max(value for name, value in relative.items() if name != "logits")
        print(
            f"| {label} | {size[0]}×{size[1]} | {largest:.1f} | {difference:.1e} | {stages:.1e} |"
        )
        assert 2 < largest < 50, "logits of this size prove nothing"
        assert difference <= 1e-4
        assert max(relative.values()) <= 1e-4
    keras.utils.clear_session()


@pytest.mark.parametrize("name", networks(TORCHVISION, "resnet18", "resnext50_32x4d"))
def test_torchvision(name):
    peer, model = peers.from_torchvision(name, size=160), TORCHVISION[name](**ARGUMENTS)
    weights.from_torch(model, peer.state_dict)
    assert_equal_outputs(f"torchvision {name}", model, peer)


@pytest.mark.parametrize("name", networks(TIMM, "resnet18d", "seresnet18", "resnetv2_18"))
def test_timm(name):
    peer, model = peers.from_timm(name, size=160), TIMM[name](**ARGUMENTS)
    weights.from_torch(model, peer.state_dict)
    assert_equal_outputs(f"timm {name}", model, peer)


@pytest.mark.parametrize("name", networks(KERAS, "ResNet50", "ResNet50V2", "DenseNet121"))
def test_keras_applications(name, tmp_path):
    peer, model = peers.KerasPeer(name, size=160), KERAS[name](**ARGUMENTS)
    peer.save(tmp_path / "peer.weights.h5")
    weights.load(model, tmp_path / "peer.weights.h5")
    assert_equal_outputs(f"keras.applications {name}", model, peer)
