"""A scanned stage is the unrolled one: outputs, statistics, gradients, files."""

import keras
import numpy as np
import pytest
from support import assert_same_step, gradients, ramp, run, set_sequential_weights, to_numpy

from keras_residual.layers import BottleneckBlock, ResidualBlock, ResidualStage

DEPTH = 5
X = ramp(4, 6, 6, 4)


def make(execution, block=None, x=X, **options):
    pattern = block() if block else ResidualBlock(4)
    options = {"first": {"strides": 2}, **options}
    stage = ResidualStage(pattern, DEPTH, execution=execution, **options)
    stage.build(x.shape)
    set_sequential_weights(stage)
    return stage


def stacked_gradients(stage, found):
    """Returns gradients by weight inside a block, those of equal blocks stacked."""
    result = {}
    for path, value in found.items():
        if "/equal/block" in path:
            _, name = path.split("/equal/")[1].split("/", 1)
            result.setdefault("equal/" + name.replace("/", "_"), []).append(value)
        else:
            result[path.split("/", 1)[-1]] = value
    return {name: np.stack(v) if isinstance(v, list) else v for name, v in result.items()}


BLOCKS = {
    "basic": lambda: ResidualBlock(4),
    "pre": lambda: ResidualBlock(4, activation_order="pre"),
    "bottleneck": lambda: BottleneckBlock(8, cardinality=2, activation_order="pre"),
    "squeezed": lambda: ResidualBlock(4, se_ratio=0.5),
    "group": lambda: ResidualBlock(4, normalization="group"),
    "none": lambda: ResidualBlock(4, normalization="none"),
    "regularized": lambda: ResidualBlock(4, se_ratio=0.5, kernel_regularizer="l2"),
}


@pytest.mark.parametrize("rematerialize", [False, True])
@pytest.mark.parametrize("block", BLOCKS)
def test_executions_agree_while_training(block, rematerialize):
    unrolled = make("unrolled", BLOCKS[block])
    scanned = make("scanned", BLOCKS[block], rematerialize=rematerialize)
    expected, expected_gradients = gradients(unrolled, X)
    outputs, found = gradients(scanned, X)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)
    expected_gradients = stacked_gradients(unrolled, expected_gradients)
    found = stacked_gradients(scanned, found)
    assert found.keys() == expected_gradients.keys()
    for name, gradient in found.items():
        np.testing.assert_allclose(
            gradient, expected_gradients[name], rtol=1e-3, atol=2e-4, err_msg=name
        )
    for index in range(DEPTH):
        theirs = unrolled.get_block_weights(index)
        for name, value in scanned.get_block_weights(index).items():
            np.testing.assert_allclose(value, theirs[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(
        sum(map(to_numpy, scanned.losses)), sum(map(to_numpy, unrolled.losses)), rtol=1e-5
    )


def test_rematerialized_blocks_give_the_same_numbers():
    plain, other = make("unrolled"), make("unrolled", rematerialize=True)
    assert_same_step(other, plain, X, atol=1e-5)


@pytest.mark.parametrize("kind", ["model.weights.h5", "model.keras"])
@pytest.mark.parametrize("executions", [("unrolled", "scanned"), ("scanned", "unrolled")])
def test_files_load_across_executions(kind, executions, tmp_path):
    def model_of(execution):
        inputs = keras.Input(X.shape[1:])
        return keras.Model(inputs, make(execution)(inputs))

    source, target = map(model_of, executions)
    (source.save_weights if "weights" in kind else source.save)(tmp_path / kind)
    for variable in target.weights:
        variable.assign(np.zeros(variable.shape, "float32"))
    target.load_weights(tmp_path / kind)
    np.testing.assert_allclose(run(target, X), run(source, X), atol=1e-5)


def test_file_of_another_depth_is_refused(tmp_path):
    inputs = keras.Input(X.shape[1:])
    keras.Model(inputs, make("scanned")(inputs)).save_weights(tmp_path / "a.weights.h5")
    other = ResidualStage(ResidualBlock(4), DEPTH - 1, first={"strides": 2}, execution="unrolled")
    model = keras.Model(inputs, other(inputs))
    with pytest.raises(ValueError, match=r"file \(4, .*layer \(3, "):
        model.load_weights(tmp_path / "a.weights.h5")


def test_saved_config_keeps_the_execution():
    stage = make("scanned", rematerialize=True, drop_path_rates=[0.0, 0.1, 0.1, 0.2, 0.2])
    again = ResidualStage.from_config(stage.get_config())
    assert again.get_config() == stage.get_config()
    assert again.execution == "scanned" and again.equal.scanned


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_frozen_stage_keeps_statistics_and_normalizes_by_them(execution):
    stage = make(execution)
    stage.trainable = False
    before = [stage.get_block_weights(index) for index in range(DEPTH)]
    expected = run(stage, X, training=False)
    np.testing.assert_allclose(run(stage, X, training=True), expected, atol=1e-6)
    for index, weights in enumerate(before):
        for name, value in stage.get_block_weights(index).items():
            np.testing.assert_array_equal(value, weights[name], err_msg=name)
    assert not stage.trainable_weights
    stage.trainable = True
    assert not np.allclose(run(stage, X, training=True), expected)


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_training_updates_every_statistic_once(execution):
    stage = make(execution)
    before = [stage.get_block_weights(index) for index in range(DEPTH)]
    inputs = keras.Input(X.shape[1:])
    model = keras.Model(inputs, stage(inputs))
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    model.train_on_batch(X, np.zeros((4, 3, 3, 4), "float32"))
    expected = make("unrolled")
    run(expected, X, training=True)
    for index, weights in enumerate(before):
        after = stage.get_block_weights(index)
        for name, value in expected.get_block_weights(index).items():
            np.testing.assert_allclose(after[name], value, atol=1e-5, err_msg=name)
            changed = not np.allclose(after[name], weights[name])
            assert changed == ("moving" in name), name


@pytest.mark.parametrize("rematerialize", [False, True])
@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_drop_path_drops_each_block_at_its_rate(execution, rematerialize):
    """A block that is always dropped passes its input; one that never is, does not."""
    rates = [0.0, 0.0, 0.9999999, 0.0, 0.9999999]
    block = lambda: ResidualBlock(4, activation_order="pre", normalization="none")  # noqa: E731
    options = {"rematerialize": rematerialize, "drop_path_rates": rates, "first": None}
    stage = make(execution, block, **options)
    outputs = run(stage, X, training=True)
    kept = make("unrolled", block, first=None)
    expected = X
    for index, layer in enumerate(kept.block_layers()):
        expected = expected if rates[index] else run(layer, expected)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("rematerialize", [False, True])
@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_dropped_samples_differ_between_blocks_and_steps(execution, rematerialize):
    x = np.repeat(ramp(1, 4, 4, 4), 64, axis=0)
    block = lambda: ResidualBlock(  # noqa: E731
        4, activation_order="pre", normalization="none", drop_path_rate=0.5
    )
    stage = make(execution, block, x=x, first=None, rematerialize=rematerialize)
    first, second = run(stage, x, training=True), run(stage, x, training=True)
    assert not np.array_equal(first, second)
    # 64 samples over 2⁵ combinations of kept blocks: equal draws in all blocks would give two.
    assert len(np.unique(first.reshape(64, -1)[:, 0].round(4))) > 12
    assert gradients(stage, x)[1]["inputs"].shape == x.shape


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_dropout_is_drawn_for_each_block(execution):
    block = lambda: ResidualBlock(4, dropout_rate=0.5, normalization="none")  # noqa: E731
    stage = make(execution, block)
    first, second = run(stage, X, training=True), run(stage, X, training=True)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(run(stage, X), run(stage, X))


def test_fixed_seed_gives_different_kernels_that_both_executions_share():
    block = lambda: ResidualBlock(4, kernel_initializer=keras.initializers.HeNormal(7))  # noqa: E731

    def kernels(execution):
        stage = ResidualStage(block(), DEPTH, execution=execution)
        stage.build(X.shape)
        blocks = [stage.get_block_weights(index) for index in range(DEPTH)]
        return [w[f"{name}.conv.kernel"] for w in blocks for name in ("conv1", "conv2")]

    unrolled, scanned = kernels("unrolled"), kernels("scanned")
    np.testing.assert_array_equal(unrolled, scanned)
    assert len({kernel.tobytes() for kernel in unrolled}) == 2 * DEPTH


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_last_block_may_differ(execution):
    last = {"strides": 2, "shortcut": "pad"}
    stage = make(execution, first=None, last=last)
    assert run(stage, X).shape == (4, 3, 3, 4)
    assert [block.strides for block in stage.block_layers()][-1] == 2
    one = ResidualStage(ResidualBlock(4), 1, last=last, execution=execution)
    assert run(one, X).shape == (4, 3, 3, 4)


def test_auto_scans_from_32_equal_blocks():
    block = ResidualBlock(2)
    assert not ResidualStage(block, 32).equal.scanned
    assert ResidualStage(block, 33).equal.scanned


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_block_weights_are_set_and_checked(execution):
    stage = make(execution)
    weights = {name: value + 1 for name, value in stage.get_block_weights(2).items()}
    stage.set_block_weights(-3, weights)
    for name, value in stage.get_block_weights(2).items():
        np.testing.assert_array_equal(value, weights[name])
    with pytest.raises(ValueError, match="unheard_of"):
        stage.set_block_weights(2, {**weights, "unheard_of": np.zeros(3)})
    with pytest.raises(ValueError, match=r"conv1\.conv\.kernel"):
        stage.set_block_weights(2, {**weights, "conv1.conv.kernel": np.zeros(3)})
    with pytest.raises(IndexError):
        stage.get_block_weights(DEPTH)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's nodes")
def test_graph_of_a_scan_does_not_grow_with_the_depth():
    import tensorflow as tf

    def nodes(depth):
        stage = ResidualStage(ResidualBlock(4), depth, execution="scanned")
        stage.build(X.shape)
        step = tf.function(lambda x: tf.gradients(stage(x, training=True), x), autograph=False)
        graph = step.get_concrete_function(tf.TensorSpec(X.shape)).graph
        return len(graph.as_graph_def().node)

    assert nodes(40) == nodes(4)
