"""Frozen layers do not train, and their normalizations keep their statistics."""

import keras
import numpy as np
import peers
import pytest
from model_weights import all_weights, outputs

import keras_residual as kr
from keras_residual import weights


def network(**options):
    arguments = {"input_shape": (16, 16, 3), "classes": 2, "stem": "conv3", "stem_width": 8}
    return kr.ResNet("basic", (2, 3, 1), (8, 8, 8), **{**arguments, **options})


NETWORKS = {
    "unrolled": lambda: network(),
    "scanned": lambda: network(execution="scanned"),
    "preactivated": lambda: network(activation_order="pre"),
    "rematerialized": lambda: network(rematerialize=True),
    "scanned_rematerialized": lambda: network(execution="scanned", rematerialize=True),
}


def train(model, compile_first=False, until=None):
    def compiled():
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")

    images, labels = peers.images((16, 16)), np.array([0, 1])
    if compile_first:
        compiled()
        model.fit(images, labels, verbose=0)
    if until is not None:
        weights.freeze(model, until=until)
    # On JAX an optimizer that has trained is bound to the weights it began with.
    if not compile_first or keras.backend.backend() == "jax":
        compiled()
    before = all_weights(model)
    model.fit(images, labels, epochs=2, verbose=0)
    after = all_weights(model)
    return {name for name in before if not np.array_equal(before[name], after[name])}


def expected(model, frozen):
    return {v.path for v in model.weights if not v.path.startswith(frozen)}


@pytest.mark.parametrize("name", NETWORKS)
def test_only_later_layers_change(name):
    model = NETWORKS[name]()
    changed = train(model, until="stage2")
    assert changed == expected(model, ("stem", "stage1", "stage2"))


@pytest.mark.parametrize("name", ["unrolled", "scanned"])
def test_without_freezing_everything_changes(name):
    model = NETWORKS[name]()
    assert train(model) == expected(model, ("nothing",))


@pytest.mark.parametrize("name", ["unrolled", "scanned"])
def test_a_compiled_model_takes_notice(name):
    model = NETWORKS[name]()
    changed = train(model, compile_first=True, until="stage2")
    assert changed == expected(model, ("stem", "stage1", "stage2"))


@pytest.mark.parametrize("name", ["unrolled", "scanned"])
def test_frozen_normalizations_infer_while_training(name):
    model = NETWORKS[name]()
    weights.freeze(model, until="stage3")
    images = 5 * peers.images((16, 16)) + 3
    np.testing.assert_allclose(
        outputs(model, images, training=True),
        outputs(model, images, training=False),
        rtol=1e-5,
        atol=1e-6,
    )


def test_dense_networks_freeze_by_block():
    model = kr.DenseNet((2, 2), 4, stem="conv3", stem_width=8, input_shape=(16, 16, 3), classes=2)
    changed = train(model, until="transition1")
    assert changed == expected(model, ("stem", "dense1", "transition1"))


def test_freezing_follows_the_graph_and_can_be_undone():
    backbone = network(features=True)
    deep = keras.layers.Conv2D(2, 1, name="deep")(backbone.output["C4"])
    shallow = keras.layers.Conv2D(2, 1, name="shallow")(backbone.output["C2"])
    model = keras.Model(backbone.input, [deep, shallow])
    trainable_before = len(model.trainable_weights)
    weights.freeze(model, until="stage2")
    trainable = {layer.name for layer in model.layers if layer.trainable and layer.weights}
    assert trainable == {"stage3", "deep", "shallow"}
    weights.freeze(model, until=None)
    assert len(model.trainable_weights) == trainable_before


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"Unknown layer: 'stage9'. Did you mean stage"):
        weights.freeze(network(), until="stage9")
    with pytest.raises(ValueError, match="`model` must be a functional Keras model"):
        weights.freeze(keras.layers.Dense(1), until="stage1")


class TestNormalizations:
    @staticmethod
    def statistics(names):
        return {name for name in names if "moving" in name}

    @staticmethod
    def normalized(model):
        kinds = ("gamma", "beta", "moving_mean", "moving_variance")
        return {v.path for v in model.weights if v.path.endswith(kinds)}

    @staticmethod
    def changed(model):
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        before = all_weights(model)
        model.fit(peers.images((16, 16)), np.array([0, 1]), epochs=2, verbose=0)
        after = all_weights(model)
        return {name for name in before if not np.array_equal(before[name], after[name])}

    @pytest.mark.parametrize("name", ["unrolled", "scanned", "scanned_rematerialized"])
    def test_alone_they_freeze_and_nothing_else(self, name):
        model = NETWORKS[name]()
        weights.freeze(model, normalization=True)
        assert self.changed(model) == {v.path for v in model.weights} - self.normalized(model)
        images = 5 * peers.images((16, 16)) + 3
        np.testing.assert_allclose(
            outputs(model, images, training=True), outputs(model, images), rtol=1e-4, atol=1e-5
        )

    @pytest.mark.parametrize("name", ["unrolled", "scanned"])
    def test_they_thaw_again(self, name):
        model = NETWORKS[name]()
        every = {v.path for v in model.weights}
        weights.freeze(model, normalization=True)
        weights.freeze(model, normalization=False)
        assert self.changed(model) == every
        weights.freeze(model, normalization=True)
        weights.freeze(model, until=None)
        assert self.changed(model) == every

    def test_what_keras_sets_afterwards_counts(self):
        model = NETWORKS["scanned"]()
        weights.freeze(model, normalization=True)
        model.trainable = False
        model.trainable = True
        assert self.changed(model) == {v.path for v in model.weights}

    def test_together_with_layers(self):
        model = network(execution="scanned")
        weights.freeze(model, until="stage1", normalization=True)
        frozen = {v.path for v in model.weights if v.path.startswith(("stem", "stage1"))}
        every = {v.path for v in model.weights}
        assert self.changed(model) == every - frozen - self.normalized(model)
        weights.freeze(model, normalization=False)
        assert self.changed(model) == every - frozen

    def test_models_inside_models_and_dense_networks(self):
        shape = {"stem": "conv3", "stem_width": 8, "input_shape": (16, 16, 3)}
        backbone = kr.DenseNet((2, 2), 4, include_top=False, pooling="avg", **shape)
        classifier = keras.layers.Dense(2, activation="softmax")
        model = keras.Sequential([keras.Input((16, 16, 3)), backbone, classifier])
        weights.freeze(model, normalization=True)
        assert not self.changed(model) & self.normalized(model)

    @pytest.mark.parametrize("execution", ["unrolled", "scanned"])
    @pytest.mark.parametrize("normalization", ["group", "layer", "evonorm"])
    def test_other_normalizations(self, normalization, execution):
        options = {"activation": None} if normalization == "evonorm" else {}
        model = network(normalization=normalization, execution=execution, **options)
        weights.freeze(model, normalization=True)
        every = {v.path for v in model.weights}
        slopes = {path for path in every if path.endswith(("/v", "_v"))}
        assert bool(slopes) == (normalization == "evonorm")
        assert self.changed(model) == every - self.normalized(model) - slopes

    def test_wrong_arguments_are_named(self):
        with pytest.raises(ValueError, match="`normalization` must be True or False"):
            weights.freeze(network(), normalization="yes")
        with pytest.raises(ValueError, match="`until` must name a layer or be None"):
            weights.freeze(network())
