"""Every point of a space is a network within its budget, or is rejected with a reason."""

import inspect
import math
import random

import keras
import keras_tuner
import pytest

import keras_residual
from keras_residual import training, tuning
from keras_residual.tuning.hypermodel import HyperNetwork
from keras_residual.tuning.oracles import RandomSearchOracle
from keras_residual.tuning.shrinking import smallest

IMAGE, SERIES = (8, 8, 1), (24, 2)
DEFAULTS = {
    "ResNet20": (tuning.HyperResNet(IMAGE, 10), {"input_shape": IMAGE, "classes": 10}),
    "ResNeXt50_32x4d": (
        tuning.HyperResNet((64, 64, 3), 7, base="resnext50_32x4d", depth=[1, 2]),
        {"input_shape": (64, 64, 3), "classes": 7, "depths": (1, 1, 1, 1)},
    ),
    "DenseNetBC100_12": (
        tuning.HyperDenseNet(IMAGE, 10),
        {"input_shape": IMAGE, "classes": 10},
    ),
    "RegNetX002": (
        tuning.HyperRegNet((64, 64, 3), 10),
        {"input_shape": (64, 64, 3), "classes": 10},
    ),
    "RegNetY008_TV": (
        tuning.HyperRegNet((64, 64, 3), 10, base="regnet_y_800mf"),
        {"input_shape": (64, 64, 3), "classes": 10},
    ),
    "RegNetZ005": (
        tuning.HyperRegNet((64, 64, 3), 10, base="RegNetZ005"),
        {"input_shape": (64, 64, 3), "classes": 10},
    ),
    "ResNet1D": (tuning.HyperResNet1D(SERIES, 3), {"input_shape": SERIES, "classes": 3}),
    "ResidualLSTMClassifier": (
        tuning.HyperResidualLSTM(SERIES, 3),
        {"input_shape": SERIES, "classes": 3},
    ),
}


def symbolic(make):
    """Builds a model without the values of its weights, its names counted from the beginning."""
    keras.utils.clear_session(free_memory=False)
    with keras.StatelessScope(initialize_variables=False):
        return make()


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_default_is_the_named_network(name):
    space, arguments = DEFAULTS[name]
    ours = symbolic(lambda: space.network(space.options(space.defaults)))
    named = symbolic(lambda: getattr(keras_residual, name)(**arguments))
    assert ours.get_config()["layers"] == named.get_config()["layers"]
    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in named.weights]


def test_the_default_recipe_is_the_named_recipe():
    for recipe in ("quick", "he2015"):
        space = tuning.HyperResNet(IMAGE, 10, recipe=recipe)
        assert space.recipe(space.defaults) == training.recipes[recipe]


def oracle_of(space, tmp_path, oracle_class=RandomSearchOracle, **options):
    oracle = oracle_class(
        space, tmp_path, objective=keras_tuner.Objective("score", "max"), seed=1, **options
    )
    space.declare_hyperparameters(oracle.hyperparameters)
    return oracle


SPACES = {
    "resnet": lambda: tuning.HyperResNet(
        (16, 16, 3),
        10,
        base="ResNet8",
        max_parameters=60_000,
        max_macs=2_000_000,
        stages=[2, 3, 4],
        depth=[1, 2],
        activation=["relu", "silu"],
    ),
    "resnext": lambda: tuning.HyperResNet(
        (16, 16, 3), 10, max_parameters=200_000, block="bottleneck", constant_macs=True, depth=1
    ),
    "densenet": lambda: tuning.HyperDenseNet(
        (8, 8, 1), 10, max_parameters=20_000, depth=[1, 2, 4], growth_rate=[4, 8, 16]
    ),
    "regnet": lambda: tuning.HyperRegNet(
        (32, 32, 3), 10, max_parameters=300_000, max_macs=30_000_000, group_width=[4, 8], w0=[8, 16]
    ),
    "series": lambda: tuning.HyperResNet1D(SERIES, 3, max_parameters=300_000, max_macs=3_000_000),
    "lstm": lambda: tuning.HyperResidualLSTM(SERIES, 3, max_parameters=50_000),
    "words": lambda: tuning.HyperResidualLSTM((24,), 3, 100, max_macs=2_000_000),
}
DRAWS = {
    "resnet": 50,
    "resnext": 15,
    "densenet": 25,
    "regnet": 25,
    "series": 30,
    "lstm": 100,
    "words": 80,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet", "resnext", "densenet", "series"])
def test_every_one_of_many_points(name, tmp_path):
    check_points(SPACES[name](), 300, tmp_path)


@pytest.mark.parametrize("name", SPACES)
def test_every_point_builds_or_is_rejected_with_a_reason(name, tmp_path):
    check_points(SPACES[name](), DRAWS[name], tmp_path)


def check_points(space, count, tmp_path):
    oracle = oracle_of(space, tmp_path)
    seen = {"built": 0, "too much": 0, "impossible": 0}
    for _ in range(count):
        values = space.values(oracle.draw())
        reason = space.objection(values)
        options = space.options(values)
        space.recipe(values).make_optimizer(3)
        if reason is None:
            model = symbolic(lambda options=options: space.network(options))
            spent = space.cost(values)
            assert sum(math.prod(w.shape) for w in model.trainable_weights) == spent.parameters
            assert spent.parameters <= (space.budget.max_parameters or spent.parameters)
            assert spent.macs <= (space.budget.max_macs or spent.macs)
            seen["built"] += 1
        elif "exceed max_" in reason:
            seen["too much"] += 1
        else:
            assert len(reason) > 20
            with pytest.raises(ValueError):
                symbolic(lambda options=options: space.network(options))
            seen["impossible"] += 1
    assert seen["built"] > count // 20 and seen["too much"]


def test_there_are_enough_draws():
    assert sum(DRAWS.values()) >= 300


@pytest.mark.parametrize("name", SPACES)
def test_sizes_are_knobs(name):
    space = SPACES[name]()
    knobs = {knob.rstrip("1234") for knob in space.architecture_knobs} | {"embedding_size"}
    assert set(space.widths) <= set(space.sizes) <= knobs


def test_a_default_over_budget_is_narrowed_evenly(tmp_path):
    """To what one would pick by hand: ResNet-8 at a quarter of its width."""
    space = tuning.HyperResNet((8, 8, 1), 10, "ResNet8", max_parameters=5_142, stem="conv3")
    values = space.values(oracle_of(space, tmp_path / "resnet").first_point())
    options = space.options(values)
    assert options["widths"] == (4, 8, 16) and options["stem_width"] == 4
    assert options["depths"] == (1, 1, 1) and space.cost(values).parameters == 5_142
    assert space.recipe(values) == training.recipes["quick"]
    space = tuning.HyperResidualLSTM((24,), 3, 100, max_parameters=100_000)
    values = oracle_of(space, tmp_path / "lstm").first_point()
    assert (values["units"], values["embedding_size"], values["num_layers"]) == (48, 48, 4)


def test_draws_that_exceed_the_budget_are_made_to_fit(tmp_path):
    """And so use most of it, rather than be drawn again until they happen to be small."""
    oracle = oracle_of(tuning.HyperResidualLSTM(SERIES, 3, max_parameters=20_000), tmp_path)
    shares = [oracle.hypermodel.share_of_budget(oracle.feasible_draw()) for _ in range(20)]
    assert max(shares) <= 1 and sorted(shares)[10] > 0.5


def test_a_space_without_its_methods_cannot_be_made():
    with pytest.raises(TypeError, match="abstract method"):
        HyperNetwork((4,), 2, [])


def test_a_subclass_may_have_arguments_without_defaults():
    class Space(tuning.HyperResNet):
        def __init__(self, seconds, **knobs):
            self.seconds = seconds
            super().__init__(IMAGE, 10, "ResNet8", **knobs)

    assert Space(2.0, stages=None).seconds == 2.0
    names = list(inspect.signature(Space).parameters)
    assert "seconds" in names and names[-1] == "knobs"


def test_knobs_are_fixed_narrowed_and_left_out():
    space = tuning.HyperResNet(
        IMAGE,
        10,
        block="bottleneck",
        cardinality=[1, 4],
        se_ratio=None,
        depth=2,
        depth3=[1, 5],
        sgd_learning_rate=tuning.Interval(0.01, 0.1, log=True),
        warmup=None,
        zero_init_residual=True,
    )
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    choices = {item.name: item for item in hp.space}
    for fixed in ("block", "se_ratio", "depth1", "depth2", "depth4", "warmup"):
        assert fixed not in choices
    assert choices["cardinality"].values == [1, 4] and not choices["cardinality"].conditions
    assert choices["depth3"].values == [1, 5]
    assert choices["sgd_learning_rate"].max_value == 0.1
    assert choices["sgd_learning_rate"].conditions[0].name == "optimizer"
    values = space.values({"cardinality": 4, "depth3": 5})
    options = space.options(values)
    assert options["depths"] == (2, 2, 5) and options["cardinality"] == 4
    assert options["se_ratio"] == 0.0 and options["zero_init_residual"] is True
    assert space.recipe(values).warmup == training.recipes["quick"].warmup


def test_conditional_knobs_follow_their_parents():
    space = tuning.HyperResNet(IMAGE, 10, optimizer="sgd", stages=[2, 3])
    names = {knob.name for knob in space.knobs}
    assert "sgd_learning_rate" in names and "adamw_learning_rate" not in names
    assert "width3" in names and "width4" not in names
    without = tuning.HyperResNet(IMAGE, 10, block="basic")
    assert not {"cardinality", "base_width"} & {knob.name for knob in without.knobs}


def test_values_that_lost_digits_on_the_network_are_understood():
    space = tuning.HyperResNet(IMAGE, 10)
    assert space.values({"drop_path_rate": 0.10000000149})["drop_path_rate"] == 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bloc": "basic"}, "Unknown knob: 'bloc'. Did you mean block"),
        ({"block": 3}, "`block` must be a string"),
        ({"input_shape": 8}, "`input_shape` must be a tuple"),
        ({"input_shape": (None, 8, 1)}, "`input_shape` must name every size"),
        ({"classes": 0}, "`classes` must be a positive integer"),
        ({"depth1": 2.5}, "`depth1` must be an integer"),
        ({"width": []}, "`width1` must not be empty"),
        ({"block": tuning.Interval(0, 1)}, "`block` takes no interval"),
        ({"width": ["wide"]}, "`width1` must be an integer"),
        ({"base": "ResNet21"}, "Did you mean ResNet32 or ResNet26 or ResNet20"),
        ({"base": "DenseNet121"}, "Unknown base"),
        ({"base": "ResNet1D"}, "Unknown base: 'ResNet1D'. Did you mean ResNet"),
        ({"recipe": "quik"}, "Did you mean quick"),
        ({"max_parameters": 0}, "`max_parameters` must be a positive integer"),
        ({"constant_macs": 1}, "`constant_macs` must be True or False"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        tuning.HyperResNet(**{"input_shape": IMAGE, "classes": 10, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((24, 3), "`input_shape` must be"),
        (((24,), 3), "`vocabulary_size` must be given"),
        (((24, 2), 3, 9), "`vocabulary_size` must be given"),
        (((24,), 3, 1), "`vocabulary_size` must be an integer of at least 2"),
        (((24, 2), 0), "`classes` must be a positive integer"),
    ],
)
def test_wrong_arguments_of_sequences(arguments, message):
    with pytest.raises(ValueError, match=message):
        tuning.HyperResidualLSTM(*arguments)


def test_an_empty_space_says_so_before_any_weight_is_allocated(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a weight was allocated")

    monkeypatch.setattr(keras.layers.Layer, "add_weight", refuse)
    with pytest.raises(tuning.EmptySpaceError, match="643 trainable parameters exceed max_par"):
        tuning.HyperResNet(IMAGE, 10, max_parameters=600)
    space = tuning.HyperResNet(IMAGE, 10, max_parameters=650)
    assert "269,434 trainable" in space.objection(keras_tuner.HyperParameters())


def test_cardinality_at_constant_macs_is_the_papers_table():
    """Xie et al., 2017, table 2."""
    space = tuning.HyperResNet((64, 64, 3), 10, base="ResNet50", constant_macs=True)
    for cardinality, base_width in {1: 64, 2: 40, 4: 24, 8: 14, 32: 4}.items():
        options = space.options(space.values({"cardinality": cardinality}))
        assert options["base_width"] == base_width
    costs = [space.cost({"cardinality": cardinality}).macs for cardinality in (1, 2, 4, 8, 32)]
    assert max(costs) < 1.06 * min(costs)


def test_learning_rates_and_augmentation_reach_the_recipe():
    space = tuning.HyperResNet((8, 8, 3), 10)
    chosen = {"optimizer": "sgd", "sgd_learning_rate": 0.3, "augmentation": "cifar_cutout"}
    recipe = space.recipe(space.values({**chosen, "schedule": "steps", "batch_size": 32}))
    assert (recipe.optimizer, recipe.learning_rate, recipe.batch_size) == ("sgd", 0.3, 32)
    assert (recipe.schedule, recipe.augmentation) == ("steps", "cifar_cutout")


IMPOSSIBLE = [
    (tuning.HyperResNet, IMAGE, {"cardinality": 0}),
    (tuning.HyperResNet, IMAGE, {"cardinality": [1, 0]}),
    (tuning.HyperResNet, IMAGE, {"base_width": -1}),
    (tuning.HyperResNet, IMAGE, {"depth1": 0}),
    (tuning.HyperResNet, IMAGE, {"width2": [-4, 4]}),
    (tuning.HyperResNet, IMAGE, {"width1": 2**40}),
    (tuning.HyperResNet, IMAGE, {"stem_width": 0}),
    (tuning.HyperResNet, IMAGE, {"stages": 0}),
    (tuning.HyperResNet, IMAGE, {"stages": [3, 9]}),
    (tuning.HyperResNet, IMAGE, {"stem": ["conv3", "foo"]}),
    (tuning.HyperResNet, IMAGE, {"shortcut": "foo"}),
    (tuning.HyperResNet, IMAGE, {"block": ["basic", "foo"]}),
    (tuning.HyperResNet, IMAGE, {"activation": ["relu", "foo"]}),
    (tuning.HyperResNet, IMAGE, {"activation_order": "foo"}),
    (tuning.HyperResNet, IMAGE, {"se_ratio": -1.0}),
    (tuning.HyperResNet, IMAGE, {"drop_path_rate": [0.1, 1.0]}),
    (tuning.HyperResNet, IMAGE, {"drop_path_rate": float("nan")}),
    (tuning.HyperResNet, IMAGE, {"batch_size": 0}),
    (tuning.HyperResNet, IMAGE, {"warmup": 2.0}),
    (tuning.HyperResNet, IMAGE, {"label_smoothing": float("nan")}),
    (tuning.HyperResNet, IMAGE, {"schedule": "foo"}),
    (tuning.HyperResNet, IMAGE, {"optimizer": ["sgd", "lamb"]}),
    (tuning.HyperResNet, IMAGE, {"augmentation": "foo"}),
    (tuning.HyperResNet, IMAGE, {"cutmix": -1.0}),
    (tuning.HyperResNet, IMAGE, {"sgd_learning_rate": -1.0}),
    (tuning.HyperResNet, IMAGE, {"sgd_learning_rate": tuning.Interval(-1, 1)}),
    (tuning.HyperResNet, IMAGE, {"adamw_weight_decay": -1.0}),
    (tuning.HyperDenseNet, IMAGE, {"growth_rate": 0}),
    (tuning.HyperDenseNet, IMAGE, {"compression": 0.0}),
    (tuning.HyperDenseNet, IMAGE, {"bottleneck": -1}),
    (tuning.HyperResNet1D, SERIES, {"kernels": "8-a"}),
    (tuning.HyperResNet1D, SERIES, {"kernels": ["3-3", "0-3"]}),
    (tuning.HyperResidualLSTM, SERIES, {"units": 0}),
    (tuning.HyperResidualLSTM, SERIES, {"num_layers": [1, 0]}),
    (tuning.HyperResidualLSTM, SERIES, {"dropout": 1.0}),
    (tuning.HyperResidualLSTM, SERIES, {"pooling": "max"}),
]


@pytest.mark.parametrize(("space", "shape", "knobs"), IMPOSSIBLE, ids=str)
def test_impossible_values_are_refused_by_name(space, shape, knobs):
    """Where the value would count and where another knob hides it."""
    ((name, _),) = knobs.items()
    with pytest.raises(ValueError, match=rf"`{name}` .*Received: {name}="):
        space(shape, 10, **knobs)


def test_values_that_other_values_make_impossible_are_accepted():
    tuning.HyperResNet(IMAGE, 10, stem=["conv3", "conv7"], stages=[2, 3, 4], cardinality=[1, 32])


EXCLUDED = [
    ("ECAResNet50T", "se_ratio", 1 / 4),
    ("SKResNet18", "se_ratio", 0.0),
    ("Res2Net50_26w_4s", "block", "basic"),
    ("RevNet38", "activation_order", "post"),
    ("ShakeShake26_2x32d", "drop_path_rate", 0.1),
]


@pytest.mark.parametrize(("base", "name", "value"), EXCLUDED)
def test_values_that_the_base_excludes_are_no_choices(base, name, value):
    space = tuning.HyperResNet((32, 32, 3), 10, base)
    assert all(value not in knob.choices for knob in space.knobs if knob.name == name)
    with pytest.raises(ValueError, match=rf"`{name}` .*{base}.*Received: {name}={value!r}"):
        tuning.HyperResNet((32, 32, 3), 10, base, **{name: [value, space.defaults[name]]})


def test_values_that_another_given_value_allows_are_choices():
    mixed = {"attention": ["eca", "squeeze_excite"], "se_ratio": [0.0, 1 / 4]}
    tuning.HyperResNet((32, 32, 3), 10, "ECAResNet50T", **mixed)


SOME_BASES = ("SKResNet18", "RevNet38", "RegNetX002", "SENet154", "WideRiR18", "BiTResNet50x1")
MORE_BASES = ("ECAResNet50T", "Res2Net50_26w_4s", "ResNeSt14D", "ShakeShake26_2x32d", "RegNetV040")


@pytest.mark.parametrize(
    "base", [*SOME_BASES, *(pytest.param(base, marks=pytest.mark.slow) for base in MORE_BASES)]
)
def test_most_points_around_any_base_are_networks_and_a_budget_is_met(base):
    space = tuning.HyperResNet((32, 32, 3), 10, base, max_parameters=400_000, depth=[1, 2])
    assert space.cost(smallest(space)).parameters <= 400_000
    everything = tuning.HyperResNet((32, 32, 3), 10, base, depth=1, stages=[2, 3])
    order = random.Random(0)
    points = [
        {knob.name: order.choice(knob.choices) for knob in everything.knobs if _is_listed(knob)}
        for _ in range(4)
    ]
    reasons = [everything.objection(point) for point in points]
    assert sum(reason is None for reason in reasons) >= 2, reasons


def _is_listed(knob):
    return not isinstance(knob.choices, tuning.Interval)


def test_a_base_without_stages_is_refused():
    with pytest.raises(ValueError, match="Unknown base: 'PyramidNet110_48'"):
        tuning.HyperResNet((32, 32, 3), 10, "PyramidNet110_48")
