"""The state of the optimizer is inherited together with the weights."""

import keras
import numpy as np
import pytest

from keras_residual import tuning
from keras_residual.training.updates import slots_of
from keras_residual.tuning import lineage
from keras_residual.tuning.inheritance import weights_of

VALUES = {
    "stages": 2, "depth1": 1, "depth2": 2, "width1": 2, "width2": 4, "stem_width": 2,
    "stem": "conv3", "block": "basic", "optimizer": "adamw",
}  # fmt: skip


@pytest.fixture(scope="module")
def space():
    return tuning.HyperResNet((4, 4, 1), 3, "ResNet8")


def network(space, values, optimizer):
    model = space.network(space.options(space.values(values)))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


def slots(model):
    """What the optimizer keeps, by slot and name of a weight."""
    names = {id(variable): name for name, variable in weights_of(model).items()}
    found = slots_of(model.optimizer, model.trainable_variables)
    return {
        (slot, names[number]): variable
        for number, kept in found.items()
        for slot, variable in kept.items()
    }


def adamw(rate=1e-2):
    return keras.optimizers.AdamW(rate, use_ema=True, ema_momentum=0.5)


def inherited(space, parent, before, after, optimizer, folder):
    """A network with inherited weights just before its training."""
    lineage.keep(folder / "weights.npz", parent)
    child = network(space, after, optimizer)
    taken = lineage.take_over(space, folder / "weights.npz", before, after, child)
    assert taken.reason is None
    taken.optimizer.set_model(child)
    taken.optimizer.on_train_begin()
    return child, taken.optimizer


@pytest.fixture
def parent(space):
    """A network whose optimizer has random moments, after 7 steps."""
    model, rng = network(space, VALUES, adamw()), np.random.default_rng(0)
    for variable in slots(model).values():
        variable.assign(rng.random(variable.shape))
    model.optimizer.iterations.assign(7)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def test_moments_follow_their_weights(space, parent, tmp_path):
    after = {**VALUES, "width2": 6, "se_ratio": 0.25, "depth1": 2}
    child, _ = inherited(space, parent, VALUES, after, adamw(), tmp_path)
    before, now = slots(parent), slots(child)
    assert set(before) < set(now)
    for (slot, name), variable in now.items():
        value = keras.ops.convert_to_numpy(variable)
        if slot == "average":
            weight = keras.ops.convert_to_numpy(weights_of(child)[name])
            np.testing.assert_array_equal(value, weight)
            continue
        expected = np.zeros_like(value)
        if (slot, name) in before:
            old = keras.ops.convert_to_numpy(before[slot, name])
            # The branch is doubled behind a gate of 1/2: its gradient is half.
            doubled = "conv2.norm" in name and name.startswith("stage")
            factor = {"momentum": 2, "velocity": 4}[slot] if doubled else 1
            expected[tuple(map(slice, old.shape))] = old / factor
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=f"{slot} of {name}")
    assert int(child.optimizer.iterations) == 7


def test_of_a_shorter_network_the_blocks_that_stay_keep_theirs(space, tmp_path):
    before = {**VALUES, "depth2": 3}
    parent = network(space, before, adamw())
    for name, variable in weights_of(parent).items():
        if name.startswith("stage2.block2.conv2.norm"):
            variable.assign(keras.ops.zeros_like(variable))
    for (_, name), variable in slots(parent).items():
        number = 3.0 if name.startswith("stage2.block3") else 1.0
        variable.assign(np.full(variable.shape, number))
    parent.optimizer.iterations.assign(2)
    child, _ = inherited(space, parent, before, VALUES, adamw(), tmp_path)
    for (slot, name), variable in slots(child).items():
        if slot == "momentum":
            wanted = 3.0 if name.startswith("stage2.block2") else 1.0
            value = keras.ops.convert_to_numpy(variable)
            np.testing.assert_array_equal(value, np.full(variable.shape, wanted))


def test_the_learning_rate_restarts(space, parent, tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    child, taken = inherited(space, parent, VALUES, VALUES, adamw(schedule), tmp_path)
    assert taken.is_continued
    assert float(child.optimizer.learning_rate) == pytest.approx(0.1)
    child.optimizer.iterations.assign(7 + 10)
    assert float(child.optimizer.learning_rate) == pytest.approx(0.0, abs=1e-8)
    config = keras.optimizers.serialize(child.optimizer)
    again = keras.optimizers.deserialize(config)
    again.iterations.assign(7)
    assert float(again.learning_rate) == pytest.approx(0.1)


def test_another_kind_of_optimizer_starts_without_state(space, parent, tmp_path):
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    child, taken = inherited(space, parent, VALUES, VALUES, sgd, tmp_path)
    assert not taken.is_continued and int(child.optimizer.iterations) == 0


def test_an_unchanged_network_goes_on_as_its_parent_would(space, parent, tmp_path):
    child, _ = inherited(space, parent, VALUES, VALUES, adamw(), tmp_path)
    rng = np.random.default_rng(1)
    gradients = [rng.random(v.shape).astype("float32") for v in parent.trainable_variables]
    for model in (parent, child):
        model.optimizer.apply(
            [keras.ops.convert_to_tensor(g) for g in gradients], model.trainable_variables
        )
    for ours, theirs in zip(child.get_weights(), parent.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
