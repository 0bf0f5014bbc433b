"""Looking inside: numbers against plain gradients and plain arithmetic, in both executions."""

import keras
import numpy as np
import pytest
from support import gradients, ramp, run, set_sequential_weights

import keras_residual
from keras_residual import analysis
from keras_residual.analysis.blocks import BlockRunner, unrolled

RESNET = {"stem": "conv3", "stem_width": 4, "widths": (4, 6), "depths": (3, 2)}
DUAL = {"stem": "conv3", "stem_width": 4, "growth_rates": (2, 3), "depths": (2, 2)}
DUAL |= {"widths": (4, 4), "base_width": 4, "cardinality": 2}
DENSE = {"stem": "conv3", "stem_width": 8, "growth_rate": 4, "depths": (3, 2)}
SHAPE = (8, 8, 3)
X = ramp(12, *SHAPE)
Y = np.arange(12) % 3
FLAT = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


def network(family="ResNet", **options):
    defaults = {"ResNet": {**RESNET, "block": "basic"}, "DenseNet": DENSE, "DPN": DUAL}[family]
    options = {"input_shape": SHAPE, "classes": 3, **defaults, **options}
    model = getattr(keras_residual, family)(**options)
    set_sequential_weights(model)
    return model


@pytest.fixture(scope="module")
def small():
    return network()


def test_gradient_flow_is_the_gradient():
    model = network(classifier_activation=None, normalization="none")
    flow = analysis.gradient_flow(model, X, ramp(12, 3), loss="mse")
    # The gradient of the mean squared error by hand: through the outputs' own.
    outputs, epsilon = run(model, X), 1e-2
    kernel = model.get_layer("stem").trainable_weights[0]
    assert [row.depth for row in flow] == list(range(len(flow))) and len(flow) == 12
    assert flow[0].name == "stem/conv1" and flow[1].name == "stage1/first/conv1"
    direction = ramp(*kernel.shape, offset=0.4)

    def loss(step):
        kernel.assign(start + step * direction)
        return np.mean((run(model, X) - ramp(12, 3)) ** 2)

    start = keras.ops.convert_to_numpy(kernel).copy()
    slope = (loss(epsilon) - loss(-epsilon)) / (2 * epsilon)
    kernel.assign(start)
    assert abs(slope) <= flow[0].norm * np.linalg.norm(direction) * 1.05
    np.testing.assert_array_equal(run(model, X), outputs)


def test_gradient_flow_agrees_with_the_test_suites_gradients():
    """Σ outputs·ramp as a loss gives what `support.gradients` differentiates."""
    model = network(classifier_activation=None)
    _, found = gradients(model, X)

    def loss(y_true, y_pred):
        return keras.ops.sum(y_pred * ramp(*y_pred.shape, offset=0.3))

    flow = analysis.gradient_flow(network(classifier_activation=None), X, ramp(12, 3), loss=loss)
    expected = [
        np.linalg.norm(value)
        for name, value in found.items()
        if name.endswith("kernel") and "shortcut" not in name
    ]
    np.testing.assert_allclose([row.norm for row in flow], expected, rtol=2e-3)


def test_scanned_stages_are_measured_block_by_block():
    options = {"depths": (4, 3)}
    plain, scanned = (network(execution=e, **options) for e in ("unrolled", "scanned"))
    one, other = (analysis.gradient_flow(model, X, Y) for model in (plain, scanned))
    np.testing.assert_allclose(
        [row.norm for row in other], [row.norm for row in one], rtol=1e-3, atol=1e-6
    )
    assert other[3].name == "stage1/block2/conv1" and len({row.name for row in other}) == len(other)


def without(model, block):
    """The outputs when a block's F is left out, computed by calling the blocks."""

    def call(name, layer, x):
        residual, shortcut = layer.branches(x)
        if name == block:
            residual = residual * 0
        return layer.merged(residual, shortcut)

    return np.asarray(BlockRunner(unrolled(model))(X, call))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation_order": "pre"},
        {"normalization": "none", "execution": "scanned", "depths": (4, 2)},
        pytest.param({"block": "bottleneck", "se_ratio": 0.5}, marks=pytest.mark.slow),
    ],
    ids=["post", "pre", "no normalization", "bottleneck"],
)
def test_a_deleted_block_leaves_its_shortcut(options):
    model = network(**options)
    whole = run(model, X)
    for block in analysis.blocks_of(model)[:4]:
        weights = block.get_weights()
        block.set_weights(block.deleted_weights())
        np.testing.assert_allclose(run(model, X), without(model, block.name), atol=1e-5)
        assert not np.allclose(run(model, X), whole)
        block.set_weights(weights)


def test_a_deleted_plain_block_passes_its_input_on():
    model = network(shortcut="none", depths=(3, 2))
    blocks = analysis.blocks_of(model)
    assert [block.deleted_weights() is None for block in blocks] == [False] * 3 + [True, False]
    inside = keras.Model(model.input, model.get_layer("stem").output)
    stage = model.get_layer("stage1")
    for block in blocks[:3]:
        block.set_weights(block.deleted_weights())
    before = run(inside, X)
    np.testing.assert_allclose(run(stage, before), before, atol=1e-5)


def test_a_deleted_dense_unit_adds_zeros():
    model = network("DenseNet")
    block = analysis.blocks_of(model)[1]
    block.set_weights(block.deleted_weights())
    dense = model.get_layer("dense1")
    features = run(dense, ramp(2, 4, 4, 8))
    np.testing.assert_array_equal(features[..., 12:16], 0)
    assert np.abs(features[..., 16:]).max() > 0


def test_a_deleted_block_of_two_residual_functions_leaves_the_shortcut():
    model = network(activation_order="leading", shortcut="shifted", shake_shake=True)
    block = analysis.blocks_of(model)[1]
    block.set_weights(block.deleted_weights())
    stage, inputs = model.get_layer("stage1"), ramp(2, 8, 8, 4)
    second = stage.block_layers()[1]
    np.testing.assert_allclose(run(second, inputs), inputs, atol=1e-6)


def test_a_deleted_reversible_block_passes_its_input_on():
    model = network(activation_order="pre", reversible=True)
    block = analysis.blocks_of(model)[1]
    block.set_weights(block.deleted_weights())
    stage, inputs = model.get_layer("stage1"), ramp(2, 8, 8, 4)
    np.testing.assert_allclose(run(stage.block_layers()[1], inputs), inputs, atol=1e-6)
    strengths = analysis.residual_strength(model, X)
    assert strengths[1].ratio == 0 and len(strengths[1].responses) == 4


@pytest.mark.parametrize("split_last", [False, True])
def test_a_deleted_unit_of_two_paths_adds_nothing_and_appends_zeros(split_last):
    model = network("DPN", split_last=split_last)
    block = analysis.blocks_of(model)[1]
    assert (block.name, block.kind) == ("dual1/unit2", "dual")
    block.set_weights(block.deleted_weights())
    dual = model.get_layer("dual1")
    inputs = ramp(2, 8, 8, 4)
    np.testing.assert_array_equal(run(dual, inputs)[..., :10], run(dual.units[0], inputs))
    np.testing.assert_array_equal(run(dual, inputs)[..., 10:], 0)


def test_lesion_study_counts_what_is_left():
    model = network(depths=(4, 2))
    study = analysis.lesion_study(model, X, Y, counts=(1, 3, 9), draws=2)
    assert study.intact == np.mean(run(model, X).argmax(-1) == Y)
    assert [lesion.blocks for lesion in study.single] == [
        (block.name,) for block in analysis.blocks_of(model)
    ]
    for lesion in study.single:
        assert lesion.accuracy == np.mean(without(model, lesion.blocks[0]).argmax(-1) == Y)
    assert list(study.deleted) == [1, 3] and all(len(d) == 2 for d in study.deleted.values())
    assert all(len(lesion.blocks) == 3 for lesion in study.deleted[3])
    pairs = {frozenset(lesion.blocks) for lesion in study.exchanged[1]}
    assert all(names <= {f"stage1/block{n}" for n in range(1, 5)} for names in pairs)
    again = analysis.lesion_study(model, X, Y, counts=(1, 3, 9), draws=2)
    assert again == study


def test_residual_strength_by_hand():
    model = network(normalization="none")
    rows = analysis.residual_strength(model, X)
    assert [row.name for row in rows] == [block.name for block in analysis.blocks_of(model)]
    inputs = run(keras.Model(model.input, model.get_layer("stem").output), X)
    residual, shortcut = model.get_layer("stage1").first.branches(inputs)
    norms = [np.linalg.norm(np.asarray(t).reshape(12, -1), axis=1) for t in (residual, shortcut)]
    np.testing.assert_allclose(rows[0].ratio, np.mean(norms[0] / norms[1]), rtol=1e-5)
    np.testing.assert_allclose(rows[0].responses[1], np.std(np.asarray(residual)), rtol=1e-4)
    plain = analysis.residual_strength(network(shortcut="none"), X)
    assert all(np.isinf(row.ratio) for row in plain)


def test_residual_strength_of_an_lstm_stack():
    model = keras_residual.ResidualLSTMClassifier((7, 4), units=4, num_layers=3)
    rows = analysis.residual_strength(model, ramp(5, 7, 4))
    assert [row.name for row in rows] == [f"lstm/layer{n}" for n in (1, 2, 3)]
    assert np.isinf(rows[0].ratio) and 0 < rows[1].ratio < np.inf
    stack = model.get_layer("lstm")
    h = np.asarray(keras.layers.RNN(stack.cells[0], return_sequences=True)(ramp(5, 7, 4)))
    np.testing.assert_allclose(rows[0].responses[0], h.std(), rtol=1e-5)


def test_path_shares_are_binomial():
    np.testing.assert_allclose(analysis.path_shares(3), [1 / 8, 3 / 8, 3 / 8, 1 / 8])
    assert analysis.path_shares(54) @ np.arange(55) == pytest.approx(27)


def test_the_shortest_path_carries_the_gradient_of_the_shortcuts_alone():
    """Where F is zero, the path through shortcuts alone is the whole gradient."""
    model = network(depths=(2, 1), normalization="none", activation_order="pre")
    for block in analysis.blocks_of(model):
        block.set_weights(block.deleted_weights())
    study = analysis.path_study(model, X, Y, draws=2)
    assert study.gradient[0] > 0 and study.contribution.sum() == pytest.approx(1)
    np.testing.assert_allclose(study.gradient[1:], 0, atol=1e-12)
    assert study.effective_length == 0


def test_measuring_changes_nothing_and_is_drawn(tmp_path):
    model = network(execution="scanned", depths=(4, 2))
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]
    figures = {
        "flow": analysis.plot_gradient_flow({"net": analysis.gradient_flow(model, X, Y)}),
        "lesions": analysis.plot_lesions(
            {"net": analysis.lesion_study(model, X, Y, counts=(1,), draws=1)}
        ),
        "paths": analysis.plot_paths(analysis.path_study(model, X, Y, draws=1)),
        "strength": analysis.plot_strength(analysis.residual_strength(model, X)),
    }
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 8_000


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_architecture_shows_blocks_shapes_and_shortcuts(tmp_path):
    figure = analysis.plot_architecture(network(), tmp_path / "net.svg")
    assert "stage2 block1" in texts(figure) and "4×4×6" in texts(figure)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["identity shortcut", "shortcut that changes the shape"]
    assert (tmp_path / "net.svg").read_text().startswith("<?xml")
    plain = analysis.plot_architecture(network(shortcut="none"))
    assert plain.axes[0].get_legend() is None
    many = texts(analysis.plot_architecture(network(depths=(9, 1), execution="scanned")))
    assert "… 7 blocks …" in many
    dense = analysis.plot_architecture(network("DenseNet"))
    assert "dense1 unit3" in texts(dense) and "8×8×20" in texts(dense)
    dual = texts(analysis.plot_architecture(network("DPN")))
    assert "dual1 unit2" in dual and "8×8×12" in dual
    edsr = keras_residual.EDSR(filters=4, depth=2)
    assert "skip" in texts(analysis.plot_architecture(edsr))


def test_architecture_of_an_lstm_stack_is_unrolled_in_time():
    model = keras_residual.ResidualLSTMClassifier((7, 4), units=4, num_layers=2)
    found = texts(analysis.plot_architecture(model, steps=3))
    assert found.count("LSTM 2") == 3 and "x at step 3" in found


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: analysis.blocks_of(FLAT), "residual stages"),
        (lambda m: analysis.blocks_of("resnet"), "`model` must be a built Keras model"),
        (lambda m: analysis.gradient_flow(m, X[:, :4], Y), "`x` must be a batch"),
        (lambda m: analysis.gradient_flow(m, X, Y[:3]), "`x` must be a batch"),
        (lambda m: analysis.lesion_study(m, X, Y + 9), "`model` must output a score"),
        (lambda m: analysis.lesion_study(m, X, Y / 2), "integer labels"),
        (lambda m: analysis.path_study(network(shortcut="none"), X, Y), "residual blocks only"),
        (lambda m: analysis.residual_strength(network("DenseNet"), X), "must have residual blocks"),
        (lambda m: analysis.residual_strength(network("DPN"), X), "must have residual blocks"),
        (lambda m: analysis.plot_architecture(m, "net.txt"), "`path` must end in"),
        (lambda m: analysis.plot_architecture(m, steps=0), "`steps` must be a positive"),
        (lambda m: analysis.path_shares(0), "`blocks` must be a positive"),
    ],
)
def test_wrong_argument_is_named(call, message, small):
    with pytest.raises(ValueError, match=message):
        call(small)
