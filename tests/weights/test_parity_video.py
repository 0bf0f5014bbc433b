"""Same weights, same outputs: networks for clips against torchvision's, at reduced depth."""

import numpy as np
import peers
import pytest
from support import to_numpy

import keras_residual as kr
from keras_residual import weights

ARGUMENTS = {"classes": 10, "classifier_activation": None}
FULL, FLAT, FACTORIZED = "Conv3DSimple", "Conv3DNoTemporal", "Conv2Plus1D"
NETWORKS = {
    "R3D18": ((FULL,) * 4, "BasicStem"),
    "MC3_18": ((FULL, FLAT, FLAT, FLAT), "BasicStem"),
    "R2Plus1D18": ((FACTORIZED,) * 4, "R2Plus1dStem"),
}


def clips(*sizes):
    return np.random.default_rng(7).standard_normal((2, *sizes, 3)).astype("float32")


@pytest.mark.parametrize("name", NETWORKS)
def test_network_equals_torchvision(name):
    depths = (1, 2, 1, 1) if name == "R2Plus1D18" else (1, 1, 1, 1)
    peer = peers.torchvision_video(*NETWORKS[name], depths, num_classes=10)
    ours = kr.get_model(name, depths=depths, input_shape=(None, None, None, 3), **ARGUMENTS)
    weights.from_torch(ours, peer.state_dict)
    inputs = clips(8, 33, 25)
    mine, theirs = peers.outputs_of(ours, inputs), peer(inputs)
    assert mine.keys() == theirs.keys()
    assert 2 < np.abs(theirs["logits"]).max() < 50, "logits of this size prove nothing"
    np.testing.assert_allclose(mine["logits"], theirs["logits"], atol=1e-4)
    for stage, expected in theirs.items():
        assert np.abs(mine[stage] - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_go_back_to_torchvision(name, torchvision):
    """Names and shapes of the published depth, through the state dict of this package."""
    ours = kr.get_model(name, depths=(1, 1, 1, 1), classes=10)
    state = weights.to_torch(ours)
    peer = peers.torchvision_video(*NETWORKS[name], (1, 1, 1, 1), num_classes=10)
    expected = {key: tuple(value.shape) for key, value in peer.state_dict.items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    counters = {key for key in expected if key.endswith("num_batches_tracked")}
    assert {key: expected[key] for key in expected.keys() - counters} == {
        key: found[key] for key in found.keys() - counters
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_published_size_equals_torchvision(name, torchvision):
    from models.counting import VIDEO

    torch = peers.torch()
    torch.manual_seed(0)
    peer = getattr(torchvision.models.video, VIDEO[name])(weights=None).eval()
    with torch.no_grad():
        peer.fc.weight.mul_(30)
    ours = kr.get_model(name, classifier_activation=None)
    weights.from_torch(ours, peer.state_dict())
    inputs = clips(16, 112, 112)[:1]
    with torch.no_grad():
        expected = peer(torch.from_numpy(np.ascontiguousarray(np.moveaxis(inputs, -1, 1))))
    np.testing.assert_allclose(to_numpy(ours(inputs, training=False)), expected, atol=1e-4)
