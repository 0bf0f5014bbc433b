"""A mutated residual network with inherited weights computes the same as its parent."""

import dataclasses
import functools
import random

import keras
import keras_tuner
import numpy as np
import pytest
from toy import NO_RECIPE, ToySpace, search

from keras_residual import data, tuning
from keras_residual.tuning import lineage
from keras_residual.tuning.inheritance import NotKeptError, inherited, weights_of
from keras_residual.tuning.oracles import EvolutionOracle

BASE = {
    "stages": 2,
    "depth1": 1,
    "depth2": 2,
    "width1": 4,
    "width2": 8,
    "stem_width": 4,
    "stem": "conv3",
    "block": "basic",
}
BOTTLENECK = {**BASE, "block": "bottleneck", "cardinality": 2, "base_width": 64}
NEW_STAGE = {"stages": 3, "depth3": 2, "width3": 8}


@functools.cache
def space_of(kind):
    if kind == "series":
        return tuning.HyperResNet1D((24, 2), 3)
    return tuning.HyperResNet((8, 8, 2), 5, "ResNet8")


def network(space, values):
    """A network and its architecture."""
    options = space.options(space.values(values))
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    keras.utils.clear_session(free_memory=False)
    return space.network(options), dataclasses.replace(space.base, **tuples)


def randomize(model, seed=0):
    """Weights and statistics of which none is zero or one."""
    rng = np.random.default_rng(seed)
    for name, variable in weights_of(model).items():
        noise = rng.normal(size=variable.shape)
        if name.endswith("kernel"):
            noise = noise / np.sqrt(np.prod(variable.shape[:-1]))
        elif name.endswith(("gamma", "variance")):
            noise = 1 + 0.3 * np.tanh(noise)
        variable.assign(noise)


def arrays(model):
    return {
        name: keras.ops.convert_to_numpy(variable) for name, variable in weights_of(model).items()
    }


def largest_difference(space, before, after):
    old, old_architecture = network(space, before)
    randomize(old)
    images = np.random.default_rng(1).random((4, *space.input_shape), np.float32)
    expected, old_weights = old.predict(images, verbose=0), arrays(old)
    new, new_architecture = network(space, after)
    randomize(new, seed=2)
    found = inherited(
        old_architecture, new_architecture, old_weights, arrays(new), space.input_shape[:-1]
    )
    for name, variable in weights_of(new).items():
        variable.assign(found.weights[name])
    return np.abs(new.predict(images, verbose=0) - expected).max(), found


KEPT = [
    ("image", BASE, {"optimizer": "adamw"}),
    ("image", BASE, {"depth1": 3, "depth2": 4}),
    ("image", BASE, {"width2": 12}),
    ("image", BASE, {"width1": 6, "width2": 12}),
    ("image", BASE, {"stem_width": 8, "width1": 8}),
    ("image", {**BASE, "stem": "deep"}, {"stem_width": 8, "width1": 8}),
    ("image", {**BASE, "width1": 6}, {"stem_width": 5}),
    ("image", BASE, {"se_ratio": 0.25}),
    ("image", {**BASE, "se_ratio": 0.125}, {"se_ratio": 0.25, "width2": 16}),
    ("image", {**BASE, "shortcut": "pad"}, {"width2": 12}),
    ("image", {**BASE, "shortcut": "pad"}, {"width1": 6, "width2": 12, "stem_width": 6}),
    ("image", {**BASE, "shortcut": "pooled"}, NEW_STAGE),
    ("image", {**BASE, "activation_order": "pre"}, {"depth2": 3, "width2": 12, "se_ratio": 0.25}),
    ("image", BOTTLENECK, {"base_width": 128}),
    ("image", BOTTLENECK, {"cardinality": 4}),
    ("image", BOTTLENECK, {"cardinality": 1, "base_width": 128}),
    ("image", BOTTLENECK, {"width1": 8, "width2": 16, "se_ratio": 0.25, "depth1": 2}),
    ("series", {"stages": 1, "kernels": "5-3-3", "width1": 4}, {"kernels": "8-5-3", "width1": 8}),
    ("series", {"stages": 1, "width1": 4}, {"stages": 2, "width2": 8, "depth2": 2, "depth1": 2}),
    # A normalized identity becomes a projection.
    ("series", {"stages": 2, "width1": 4, "width2": 4}, {"width2": 8}),
    ("series", {"stages": 2, "width1": 4, "width2": 4, "normalize_identity": False}, {"width2": 8}),
]


@pytest.mark.parametrize(("kind", "before", "change"), KEPT, ids=str)
def test_the_function_is_kept(kind, before, change):
    difference, found = largest_difference(space_of(kind), before, {**before, **change})
    assert found.is_exact and difference < 1e-5


NOT_KEPT = [
    (BASE, {"width2": 6}, "stage 2 is narrower"),
    (BASE, {"stem": "deep"}, "`stem` is 'deep'"),
    (BASE, {"block": "bottleneck"}, "`block` is"),
    (BASE, {"shortcut": "pad"}, "`shortcut` is"),
    (BASE, {"stages": 3}, "needs post-activation"),
    ({**BASE, "se_ratio": 0.25}, {"se_ratio": 0.0}, "squeeze-and-excitation was removed"),
    (BOTTLENECK, {"cardinality": 1}, "do not hold the old ones"),
    ({**BASE, "stages": 3}, {"stages": 2}, "a stage is missing"),
    ({**BASE, "width1": 6}, {"stem_width": 6}, "was a projection"),
]


@pytest.mark.parametrize(("before", "change", "reason"), NOT_KEPT, ids=str)
def test_what_cannot_be_kept_is_said(before, change, reason):
    space = space_of("image")
    with pytest.raises(NotKeptError, match=reason):
        largest_difference(space, before, {**before, **change})


@pytest.mark.parametrize(("kind", "before", "change"), KEPT, ids=str)
def test_a_change_that_keeps_the_function_is_judged_so_without_building(kind, before, change):
    assert lineage.may_inherit(space_of(kind), before, {**before, **change})


def test_most_changes_that_keep_no_function_are_judged_so_without_building():
    space = space_of("image")
    for before, change, reason in NOT_KEPT:
        if "needs post-activation" in reason or "do not hold" in reason or "projection" in reason:
            continue  # Known once the weights are there.
        assert not lineage.may_inherit(space, before, {**before, **change}), reason
    padded = {**BASE, "shortcut": "pad"}
    assert not lineage.may_inherit(space, padded, {**padded, "width1": 6})
    assert lineage.may_inherit(space, BOTTLENECK, {**BOTTLENECK, "cardinality": 0})  # no network


def test_evolution_that_inherits_seldom_draws_what_cannot(monkeypatch):
    space = tuning.HyperResNet((8, 8, 1), 10, "ResNet8", max_parameters=20_000)
    parent = keras_tuner.engine.trial.Trial(keras_tuner.HyperParameters())
    shares = {}
    for inherit in (False, True):
        objective = keras_tuner.Objective("score", "max")
        oracle = EvolutionOracle(space, None, objective=objective, inherit=inherit)
        parent.hyperparameters.values = oracle.first_point()
        monkeypatch.setattr(oracle, "_parent", lambda order: parent)
        drawn = [oracle.draw() for _ in range(200)]
        kept = [lineage.may_inherit(space, parent.hyperparameters.values, v) for v in drawn]
        shares[inherit] = 1 - sum(kept) / len(kept)
    assert 0 < shares[True] < 0.6 * shares[False]


def test_the_weakest_block_is_left_out():
    """A branch of zero costs nothing to lose; the others keep their order."""
    space, before = space_of("image"), {**BASE, "depth2": 4}
    model, architecture = network(space, before)
    randomize(model)
    weights_of(model)["stage2.block3.conv2.norm.gamma"].assign(np.zeros(8))
    weights_of(model)["stage2.block3.conv2.norm.beta"].assign(np.zeros(8))
    images = np.random.default_rng(1).random((4, *space.input_shape), np.float32)
    expected, old = model.predict(images, verbose=0), arrays(model)
    new, after = network(space, {**before, "depth2": 3})
    found = inherited(architecture, after, old, arrays(new), space.input_shape[:-1])
    assert found.left_out == ("stage2.block3",) and not found.is_exact
    for name, variable in weights_of(new).items():
        variable.assign(found.weights[name])
    np.testing.assert_allclose(new.predict(images, verbose=0), expected, atol=1e-5)


def test_weights_go_through_files(tmp_path):
    space, path = space_of("image"), tmp_path / "weights.npz"
    parent, _ = network(space, BASE)
    randomize(parent)
    lineage.keep(path, parent)
    images = np.random.default_rng(1).random((4, *space.input_shape), np.float32)
    expected = parent.predict(images, verbose=0)
    child, after = network(space, {**BASE, "width2": 12})[0], {**BASE, "width2": 12}
    initial = child.predict(images, verbose=0)
    for damaged in (tmp_path / "absent.npz", tmp_path):
        reason = lineage.take_over(space, damaged, BASE, after, child).reason
        assert "the weights of its parent cannot be read" in reason
    other = lineage.take_over(space, path, {**BASE, "stem": "deep"}, after, child)
    assert "`stem` is" in other.reason and other.optimizer is None
    np.testing.assert_array_equal(child.predict(images, verbose=0), initial)
    assert lineage.take_over(space, path, BASE, after, child).reason is None
    np.testing.assert_allclose(child.predict(images, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (ToySpace(), {}, "`inherit` needs a space of residual networks.*Received: ToySpace"),
        (ToySpace(), {"algorithm": "random"}, '`inherit` needs algorithm="evolution"'),
        (ToySpace(), {"inherit": 1}, "`inherit` must be True or False"),
    ],
)
def test_wrong_arguments(space, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        search(tmp_path / "new", space, **{"inherit": True, **options})
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_search_inherits_and_trains_the_best_from_scratch(tmp_path):
    """And does so once: resumed, it reads what was trained."""
    digits = data.load("digits")
    space = tuning.HyperResNet(
        (8, 8, 1), 10, "ResNet8", **{**BASE, "stages": 2, "depth1": [1, 2, 3], "depth2": [1, 2, 3]},
        **dict.fromkeys(("se_ratio", "shortcut", "activation_order", "drop_path_rate")),
        **dict.fromkeys(name for name in NO_RECIPE if name != "batch_size"), batch_size=32,
    )  # fmt: skip
    options = {"max_trials": 5, "epochs": 2, "inherit": True}
    result = tuning.search(space, digits, tmp_path, **options)
    flags = [row.metrics["inherited"] for row in result.rows]
    assert flags[0] == 0.0 and sum(flags) >= 2
    best = max(result.rows, key=lambda row: row.metrics["score"])
    assert (result.retrained is not None) == bool(best.metrics["inherited"])
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("trial.json"))
    again = tuning.search(space, digits, tmp_path, **options)
    assert again.retrained == result.retrained
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("trial.json")) == before
    with pytest.raises(ValueError, match="another search: inherit differ"):
        tuning.search(space, digits, tmp_path, max_trials=5, epochs=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image", "bottleneck", "series"])
def test_every_mutation_of_an_evolution_is_kept_or_refused(kind):
    # From small networks there is room to grow.
    small = {"width": [4, 8, 12], "depth": [1, 2, 3]}
    if kind == "series":
        space = tuning.HyperResNet1D((24, 2), 3, **small)
    else:
        fixed = {"block": "bottleneck"} if kind == "bottleneck" else {}
        space = tuning.HyperResNet((8, 8, 1), 10, "ResNet8", stem_width=[4, 8], **small, **fixed)
    oracle = EvolutionOracle(space, None, objective=keras_tuner.Objective("score", "max"))
    space.declare_hyperparameters(oracle.hyperparameters)
    order, changed = random.Random(0), {True: set(), False: set()}
    parent = oracle.first_point()
    names = set(space.architecture_knobs)
    for _ in range(30):
        child = dict(parent)
        knob = order.choice([knob for knob in space.knobs if knob.name in set(child) & names])
        child[knob.name] = knob.near(child[knob.name], order)
        child = {name: space.values(child)[name] for name in space.active(space.values(child))}
        if space.objection(child) is not None:
            continue
        try:
            difference, found = largest_difference(space, parent, child)
        except NotKeptError:
            changed[False].add(knob.name)
            continue
        assert lineage.may_inherit(space, parent, child), (parent, child)
        changed[True].add(knob.name)
        assert not found.is_exact or difference < 1e-5, (parent, child)
        parent = child if order.random() < 0.5 else parent
    assert len(changed[True]) > 4 and len(changed[False]) > 1
