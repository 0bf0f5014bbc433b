"""Looking inside networks of every kind of block."""

import keras
import numpy as np
import pytest
from support import ramp, set_sequential_weights

import keras_residual
from keras_residual import analysis

OPTIONS = {"depths": (2, 1), "widths": (8, 8), "stem": "conv3", "stem_width": 8}
KINDS = {
    "multi_scale": {"spatial": "multi_scale", "branches": 2},
    "split": {"spatial": "split", "se_ratio": 0.25},
    "selective": {"spatial": "selective", "se_ratio": 0.25},
    "selective_split": {"block": "basic", "spatial": "selective_split", "se_ratio": 0.25},
    "reversible": {"reversible": True, "activation_order": "pre", "block": "basic"},
    "shake_shake": {"shake_shake": True, "block": "basic"},
    "outer": {
        "activation_order": "outer",
        "shortcut": "half",
        "kernel_sizes": (3,),
        "block": "basic",
    },
}
X = ramp(2, 8, 8, 3)


@pytest.fixture(params=list(KINDS))
def model(request):
    options = {"block": "bottleneck", **OPTIONS, **KINDS[request.param]}
    model = keras_residual.ResNet(input_shape=(8, 8, 3), classes=3, **options)
    set_sequential_weights(model)
    return model


def test_strength_of_each_block_and_of_none_where_one_is_deleted(model):
    blocks = analysis.blocks_of(model)
    rows = analysis.residual_strength(model, X)
    assert [row.name for row in rows] == [block.name for block in blocks]
    for row in rows:
        assert row.ratio > 1e-3 and np.isfinite([row.ratio, *row.responses]).all()
        assert row.responses and min(row.responses) > 0
    blocks[1].set_weights(blocks[1].deleted_weights())
    assert analysis.residual_strength(model, X)[1].ratio < 1e-6


def test_responses_of_several_convolutions_are_those_of_their_output():
    options = {"block": "bottleneck", **OPTIONS, **KINDS["selective"]}
    model = keras_residual.ResNet(input_shape=(8, 8, 3), classes=3, **options)
    set_sequential_weights(model)
    stage = model.get_layer("stage1")
    x = keras.Model(model.input, stage.input)(X)
    block = stage.first
    expected = keras.ops.std(block.conv2(block.conv1(x)))
    found = analysis.residual_strength(model, X)[0].responses
    np.testing.assert_allclose(found[1], float(expected), rtol=1e-5)
