"""Same weights, same outputs: against torchvision, timm and keras.applications, at reduced depth.

keras.applications builds no reduced networks; its smallest member of each family stands here.
"""

import keras
import peers
import pytest

import keras_residual as kr
from keras_residual import weights

ODD, PUBLISHED = (65, 49), (224, 224)
ALSO_PUBLISHED = ("bottleneck", "densenet", "d_basic", "v2_basic")
ONE_EACH = (1, 1, 1, 1)


DEEP = {"stem_type": "deep", "stem_width": 32, "avg_down": True}
BASIC_V2 = {"channels": (64, 128, 256, 512), "basic": True, "bottle_ratio": 1.0}

TORCH = {
    "basic": (
        lambda: peers.torchvision_resnet("basic", (2, 1, 1, 1), num_classes=10),
        lambda **kw: kr.ResNet("basic", (2, 1, 1, 1), **kw),
    ),
    "bottleneck": (
        lambda: peers.torchvision_resnet("bottleneck", (1, 2, 1, 1), num_classes=10),
        lambda **kw: kr.ResNet("bottleneck", (1, 2, 1, 1), **kw),
    ),
    "resnext": (
        lambda: peers.torchvision_resnet(
            "bottleneck", ONE_EACH, num_classes=10, groups=32, width_per_group=4
        ),
        lambda **kw: kr.ResNet("bottleneck", ONE_EACH, cardinality=32, base_width=4, **kw),
    ),
    "wide": (
        lambda: peers.torchvision_resnet(
            "bottleneck", ONE_EACH, num_classes=10, width_per_group=128
        ),
        lambda **kw: kr.ResNet("bottleneck", ONE_EACH, base_width=128, **kw),
    ),
    "densenet": (
        lambda: peers.torchvision_densenet((2, 3, 1, 2), num_classes=10),
        lambda **kw: kr.DenseNet((2, 3, 1, 2), **kw),
    ),
    "d_basic": (
        lambda: peers.timm_resnet("basic", ONE_EACH, num_classes=10, **DEEP),
        lambda **kw: kr.ResNet("basic", ONE_EACH, stem="deep", shortcut="pooled", **kw),
    ),
    "d_bottleneck": (
        lambda: peers.timm_resnet("bottleneck", ONE_EACH, num_classes=10, **DEEP),
        lambda **kw: kr.ResNet("bottleneck", ONE_EACH, stem="deep", shortcut="pooled", **kw),
    ),
    "squeeze_excite": (
        lambda: peers.timm_resnet(
            "bottleneck", ONE_EACH, num_classes=10, block_args={"attn_layer": "se"}
        ),
        lambda **kw: kr.ResNet("bottleneck", ONE_EACH, se_ratio=1 / 16, **kw),
    ),
    "v2_basic": (
        lambda: peers.timm_resnet_v2((2, 1, 1, 1), num_classes=10, **BASIC_V2),
        lambda **kw: kr.ResNet(
            "basic", (2, 1, 1, 1), activation_order="pre", share_preactivation=False, **kw
        ),
    ),
    "v2_bottleneck": (
        lambda: peers.timm_resnet_v2((1, 2, 1, 1), num_classes=10),
        lambda **kw: kr.ResNet("bottleneck", (1, 2, 1, 1), activation_order="pre", **kw),
    ),
    "v2_d": (
        lambda: peers.timm_resnet_v2(ONE_EACH, num_classes=10, stem_type="deep", avg_down=True),
        lambda **kw: kr.ResNet(
            "bottleneck", ONE_EACH, activation_order="pre", stem="deep", shortcut="pooled", **kw
        ),
    ),
}
KERAS = {
    "ResNet50": kr.ResNet50V1,
    "ResNet50V2": lambda **kw: kr.ResNet50V2(
        strided_block="last", pool_padding="zero", conv_bias=True, **kw
    ),
    "DenseNet121": kr.DenseNet121,
}
ARGUMENTS = {"input_shape": (None, None, 3), "classes": 10, "classifier_activation": None}


def assert_equal_outputs(model, peer, sizes, **arguments):
    for size in sizes:
        largest, difference, relative = peers.differences(model, peer, size, **arguments)
        print(
            f"{model.name} {size}: logits to {largest:.1f}, difference {difference:.1e}", relative
        )
        assert 2 < largest < 50, "logits of this size prove nothing"
        assert difference <= 1e-4
        assert max(relative.values()) <= 1e-4


@pytest.mark.parametrize("family", TORCH)
def test_reduced_network_equals_its_torch_peer(family):
    peer, ours = TORCH[family][0](), TORCH[family][1](**ARGUMENTS)
    weights.from_torch(ours, peer.state_dict)
    sizes = (ODD, PUBLISHED) if family in ALSO_PUBLISHED else (ODD,)
    assert_equal_outputs(ours, peer, sizes)


@pytest.mark.parametrize("name", KERAS)
def test_network_equals_keras_applications(name, tmp_path):
    peer = peers.KerasPeer(name, classes=10)
    peer.save(tmp_path / "peer.weights.h5")
    ours = KERAS[name](**ARGUMENTS)
    weights.load(ours, tmp_path / "peer.weights.h5")
    assert_equal_outputs(ours, peer, (ODD,))


def test_scanned_stages_equal_the_torch_peer():
    peer = peers.torchvision_resnet("basic", (4, 1, 1, 1), num_classes=10)
    ours = kr.ResNet("basic", (4, 1, 1, 1), execution="scanned", **ARGUMENTS)
    weights.from_torch(ours, peer.state_dict)
    assert_equal_outputs(ours, peer, (ODD,))


@pytest.mark.parametrize("channels", [1, 4])
def test_other_input_channels_equal_timm(channels):
    colour = peers.timm_resnet("basic", ONE_EACH, num_classes=10, **DEEP).state_dict
    peer = peers.timm_resnet("basic", ONE_EACH, num_classes=10, in_chans=channels, **DEEP)
    adapt = peers.timm().models.adapt_input_conv
    adapted = adapt(channels, colour["conv1.0.weight"])
    peer.network.load_state_dict({**colour, "conv1.0.weight": adapted})

    arguments = {**ARGUMENTS, "input_shape": (None, None, channels)}
    ours = kr.ResNet("basic", ONE_EACH, stem="deep", shortcut="pooled", **arguments)
    weights.from_torch(ours, colour)

    assert_equal_outputs(ours, peer, (ODD,), channels=channels)


def test_other_classes_keep_everything_but_the_classifier():
    peer = peers.torchvision_resnet("basic", ONE_EACH, num_classes=10)
    ours = kr.ResNet("basic", ONE_EACH, **{**ARGUMENTS, "classes": 7})
    before = ours.get_layer("classifier").get_weights()
    weights.from_torch(ours, peer.state_dict, skip_mismatched_top=True)

    for old, new in zip(before, ours.get_layer("classifier").get_weights(), strict=True):
        assert (old == new).all()
    images = peers.images(ODD)
    theirs, mine = peer(images), peers.outputs_of(ours, images)
    assert mine["logits"].shape == (2, 7)
    for name in ("C2", "C3", "C4", "C5"):
        assert abs(mine[name] - theirs[name]).max() <= 1e-4 * abs(theirs[name]).max()


@pytest.mark.parametrize("arguments", [{"include_top": False}, {"features": True}])
def test_models_without_a_classifier_give_the_features_of_the_peer(arguments):
    peer = peers.torchvision_resnet("basic", ONE_EACH, num_classes=10)
    ours = kr.ResNet("basic", ONE_EACH, input_shape=(*ODD, 3), **arguments)
    weights.from_torch(ours, peer.state_dict)

    images = peers.images(ODD)
    theirs, mine = peer(images), ours(images)
    mine = mine if isinstance(mine, dict) else {"C5": mine}
    mine = {name: keras.ops.convert_to_numpy(value) for name, value in mine.items()}
    for name, value in mine.items():
        assert abs(value - theirs[name]).max() <= 1e-4 * abs(theirs[name]).max()
