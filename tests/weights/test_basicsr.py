"""BasicSR's EDSR, rebuilt from torch's modules: equal outputs from its files."""

import dataclasses

import numpy as np
import peers
import pytest

import keras_residual as kr
from keras_residual import weights
from keras_residual.weights import cache

MEAN = (0.4488, 0.4371, 0.4040)


def twin(scale, features=8, blocks=3, residual_scale=1.0, seed=0):
    """BasicSR's network: pixels of 0…1 times 255 behind the mean, divided at the end."""
    torch = peers.torch()
    nn = torch.nn
    torch.manual_seed(seed)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(features, features, 3, 1, 1)
            self.conv2 = nn.Conv2d(features, features, 3, 1, 1)

        def forward(self, x):
            return x + residual_scale * self.conv2(torch.relu(self.conv1(x)))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv_first = nn.Conv2d(3, features, 3, 1, 1)
            self.body = nn.Sequential(*(Block() for _ in range(blocks)))
            self.conv_after_body = nn.Conv2d(features, features, 3, 1, 1)
            steps = []
            for factor in (2, 2) if scale == 4 else (scale,):
                steps.append(nn.Conv2d(features, factor**2 * features, 3, 1, 1))
                steps.append(nn.PixelShuffle(factor))
            self.upsample = nn.Sequential(*steps)
            self.conv_last = nn.Conv2d(features, 3, 3, 1, 1)

        def forward(self, x):
            mean = torch.tensor(MEAN).view(1, 3, 1, 1)
            x = self.conv_first((x - mean) * 255.0)
            x = self.conv_last(self.upsample(x + self.conv_after_body(self.body(x))))
            return x / 255.0 + mean

    network = Network().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            # Biases that matter beside values of 255.
            parameter.mul_(30.0 if parameter.ndim == 1 else 1.0)
    return network


def outputs(network, images):
    torch = peers.torch()
    with torch.no_grad():
        result = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    return result.numpy().transpose(0, 2, 3, 1)


IMAGES = np.random.default_rng(3).random((2, 9, 11, 3)).astype("float32")


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("container", ["params", "params_ema", None])
def test_equal_outputs(tmp_path, scale, container):
    network = twin(scale)
    content = network.state_dict() if container is None else {container: network.state_dict()}
    peers.torch().save(content, tmp_path / "edsr.pth")
    model = kr.EDSR(scale=scale, filters=8, depth=3, weights=tmp_path / "edsr.pth")
    expected = outputs(network, IMAGES)
    assert np.abs(expected - outputs(twin(scale, seed=1), IMAGES)).max() > 0.05
    np.testing.assert_allclose(model.predict_on_batch(IMAGES), expected, atol=1e-5)


def test_scaled_residuals_and_scanned_blocks(tmp_path):
    network = twin(2, blocks=4, residual_scale=0.1)
    peers.torch().save(network.state_dict(), tmp_path / "edsr.pth")
    options = {"scale": 2, "filters": 8, "depth": 4, "residual_scale": 0.1}
    model = kr.EDSR(weights=tmp_path / "edsr.pth", execution="scanned", **options)
    np.testing.assert_allclose(model.predict_on_batch(IMAGES), outputs(network, IMAGES), atol=1e-5)


def test_networks_that_compute_otherwise_are_refused():
    state = twin(2).state_dict()
    model = kr.EDSR(scale=2, filters=8, depth=3, activation="gelu")
    with pytest.raises(weights.WeightsError, match="need a network with activation='relu'"):
        weights.load(model, state)
    with pytest.raises(weights.MismatchError, match=r"upsample\.0\.weight: file"):
        weights.load(kr.EDSR(scale=3, filters=8, depth=3), state)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_div2k_names_the_weights_of_each_scale(scale, tmp_path, monkeypatch):
    peers.torch().save({"params": twin(scale, 64, 16).state_dict()}, tmp_path / "x.pth")
    asked = []

    def fetch(source, *arguments):
        asked.append(source)
        return tmp_path / "x.pth"

    monkeypatch.setattr(cache, "fetch", fetch)
    model = kr.EDSR(scale=scale, weights="div2k")
    assert [source.name for source in asked] == [f"EDSR.div2k_x{scale}"]
    description = weights.description_of(model)
    assert (description.task, description.white) == ("super_resolution", 1.0)
    assert description.licence == "MIT"


def test_the_scale_of_published_weights_is_checked_before_a_download(monkeypatch):
    monkeypatch.setattr(cache, "fetch", lambda *_: pytest.fail("it was downloaded"))
    with pytest.raises(ValueError, match=r"need a network with scale=4; the model has scale=2"):
        weights.load(kr.EDSR(scale=2), "EDSR.div2k_x4")


def test_pixels_are_scaled_to_one():
    images = np.full((1, 5, 6, 3), 255, "uint8")
    source = weights.find("EDSR", "div2k")
    assert dataclasses.asdict(source.preprocessing)["resize"] is None
    np.testing.assert_array_equal(kr.preprocess(images, "EDSR.div2k_x2"), np.ones((1, 5, 6, 3)))
