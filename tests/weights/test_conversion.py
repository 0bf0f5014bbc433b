"""Names, transposes and absorbed constants, and the way back to torch."""

import re

import numpy as np
import peers
import pytest
from model_weights import all_weights, assert_same_weights, outputs, randomize
from weights.torch_networks import NETWORKS, SMALL

import keras_residual as kr
from keras_residual import weights
from keras_residual.weights import WeightsError, _layouts, _slots, matching
from keras_residual.weights.arrays import Entries


@pytest.mark.parametrize("name", NETWORKS)
def test_to_torch_and_back_is_the_same_bit_for_bit(name):
    model = randomize(NETWORKS[name]())
    state = weights.to_torch(model)
    other = randomize(NETWORKS[name](), seed=1)
    weights.from_torch(other, state)
    assert_same_weights(model, other)


def test_every_weight_leaves_exactly_once():
    model = randomize(NETWORKS["densenet"]())
    state = weights.to_torch(model)
    numbers = sum(value.size for name, value in state.items() if "num_batches" not in name)
    assert numbers == model.count_params()
    for value in state.values():
        assert value.flags.c_contiguous and value.flags.owndata


def test_exported_arrays_are_copies():
    model = randomize(NETWORKS["basic"]())
    before = all_weights(model)
    for value in weights.to_torch(model).values():
        value[...] = 0
    assert_same_weights(model, before)


def test_stages_exchange_weights_between_executions():
    scanned = randomize(NETWORKS["scanned"]())
    unrolled = kr.ResNet("basic", (4, 2), (8, 16), stem="conv3", execution="unrolled", **SMALL)
    weights.from_torch(unrolled, weights.to_torch(scanned))
    images = peers.images((32, 32))
    np.testing.assert_allclose(
        outputs(unrolled, images), outputs(scanned, images), rtol=1e-5, atol=1e-6
    )


def strictly_loaded(network, model):
    """Loads our weights into a torch network and returns its logits beside ours."""
    torch = peers.torch()
    state = {name: torch.from_numpy(value) for name, value in weights.to_torch(model).items()}
    network.load_state_dict(state, strict=True)
    images = peers.images((64, 64))
    with torch.no_grad():
        theirs = network.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2)).contiguous())
    return theirs.numpy(), outputs(model, images, training=False)


ONE_EACH = (1, 1, 1, 1)
LOGITS = {"input_shape": (64, 64, 3), "classes": 10, "classifier_activation": None}
EXPORTS = {
    "torchvision": (
        lambda: peers.torchvision_resnet("basic", ONE_EACH, num_classes=10),
        lambda: kr.ResNet("basic", ONE_EACH, **LOGITS),
    ),
    "torchvision_densenet": (
        lambda: peers.torchvision_densenet((2, 1, 1, 1), num_classes=10),
        lambda: kr.DenseNet((2, 1, 1, 1), **LOGITS),
    ),
    "timm": (
        lambda: peers.timm_resnet(
            "basic", ONE_EACH, num_classes=10, block_args={"attn_layer": "se"}
        ),
        lambda: kr.ResNet("basic", ONE_EACH, se_ratio=1 / 16, se_divisor=8, **LOGITS),
    ),
    "timm_v2": (
        lambda: peers.timm_resnet_v2(ONE_EACH, num_classes=10),
        lambda: kr.ResNet("bottleneck", ONE_EACH, activation_order="pre", **LOGITS),
    ),
}


@pytest.mark.parametrize("library", EXPORTS)
def test_libraries_load_what_we_export(library):
    peer, ours = EXPORTS[library][0](), EXPORTS[library][1]()
    theirs, mine = strictly_loaded(peer.network, ours)
    np.testing.assert_allclose(mine, theirs, atol=1e-4 * np.abs(theirs).max())


def test_timm_refuses_networks_that_it_would_compute_otherwise():
    state = weights.to_torch(NETWORKS["v2_shared"]())
    assert not [name for name in state if name.startswith("stages.")]


def test_timm_weights_are_refused_by_networks_that_compute_otherwise():
    arguments = {"stem_width": 8, "activation_order": "pre", **SMALL}
    model = kr.ResNet("basic", (2, 1), (8, 16), share_preactivation=False, **arguments)
    state = weights.to_torch(model)
    model = NETWORKS["v2_shared"]()
    with pytest.raises(WeightsError, match=r"share_preactivation=False; the model has .*=True"):
        weights.from_torch(model, state)


def test_a_bias_before_a_normalization_is_absorbed():
    model = randomize(NETWORKS["basic"]())
    state = weights.to_torch(model)
    images = peers.images((32, 32))
    expected = outputs(model, images)

    bias = np.random.default_rng(3).standard_normal(8).astype("float32")
    state["layer1.0.conv1.bias"] = bias
    state["layer1.0.bn1.running_mean"] = state["layer1.0.bn1.running_mean"] + bias
    weights.from_torch(model, state)

    np.testing.assert_allclose(outputs(model, images), expected, rtol=1e-4, atol=1e-5)


def test_another_epsilon_is_absorbed():
    """keras.applications' epsilon is known, so its weights give the same under any other."""
    model = randomize(kr.DenseNet((2, 1), 4, norm_epsilon=1.001e-5, **SMALL))
    for variable in model.weights:
        if variable.path.endswith("moving_variance"):
            variable.assign(variable * 1e-5)
    arrays = {
        _layouts.KERAS_DENSENET.key(slot): value.copy()
        for slot, value in _slots.read(_slots.slots_of(model))
    }
    other = kr.DenseNet((2, 1), 4, norm_epsilon=1e-3, **SMALL)
    _slots.assign(matching.match(other, Entries.of(arrays), "a file").values)
    images = peers.images((32, 32))
    np.testing.assert_allclose(outputs(other, images), outputs(model, images), rtol=1e-3, atol=1e-6)


def test_first_names_of_torchvisions_densenet_are_known():
    model = randomize(NETWORKS["densenet"]())
    state = {
        name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value
        for name, value in weights.to_torch(model).items()
        if "num_batches" not in name
    }
    other = NETWORKS["densenet"]()
    weights.from_torch(other, state)
    assert_same_weights(model, other)


@pytest.mark.parametrize(
    ("network", "spelling"),
    [
        ("option_a", {"fc.": "linear."}),
        ("basic", {".downsample.": ".shortcut.", "fc.": "linear."}),
        ("squeeze_excite", {".se.": ".se_module."}),
        ("densenet", {"features.norm5": "features.norm_final"}),
    ],
)
def test_other_spellings_are_known(network, spelling):
    model = randomize(NETWORKS[network]())
    state = weights.to_torch(model)
    for ours, theirs in spelling.items():
        assert any(ours in name for name in state)
        state = {name.replace(ours, theirs): value for name, value in state.items()}
    other = NETWORKS[network]()
    weights.from_torch(other, state)
    assert_same_weights(model, other)


def test_names_of_transformers_are_known():
    """As in `transformers.ResNetForImageClassification`, e.g. microsoft/resnet-50."""
    model = randomize(NETWORKS["bottleneck"]())
    state = weights.to_torch(model)
    spelling = {
        r"^conv1\.": "resnet.embedder.embedder.convolution.",
        r"^bn1\.": "resnet.embedder.embedder.normalization.",
        r"^layer1\.": "resnet.encoder.stages.0.layers.",
        r"^layer2\.": "resnet.encoder.stages.1.layers.",
        r"\.downsample\.0\.": ".shortcut.convolution.",
        r"\.downsample\.1\.": ".shortcut.normalization.",
        r"^fc\.": "classifier.1.",
    }
    for number in (1, 2, 3):
        spelling[rf"(\.\d+)\.conv{number}\."] = rf"\1.layer.{number - 1}.convolution."
        spelling[rf"(\.\d+)\.bn{number}\."] = rf"\1.layer.{number - 1}.normalization."
    for ours, theirs in spelling.items():
        assert any(re.search(ours, name) for name in state), ours
        state = {re.sub(ours, theirs, name): value for name, value in state.items()}
    assert "resnet.encoder.stages.1.layers.0.layer.2.normalization.running_var" in state
    other = NETWORKS["bottleneck"]()
    weights.from_torch(other, state)
    assert_same_weights(model, other)


def test_wrappers_of_training_code_are_taken_off():
    model = randomize(NETWORKS["basic"]())
    state = {f"module.{name}": value for name, value in weights.to_torch(model).items()}
    other = NETWORKS["basic"]()
    weights.from_torch(other, {"state_dict": state, "epoch": 7})
    assert_same_weights(model, other)
