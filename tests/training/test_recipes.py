import math

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual.training import Recipe, recipes


def rates(recipe, steps):
    schedule = recipe.learning_rates(steps)
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(steps + 1)]


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("he2015", {0: 0.1, 32_000: 0.1, 32_001: 0.01, 48_000: 0.01, 48_001: 0.001, 63_999: 0.001}),
        # A warm-up for 400 steps at a tenth.
        ("preactivation", {0: 0.01, 399: 0.01, 400: 0.1, 32_000: 0.1, 32_001: 0.01, 48_001: 0.001}),
    ],
)
def test_rates_of_64k_steps_fall_after_32k_and_48k(recipe, expected):
    schedule = recipes[recipe].learning_rates(64_000)
    for step, rate in expected.items():
        assert float(keras.ops.convert_to_numpy(schedule(step))) == pytest.approx(rate)


def test_he2015_runs_64k_steps_on_cifar():
    recipe = recipes["he2015"]
    assert abs(recipe.epochs * math.ceil(50_000 / recipe.batch_size) - 64_000) < 391


def test_wide_resnet_multiplies_by_a_fifth_after_60_120_and_160_of_200_epochs():
    values = rates(recipes["wide_resnet"], 200)
    assert values[60] == pytest.approx(0.1) and values[61] == pytest.approx(0.02)
    assert values[121] == pytest.approx(0.004) and values[161] == pytest.approx(0.0008)


def test_rsb_recipes_are_those_of_the_paper():
    """Wightman et al., 2021, table 2."""
    columns = {
        "rsb_a1": (224, 224, 600, 5e-3, 0.01, 0.1, 0.05, 3, 7, 0.2),
        "rsb_a2": (224, 224, 300, 5e-3, 0.02, 0.0, 0.05, 3, 7, 0.1),
        "rsb_a3": (160, 224, 100, 8e-3, 0.02, 0.0, 0.0, 1, 6, 0.1),
    }
    for name, expected in columns.items():
        recipe = recipes[name]
        assert expected == (
            recipe.image_size, recipe.test_image_size or recipe.image_size, recipe.epochs,
            recipe.learning_rate, recipe.weight_decay, recipe.label_smoothing,
            recipe.model.get("drop_path_rate", 0.0), recipe.repeats, recipe.rand_augment,
            recipe.mixup,
        )  # fmt: skip
        assert recipe.warmup * recipe.epochs == pytest.approx(5)
        assert (recipe.test_crop, recipe.cutmix, recipe.batch_size) == (0.95, 1.0, 2048)


def test_one_cycle_rises_and_falls_in_straight_lines():
    values = rates(Recipe(schedule="one_cycle", learning_rate=1.0, warmup=0.2), 100)
    assert np.argmax(values) in (19, 20) and max(values) == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(np.diff(values[:19]), values[1] - values[0], rtol=1e-4)
    np.testing.assert_allclose(np.diff(values[21:]), values[99] - values[98], rtol=1e-3)
    assert values[100] == 0 and values[0] > 0


def test_weights_are_averaged_over_a_tenth_of_the_steps_at_most():
    recipe = Recipe(ema=0.99)
    momenta = {5: 0.0, 100: 0.9, 1_000: 0.99, 100_000: 0.99}
    for steps, momentum in momenta.items():
        assert recipe.make_optimizer(steps).ema_momentum == pytest.approx(momentum)
    assert not Recipe().make_optimizer(100).use_ema


def test_steps_rise_in_a_line():
    values = rates(Recipe(schedule="steps", warmup=0.1, drops=(0.5,)), 100)
    np.testing.assert_allclose(values[:10], np.linspace(0.01, 0.1, 11)[:10], rtol=1e-5)
    assert values[10] == values[50] == pytest.approx(0.1) and values[51] == pytest.approx(0.01)


@pytest.mark.parametrize("name", recipes)
def test_schedules_are_saved_with_the_optimizer(name):
    optimizer = recipes[name].make_optimizer(1000)
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    for step in (0, 3, 400, 999):
        again.iterations.assign(step)
        expected = recipes[name].learning_rates(1000)(step)
        assert float(again.learning_rate) == pytest.approx(float(expected), rel=1e-6)


def test_cosine_rises_to_its_rate_and_falls_to_0():
    values = rates(Recipe(learning_rate=1.0, warmup=0.25), 40)
    assert values[0] == pytest.approx(0.1)
    assert np.argmax(values) == 10
    assert values[10] == pytest.approx(1.0)
    assert values[25] == pytest.approx(0.5, abs=1e-6)
    assert values[40] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", recipes)
def test_only_kernels_decay(name):
    """With gradients of 0 the optimizer moves what decays and nothing else."""
    model = keras_residual.ResNet(
        "basic", (1, 3), (4, 8), stem="conv3", stem_width=4, input_shape=(8, 8, 1), classes=3,
        execution="scanned",
    )  # fmt: skip
    optimizer = recipes[name].make_optimizer(10)
    variables = model.trainable_variables
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]
    optimizer.apply([keras.ops.zeros(variable.shape) for variable in variables], variables)
    moved = {
        variable.path.rsplit("/", 1)[1].rsplit("_", 1)[-1]
        for variable, value in zip(variables, before, strict=True)
        if (keras.ops.convert_to_numpy(variable) != value).any()
    }
    assert moved == {"kernel"}


def test_decay_of_sgd_is_that_of_an_l2_penalty():
    """The decay of a weight without gradient, against the recursion of the papers' optimizer."""
    recipe = Recipe(schedule="steps", drops=(1.0,), learning_rate=0.1, weight_decay=1e-3)
    optimizer = recipe.make_optimizer(10_000)
    variable = keras.Variable([1.0], name="kernel")
    weight, velocity = 1.0, 0.0
    for _ in range(500):
        optimizer.apply([keras.ops.zeros((1,))], [variable])
        velocity = 0.9 * velocity + 1e-3 * weight
        weight -= 0.1 * velocity
    assert float(keras.ops.convert_to_numpy(variable)[0]) == pytest.approx(weight, rel=0.02)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("optimizer", "lion"),
        ("schedule", "linear"),
        ("epochs", 0),
        ("batch_size", -1),
        ("learning_rate", -1.0),
        ("momentum", 1.0),
        ("warmup", 1.5),
        ("drops", (2.0,)),
        ("drops", 2),
        ("drops", "half"),
        ("drops", (0.5, 0.2)),
        ("drops", (True,)),
        ("model", 5),
        ("model", {1: 2}),
        ("model", None),
        ("augmentation", 5),
        ("augmentation", None),
        ("learning_rate", float("nan")),
        ("learning_rate", "0.1"),
        ("epochs", 2.0),
        ("epochs", True),
        ("batch_size", 2**40),
        ("optimizer", None),
        ("nesterov", 1),
        ("loss", "hinge"),
        ("label_smoothing", 1.0),
        ("ema", -0.1),
        ("cutmix", -1.0),
        ("drop_factor", 2.0),
        ("constant_warmup", "yes"),
        ("image_size", 0),
        ("test_image_size", -1),
        ("test_crop", 0.0),
        ("rand_augment", 11),
        ("repeats", 0),
    ],
)
def test_wrong_options_are_named(option, value):
    with pytest.raises(ValueError, match=f"`{option}`"):
        Recipe(**{option: value})
