"""Shortcuts of several levels (RoR): the equations of the paper, in every execution."""

import keras
import numpy as np
import pytest
from keras import ops
from support import ramp, run, set_sequential_weights, to_numpy

from keras_residual import ResNet, analysis, flat_view

TINY = {"block": "basic", "depths": (2, 3), "widths": (4, 6), "stem": "conv3", "stem_width": 4}
TINY |= {"input_shape": (8, 8, 3), "classes": 2, "include_top": False}


def make(**options):
    model = ResNet(**{**TINY, **options})
    set_sequential_weights(model)
    return model


def walked(model, levels, activation):
    """Computes a network of two stages from its layers, as the paper writes it."""
    layer = model.get_layer
    first = layer("stem")(ramp(2, 8, 8, 3))
    middle = layer("stage1")(first)
    if levels == 3:
        middle = activation(middle + layer("stage1_shortcut")(first))
    last = layer("stage2")(middle)
    if levels == 3:
        last = last + layer("stage2_shortcut")(middle)
    return activation(last + layer("root_shortcut")(first))


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
@pytest.mark.parametrize("levels", [2, 3])
def test_sums_end_behind_the_stages_in_front_of_their_activation(levels, execution):
    model = make(shortcut_levels=levels, execution=execution)
    expected = to_numpy(walked(model, levels, ops.relu))
    np.testing.assert_allclose(run(model, ramp(2, 8, 8, 3)), expected, rtol=1e-5)
    last = model.get_layer("stage2").last
    assert last.activation_order == "inner"


def test_sums_of_a_preactivated_network_are_not_activated():
    model = make(shortcut_levels=3, activation_order="pre")
    expected = model.get_layer("final_norm")(walked(model, 3, lambda x: x))
    np.testing.assert_allclose(run(model, ramp(2, 8, 8, 3)), to_numpy(expected), rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "prelu"},
        {"features": True},
        {"strided_block": "last"},
        {"output_stride": 1},
        {"activation_order": "pre", "reversible": True, "rematerialize": True},
        {"dtype": "mixed_bfloat16"},
        {"data_format": "channels_first", "input_shape": (3, 8, 8)},
    ],
    ids=str,
)
def test_other_options_go_with_it(options, tmp_path):
    model = make(shortcut_levels=3, **options)
    x = ramp(2, *model.input_shape[1:])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for ours, other in zip(*map(keras.tree.flatten, (model(x), loaded(x))), strict=True):
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(other))
    assert analysis.cost(model).parameters == model.count_params()


def test_a_flat_network_has_the_additions_as_layers():
    model = make(shortcut_levels=3)
    flat = flat_view(model)
    np.testing.assert_allclose(run(flat, ramp(2, 8, 8, 3)), run(model, ramp(2, 8, 8, 3)), rtol=1e-5)
    names = [layer.name for layer in flat.layers]
    assert {"stage1_skip", "stage2_skip", "root_skip", "stage2_output"} <= set(names), names


def test_one_stage_has_no_two_levels_around_it():
    with pytest.raises(ValueError, match="`shortcut_levels=3` needs several stages"):
        make(shortcut_levels=3, depths=(2,), widths=(4,))
