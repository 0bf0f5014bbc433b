"""The examples of super-resolution and of looking inside, tiny."""

import numpy as np
import pytest
from examples.test_examples import load

from keras_residual import data

pytest.importorskip("matplotlib")


def is_picture(path):
    return path.stat().st_size > 10_000


def test_super_resolution(tmp_path):
    pytest.importorskip("skimage")
    example = load("super_resolution")
    y, x = np.mgrid[:80, :90] / 3
    picture = np.round(127 + 100 * np.stack([np.sin(x), np.cos(y), np.sin(x + y)], -1))
    picture = picture.astype(np.uint8)
    network = example.train([picture], filters=4, depth=1, epochs=1, steps=2, output=tmp_path)
    true, bicubic, found = example.enlarged(network, picture)
    assert true.shape == bicubic.shape == found.shape == picture.shape
    example.draw({"waves": (true, bicubic, found)}, tmp_path / "comparison.png", side=60)
    assert is_picture(tmp_path / "comparison.png")


@pytest.mark.slow
def test_gradient_flow(tmp_path):
    example = load("gradient_flow")
    flows = example.measure(depths=(14,), count=8)
    kinds = flows["no normalization", 14]
    assert kinds["plain"][0].norm < 0.1 * kinds["residual"][0].norm
    example.draw(flows, tmp_path / "flow.png", depths=(14,))
    assert is_picture(tmp_path / "flow.png")


@pytest.mark.slow
def test_ensembles(tmp_path):
    models = load("ensembles").train(depth=1, epochs=1, output=tmp_path)
    assert list(models) == ["residual", "plain", "dense"]


@pytest.mark.slow
def test_degradation(tmp_path):
    example = load("degradation")
    histories = {
        (kind, 8): example.train(8, shortcut, data.load("digits"), 1, tmp_path / kind)
        for kind, shortcut in example.KINDS.items()
    }
    example.draw(histories, tmp_path / "degradation.png")
    assert is_picture(tmp_path / "degradation.png")
