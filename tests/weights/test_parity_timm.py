"""Same weights, same outputs: networks of timm and torchvision's RegNet, found by their names.

One network of each kind with few blocks by default; `-m slow` has each kind at its published size.
"""

import keras
import peers
import pytest

import keras_residual as kr
from keras_residual import weights

# Few and narrow blocks: timm's arguments and ours. timm's v2 networks count output channels.
_THEIRS = {"layers": (1, 2, 1, 1), "channels": (32, 32, 64, 64)}
_THEIRS_V2 = {"layers": (1, 2, 1, 1), "channels": (128, 128, 256, 256)}
_OURS = {"depths": (1, 2, 1, 1), "widths": (32, 32, 64, 64)}


KINDS = {
    "resnet10t": (_THEIRS, _OURS),
    "resnet50s": (_THEIRS, _OURS),
    "resnet50_gn": (_THEIRS, _OURS),
    "resnetrs50": (_THEIRS, _OURS),
    "resnetblur50": (_THEIRS, _OURS),
    "resnetaa50": (_THEIRS, _OURS),
    "resnetaa50d": (_THEIRS, _OURS),
    "senet154": (_THEIRS, _OURS),
    "seresnextaa101d_32x8d": (_THEIRS, _OURS),
    "ecaresnet50t": (_THEIRS, _OURS),
    "ecaresnetlight": (_THEIRS, _OURS),
    "skresnet18": (_THEIRS, _OURS),
    "skresnext50_32x4d": (_THEIRS, _OURS),
    "resnest50d": (_THEIRS, _OURS),
    "resnest50d_4s2x40d": (_THEIRS, _OURS),
    "resnest50d_1s4x24d": (_THEIRS, _OURS),
    "res2net50_26w_4s": (_THEIRS, _OURS),
    "res2net50d": (_THEIRS, _OURS),
    "res2next50": (_THEIRS, _OURS),
    "resnetv2_18d": (_THEIRS, _OURS),
    "resnetv2_50t": (_THEIRS_V2, _OURS),
    "resnetv2_50d_gn": (_THEIRS_V2, _OURS),
    "resnetv2_50d_evos": (_THEIRS_V2, _OURS),
    "resnetv2_50x1_bit": (_THEIRS_V2, _OURS),
    "densenetblur121d": ({"block_config": (2, 3, 1, 2)}, {"depths": (2, 3, 1, 2)}),
    "dpn68": ({"k_sec": (1, 2, 1, 1)}, {"depths": (1, 2, 1, 1)}),
    "dpn68b": ({"k_sec": (1, 2, 1, 1)}, {"depths": (1, 2, 1, 1)}),
    "dpn92": ({"k_sec": (1, 2, 1, 1)}, {"depths": (1, 2, 1, 1)}),
    "regnetx_002": ({}, {}),
    "regnety_002": ({}, {}),
    "regnety_008_tv": ({}, {}),
    "regnetv_040": ({}, {}),
    "regnetv_064": ({}, {}),
    "regnetz_005": ({}, {}),
    "regnetz_040": ({}, {}),
}
# At their published size only, or slow at any.
LARGE = ("regnetv_040", "regnetz_040", "regnety_008_tv")
SLOW = (
    "dpn68",
    "dpn92",
    "regnetv_064",
    "regnetz_005",
    "resnetaa50",
    "resnest50d_4s2x40d",
    "resnetv2_50t",
)
# These amplify rounding a thousandfold with random weights: both compute in double precision.
DOUBLE = (
    *("regnetv_040", "regnetv_064", "regnetz_005", "regnetz_040"),
    *("resnest50d", "resnest50d_4s2x40d", "resnest50d_1s4x24d"),
)
BIT = {"layers": (3, 4, 6, 3)}
ARGUMENTS = {"input_shape": (None, None, 3), "classifier_activation": None}


def loaded(name, peer, **options):
    """Returns our network of that name with the weights of its peer."""
    dtype = "float64" if name in DOUBLE else "float32"
    model = kr.get_model(name, dtype=dtype, **ARGUMENTS, **options)
    weights.load(model, peer.state_dict)
    if name in DOUBLE:
        peer.network.double()
    return model


def assert_equal_outputs(name, model, peer, size):
    dtype = "float64" if name in DOUBLE else "float32"
    largest, difference, relative = peers.differences(model, peer, size, dtype=dtype)
    print(f"{name} {size}: logits to {largest:.1f}, difference {difference:.1e}", relative)
    assert 2 < largest < 50, "logits of this size prove nothing"
    assert difference <= 1e-4
    assert max(relative.values()) <= 1e-4


def reduced():
    """Yields the networks that are compared with few blocks."""
    for name in KINDS:
        if name not in LARGE:
            yield pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("name", list(reduced()))
def test_reduced_network_equals_timm(name):
    theirs, ours = KINDS[name]
    peer = peers.from_timm(name, num_classes=10, **theirs)
    model = loaded(name, peer, classes=10, **ours)
    assert_equal_outputs(name, model, peer, (64, 96))
    ours = weights.to_torch(model)
    assert set(ours) == set(peer.state_dict)
    for key, array in peer.state_dict.items():
        assert key.endswith("num_batches_tracked") or (ours[key] == array.numpy()).all(), key


@pytest.mark.parametrize("name", ["regnet_x_400mf", "regnet_y_400mf"])
def test_regnet_equals_torchvision(name):
    stages = [f"trunk_output.block{number}" for number in (1, 2, 3, 4)]
    peer = peers.TorchPeer(getattr(peers.torchvision().models, name)(num_classes=10), stages)
    model = loaded(name, peer, classes=10)
    assert_equal_outputs(name, model, peer, (65, 49))


def test_wider_big_transfer_equals_timm():
    theirs = {**_THEIRS_V2, "width_factor": 3}
    peer = peers.from_timm("resnetv2_50x3_bit", num_classes=10, **theirs)
    ours = {"depths": (1, 2, 1, 1), "widths": (96, 96, 192, 192)}
    model = loaded("resnetv2_50x3_bit", peer, classes=10, **ours)
    assert_equal_outputs("resnetv2_50x3_bit", model, peer, (64, 96))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_published_size_equals_timm(name):
    peer = peers.from_timm(name, size=160, **(BIT if name.endswith("50x1_bit") else {}))
    model = loaded(name, peer)
    assert_equal_outputs(name, model, peer, (224, 224))
    keras.utils.clear_session()
