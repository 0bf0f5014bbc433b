"""What `load` accepts and refuses; a refused file changes nothing."""

import keras
import numpy as np
import peers
import pytest
from model_weights import all_weights, assert_same_weights, outputs, randomize
from weights.small_network import network, write

import keras_residual as kr
from keras_residual import weights
from keras_residual.weights import MismatchError, WeightsError, cache


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth"])
def test_every_format_holds_torch_names(tmp_path, suffix):
    model, other = randomize(network()), network()
    path = write(model, tmp_path / f"weights{suffix}")
    weights.load(other, path)
    assert_same_weights(model, other)
    weights.load(randomize(other, seed=1), str(path))
    assert_same_weights(model, other)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
@pytest.mark.parametrize("order", ["post", "pre"])
def test_own_files_fit_both_executions(tmp_path, suffix, execution, order):
    options = {"activation_order": order, "strided_block": "last", "se_ratio": 0.25}
    model = randomize(network(depths=(4, 3), execution=execution, **options))
    (model.save if suffix == ".keras" else model.save_weights)(tmp_path / f"own{suffix}")
    for other in ("unrolled", "scanned"):
        restored = network(depths=(4, 3), execution=other, **options)
        weights.load(restored, tmp_path / f"own{suffix}")
        images = peers.images((32, 32))
        np.testing.assert_allclose(
            outputs(restored, images), outputs(model, images), rtol=1e-5, atol=1e-6
        )


def test_own_files_of_dense_networks(tmp_path):
    model = randomize(kr.DenseNet((2, 3), 4, input_shape=(32, 32, 3), classes=3))
    model.save_weights(tmp_path / "own.weights.h5")
    other = kr.DenseNet((2, 3), 4, input_shape=(32, 32, 3), classes=3)
    weights.load(other, tmp_path / "own.weights.h5")
    assert_same_weights(model, other)


def test_own_files_are_adapted_too(tmp_path):
    randomize(network()).save_weights(tmp_path / "own.weights.h5")
    other = network(classes=5, channels=1)
    weights.load(other, tmp_path / "own.weights.h5", skip_mismatched_top=True)
    features = network(features=True)
    weights.load(features, tmp_path / "own.weights.h5")


def test_other_models_take_the_files_that_keras_wrote_for_them(tmp_path):
    def build(units):
        return keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(units, name="a"), keras.layers.Dense(2)]
        )

    model, other = randomize(build(4)), build(4)
    model.save_weights(tmp_path / "own.weights.h5")
    weights.load(other, tmp_path / "own.weights.h5")
    assert [v.tolist() for v in other.get_weights()] == [v.tolist() for v in model.get_weights()]

    wrong = randomize(build(5), seed=1)
    before = all_weights(wrong)
    with pytest.raises(WeightsError, match="it does not fit"):
        weights.load(wrong, tmp_path / "own.weights.h5")
    assert_same_weights(wrong, before)


def test_one_error_lists_everything_and_nothing_changes():
    state = weights.to_torch(network())
    del state["layer1.1.conv1.weight"], state["layer2.0.bn2.running_var"]
    state["surplus.weight"] = np.zeros(3, "float32")
    state["layer1.2.conv2.weight"] = np.zeros((8, 8, 5, 5), "float32")
    state["layer1.3.bn1.bias"] = np.full(8, np.nan, "float32")
    state["fc.bias"] = np.zeros(3, "int64")
    model = randomize(network())
    before = all_weights(model)

    with pytest.raises(MismatchError) as caught:
        weights.load(model, state)

    error = caught.value
    assert sorted(error.missing) == ["layer1.1.conv1.weight", "layer2.0.bn2.running_var"]
    assert error.unused == ["surplus.weight"]
    assert error.misshapen == ["layer1.2.conv2.weight"]
    assert sorted(error.invalid) == ["fc.bias", "layer1.3.bn1.bias"]
    for name in (*error.missing, *error.unused, *error.misshapen, *error.invalid):
        assert name in str(error)
    assert "layer1.2.conv2.weight: file (8, 8, 5, 5), model (8, 8, 3, 3)" in str(error)
    assert_same_weights(model, before)


@pytest.mark.parametrize("model", [None, "ResNet18", 3])
def test_what_is_no_model_is_named(model):
    with pytest.raises(ValueError, match=r"`model` must be a Keras model\. Received: model="):
        weights.load(model, "imagenet")


def test_more_and_fewer_blocks_are_refused():
    with pytest.raises(MismatchError) as caught:
        weights.load(network(depths=(4, 2)), weights.to_torch(network(depths=(5, 1))))
    assert {name.rsplit(".", 2)[0] for name in caught.value.unused} == {"layer1.4"}
    assert {name.rsplit(".", 2)[0] for name in caught.value.missing} == {"layer2.1"}


def test_names_of_no_layout_are_refused():
    with pytest.raises(WeightsError, match=r"of no known layout .*begin with tower.kernel"):
        weights.load(network(), {"tower.kernel": np.zeros(3, "float32")})


class TestClassifier:
    def test_other_classes_must_be_asked_for(self):
        state = weights.to_torch(randomize(network(classes=5)))
        model = network()
        before = all_weights(model)
        with pytest.raises(MismatchError, match=r"5 classes, the model 3: .*skip_mismatched_top"):
            weights.load(model, state)
        assert_same_weights(model, before)

    def test_other_classes_keep_the_models_own_classifier(self):
        donor = randomize(network(classes=5))
        model = network()
        before = all_weights(model)
        weights.load(model, weights.to_torch(donor), skip_mismatched_top=True)
        after, wanted = all_weights(model), all_weights(donor)
        for name, value in after.items():
            expected = before[name] if name.startswith("classifier") else wanted[name]
            assert np.array_equal(value, expected)

    def test_an_equal_classifier_is_loaded_although_skipping_is_allowed(self):
        donor, model = randomize(network()), network()
        weights.load(model, weights.to_torch(donor), skip_mismatched_top=True)
        assert_same_weights(donor, model)

    def test_a_file_without_classifier(self):
        state = weights.to_torch(randomize(network()))
        del state["fc.weight"], state["fc.bias"]
        with pytest.raises(MismatchError, match=r"2 missing in the file: fc.weight, fc.bias"):
            weights.load(network(), state)
        weights.load(network(), state, skip_mismatched_top=True)

    def test_skipping_concerns_the_classifier_only(self):
        state = weights.to_torch(randomize(network()))
        del state["layer1.0.conv1.weight"]
        with pytest.raises(MismatchError, match=r"layer1.0.conv1.weight"):
            weights.load(network(), state, skip_mismatched_top=True)

    @pytest.mark.parametrize("options", [{"include_top": False}, {"features": ("C2",)}])
    def test_models_that_end_earlier_leave_the_rest_unread(self, options):
        donor = randomize(network(activation_order="pre"))
        model = network(activation_order="pre", **options)
        weights.load(model, weights.to_torch(donor))
        wanted = all_weights(donor)
        for name, value in all_weights(model).items():
            assert np.array_equal(value, wanted[name])

    def test_models_that_end_earlier_still_refuse_what_lies_before(self):
        state = weights.to_torch(network(depths=(5, 1)))
        with pytest.raises(MismatchError, match=r"layer1.4.conv1.weight"):
            weights.load(network(include_top=False), state)

    def test_layers_on_top_of_a_backbone_are_named(self):
        backbone = network(include_top=False)
        mask = keras.layers.Conv2D(1, 1, name="mask")(backbone.output)
        model = keras.Model(backbone.input, mask)
        state = weights.to_torch(randomize(network()))
        with pytest.raises(WeightsError, match="weights in the layers mask"):
            weights.load(model, state)
        weights.load(backbone, state)


class TestKerasApplications:
    def test_strides_must_stand_where_the_file_has_them(self, tmp_path):
        keras.applications.ResNet50(weights=None, classes=3).save_weights(tmp_path / "x.weights.h5")
        with pytest.raises(WeightsError, match=r"strided_conv='conv1'; the model has .*'conv2'"):
            weights.load(kr.ResNet50(classes=3), tmp_path / "x.weights.h5")
        with pytest.raises(WeightsError, match="'conv2': ResNet50V1 is such a network"):
            kr.ResNet50(classes=3, weights=str(tmp_path / "x.weights.h5"))

    def test_options_of_published_weights_are_checked_before_the_download(self, monkeypatch):
        monkeypatch.setattr(cache, "fetch", lambda *_: pytest.fail("it was downloaded"))
        with pytest.raises(ValueError, match=r"ResNet50V2\.keras need .*strided_block='last'"):
            kr.ResNet50V2(weights="keras", strided_block="first")

    @pytest.mark.parametrize(
        ("name", "tag"),
        [("ResNet50V2", "keras"), ("ResNet18V2", "imagenet"), ("ResNet32", "cifar10")],
    )
    def test_options_of_published_weights_are_the_defaults(self, monkeypatch, name, tag):
        class AskedError(Exception):
            pass

        def fetch(source):
            raise AskedError(source.name)

        monkeypatch.setattr(cache, "fetch", fetch)
        with pytest.raises(AskedError, match=name):
            kr.get_model(name, weights=tag)

    def test_classes_are_compared_before_the_download(self, monkeypatch):
        monkeypatch.setattr(cache, "fetch", lambda *_: pytest.fail("it was downloaded"))
        with pytest.raises(ValueError, match="tell 1000 classes apart, the model 10"):
            kr.ResNet18(weights="imagenet", classes=10)

    def test_scaling_inside_the_model_must_be_that_of_the_weights(self, monkeypatch):
        monkeypatch.setattr(cache, "fetch", lambda *_: pytest.fail("it was downloaded"))
        model = kr.ResNet34(include_preprocessing=True, input_shape=(32, 32, 3))
        with pytest.raises(ValueError, match="expect pixels scaled otherwise"):
            weights.load(model, "ResNet34.ra4_e3600_r224_in1k")

    def test_legacy_files_and_first_names(self, tmp_path):
        """The published DenseNet files say "conv1/conv" and "fc1000"."""
        import h5py

        peer = keras.applications.DenseNet121(weights=None, classes=3)
        peer.save(tmp_path / "new.h5")
        names = {"conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn", "predictions": "fc1000"}
        with h5py.File(tmp_path / "new.h5") as new, h5py.File(tmp_path / "old.h5", "w") as old:
            group = new["model_weights"]
            layers = [layer.name for layer in peer.layers]
            old.attrs["layer_names"] = [names.get(name, name).encode() for name in layers]
            for layer in layers:
                target = old.create_group(names.get(layer, layer))
                kinds = [text.rsplit("/", 1)[-1] for text in group[layer].attrs["weight_names"]]
                title = names.get(layer, layer)
                target.attrs["weight_names"] = [f"{title}/{kind}:0".encode() for kind in kinds]
                for kind in kinds:
                    target[f"{title}/{kind}:0"] = group[layer][layer][kind][()]
        first, second = (kr.DenseNet121(classes=3, input_shape=(64, 64, 3)) for _ in range(2))
        weights.load(first, tmp_path / "new.h5")
        weights.load(second, tmp_path / "old.h5")
        assert_same_weights(first, second)
        kernel = peer.get_layer("conv1_conv").get_weights()[0]
        assert np.array_equal(all_weights(second)["stem/conv1/conv/kernel"], kernel)
