"""The spaces in Keras Tuner's own tuners, with budgets, and subclassed with another head."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_residual import tuning
from keras_residual.tuning import fitting

pytestmark = [
    pytest.mark.usefixtures("quick_garbage_collection"),
    # Keras, of a model that has not been trained and gets trained weights.
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer"),
]

X = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
Y = np.arange(40) % 4
SMALL = {
    "base": "ResNet8",
    "stages": 2,
    "depth": 1,
    "width": [4, 8],
    "stem_width": 4,
    "stem": "conv3",
    "block": "basic",
    "batch_size": 32,
}
TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 2}),
    "bayesian": (keras_tuner.BayesianOptimization, {"max_trials": 2}),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 2}),
    "grid": (keras_tuner.GridSearch, {"max_trials": 2}),
}
SPACES = {
    "resnet": (tuning.HyperResNet, (8, 8, 1), 3_000),
    "densenet": (tuning.HyperDenseNet, (8, 8, 1), 5_000),
    "series": (tuning.HyperResNet1D, (24, 2), 20_000),
    "lstm": (tuning.HyperResidualLSTM, (24, 2), 5_000),
}


def tuner_of(space, folder, name="random", objective="val_accuracy", **options):
    kind, arguments = TUNERS[name]
    return kind(
        space, objective=objective, directory=folder, project_name="p", **arguments, **options
    )


@pytest.mark.parametrize("name", TUNERS)
@pytest.mark.parametrize("space", SPACES)
def test_tuners_take_spaces_whose_default_exceeds_the_budget(space, name, tmp_path, monkeypatch):
    """And every point that they propose becomes a network within it."""
    kind, shape, most = SPACES[space]
    hypermodel = kind(shape, 4, max_parameters=most)
    assert hypermodel.objection({}) is not None
    built = []

    def network(options):
        built.append(options)
        return keras.Sequential([keras.Input(shape), keras.layers.Flatten()])

    monkeypatch.setattr(hypermodel, "network", network)
    tuner = tuner_of(hypermodel, tmp_path, name, seed=3)
    assert len(tuner.oracle.get_space().space) == len(hypermodel.knobs)
    hp = tuner.oracle.create_trial("one").hyperparameters
    hypermodel.build(hp)
    assert hypermodel.objection(hp) is None
    assert built[-1] == hypermodel.options(hypermodel.values(hp))
    assert all(hypermodel.count(options).parameters <= most for options in built)


def test_a_trial_over_budget_is_trained_smaller_and_says_so(tmp_path):
    hypermodel = tuning.HyperResNet((8, 8, 1), 4, **SMALL, max_parameters=1_500)
    tuner = tuner_of(hypermodel, tmp_path, seed=1)
    tuner.search(X, Y, validation_split=0.25, epochs=1, verbose=0)
    for trial in tuner.oracle.trials.values():
        assert trial.status == "COMPLETED"
        assert hypermodel.objection(trial.hyperparameters) is None
    (best,) = tuner.get_best_models(1)
    assert sum(int(np.prod(w.shape)) for w in best.trainable_weights) <= 1_500


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(20 * index, 20 * index + 20)
        return X[part], Y[part]


def test_batches_and_generators(tmp_path):
    hypermodel = tuning.HyperResNet((8, 8, 1), 4, **SMALL)
    tuner = tuner_of(hypermodel, tmp_path)
    hp = tuner.oracle.get_space()
    metrics = hypermodel.fit(
        hp, hypermodel.build(hp), Batches(), validation_data=Batches(), epochs=1, verbose=0
    )
    assert 0 <= metrics["val_accuracy"] <= 1 and "score" in metrics
    batches = (Batches()[index] for index in (0, 1))
    with pytest.raises(ValueError, match=r"no known number of batches.*`steps_per_epoch`"):
        hypermodel.fit(hp, hypermodel.build(hp), batches, epochs=1)


class MultiLabel(tuning.HyperResNet):
    """Its own head, loss and metric in place of the classifier's."""

    def build(self, hp):
        model = super().build(hp)
        outputs = keras.layers.Dense(3, "sigmoid")(model.layers[-2].output)
        model = keras.Model(model.input, outputs)
        model.compile("adam", "binary_crossentropy", metrics=["binary_accuracy"])
        return model


def test_a_subclass_with_an_own_head_is_trained_as_it_is_compiled(tmp_path):
    targets = np.stack([Y % 2, Y > 1, Y == 3], -1).astype("float32")
    tuner = tuner_of(MultiLabel((8, 8, 1), 4, **SMALL), tmp_path, objective="val_loss")
    tuner.search(X, targets, validation_split=0.25, epochs=1, verbose=0)
    (best,) = tuner.get_best_models(1)
    assert best.output_shape == (None, 3) and best.loss == "binary_crossentropy"
    (trial,) = tuner.oracle.get_best_trials(1)
    assert trial.metrics.exists("val_binary_accuracy") and not trial.metrics.exists("score")


@pytest.mark.parametrize("bound", ["max_parameters", "max_macs"])
def test_an_own_head_that_exceeds_the_budget_is_not_trained(bound):
    """Where a point is chosen, the space counts the classifier that the subclass replaces."""

    class Wide(MultiLabel):
        def build(self, hp):
            model = tuning.HyperResNet.build(self, hp)
            hidden = keras.layers.Dense(1_000)(model.layers[-2].output)
            model = keras.Model(model.input, keras.layers.Dense(3)(hidden))
            model.compile("adam", "mse")
            return model

    cost = tuning.HyperResNet((8, 8, 1), 4, **SMALL).cost({})
    most = {"max_parameters": cost.parameters, "max_macs": cost.macs}[bound] + 100
    for kind, fails in ((MultiLabel, False), (Wide, True)):
        hypermodel, hp = kind((8, 8, 1), 4, **SMALL, **{bound: most}), keras_tuner.HyperParameters()
        model, calls = hypermodel.build(hp), []
        model.fit = lambda *args, calls=calls, **options: calls.append(args) or 1 / 0
        error = keras_tuner.errors.FailedTrialError if fails else ZeroDivisionError
        with pytest.raises(error, match=f"Wide.build.*{bound}=" if fails else "division"):
            hypermodel.fit(hp, model, X, np.zeros((40, 3), np.float32), epochs=1)
        assert bool(calls) != fails


def test_a_short_training_puts_the_settings_of_tensorflow_back():
    tf = pytest.importorskip("tensorflow")

    def is_disabled():
        options = tf.config.optimizer.get_experimental_options()
        return options.get("disable_meta_optimizer", False)

    with pytest.raises(RuntimeError), fitting.started_quickly(10):
        assert is_disabled()
        raise RuntimeError
    assert not is_disabled()
    with fitting.started_quickly(10**6):
        assert not is_disabled()
