"""Other spellings of known layouts: prefixes, paths with slashes, the names of Keras 1 and 2."""

import re
import zlib

import h5py
import keras
import numpy as np
import peers
import pytest
from model_weights import assert_same_weights, outputs, randomize
from weights.small_network import network

import keras_residual as kr
from keras_residual import weights
from keras_residual.weights import MismatchError, WeightsError, _layouts, _slots

SMALL = {"input_shape": (32, 32, 3), "classes": 3}


@pytest.mark.parametrize(
    "prefix", ["backbone.", "module.", "model.", "module.model.", "net.encoder.resnet."]
)
@pytest.mark.parametrize("head", [True, False])
def test_one_common_prefix_is_ignored(prefix, head):
    donor, model = randomize(network()), network()
    state = {
        (name if head and name.startswith("fc.") else prefix + name): value
        for name, value in weights.to_torch(donor).items()
    }
    weights.load(model, state)
    assert_same_weights(model, donor)


def test_what_stands_beside_the_prefix_is_named():
    state = {f"backbone.{name}": value for name, value in weights.to_torch(network()).items()}
    state["projection.weight"] = np.zeros((3, 3), "float32")
    with pytest.raises(MismatchError, match=r"1 unused by the model: projection\.weight"):
        weights.load(network(), state)


def test_a_model_inside_a_keras_model_is_found(tmp_path):
    donor = randomize(network())
    inner = network(include_top=False, pooling="avg")
    outer = keras.Sequential([keras.Input((32, 32, 3)), inner, keras.layers.Dense(3, name="other")])
    inner.set_weights(donor.get_weights()[:-2])
    outer.save_weights(tmp_path / "x.weights.h5")
    model = network(include_top=False, pooling="avg")
    with pytest.raises(MismatchError, match=r"2 unused by the model: other\.kernel, other\.bias"):
        weights.load(model, tmp_path / "x.weights.h5")


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
@pytest.mark.parametrize("ending", ["", ":0"])
def test_arrays_by_the_paths_of_variables(tmp_path, execution, ending):
    donor = randomize(network(execution=execution, se_ratio=0.25))
    arrays = {variable.path + ending: np.asarray(variable) for variable in donor.weights}
    np.savez(tmp_path / "x.npz", **arrays)
    for other in ("unrolled", "scanned"):
        model = network(execution=other, se_ratio=0.25)
        weights.load(model, tmp_path / "x.npz")
        for ours, theirs in zip(_slots.slots_of(model), _slots.slots_of(donor), strict=True):
            assert ours.name == theirs.name
        first, second = (dict(_slots.read(_slots.slots_of(each))) for each in (model, donor))
        for mine, wanted in zip(first.values(), second.values(), strict=True):
            np.testing.assert_array_equal(mine, wanted)


def v1(**options):
    return kr.ResNet("bottleneck", (1, 3), (8, 16), strided_conv="conv1", **SMALL, **options)


def keras_arrays(model) -> dict[str, np.ndarray]:
    return {
        _layouts.KERAS_V1.key(slot): value for slot, value in _slots.read(_slots.slots_of(model))
    }


@pytest.mark.parametrize("form", ["{layer}/{kind}", "{layer}/{layer}/{kind}:0"])
def test_names_of_keras_applications_with_slashes(tmp_path, form):
    donor = randomize(v1(norm_epsilon=1.001e-5))
    arrays = {}
    for name, value in keras_arrays(donor).items():
        layer, kind = name.split(".")
        arrays[form.format(layer=layer, kind=kind)] = value
    np.savez(tmp_path / "x.npz", **arrays)
    model = v1(norm_epsilon=1.001e-5)
    weights.load(model, tmp_path / "x.npz")
    assert_same_weights(model, donor)


def keras_2_name(layer: str, deep: bool) -> str:
    fixed = {"conv1_conv": "conv1", "conv1_bn": "bn_conv1", "predictions": "fc1000"}
    if layer in fixed:
        return fixed[layer]
    stage, block, number, kind = re.fullmatch(r"conv(\d)_block(\d)_(\d)_(\w+)", layer).groups()
    block = int(block) - 1
    letter = f"b{block}" if deep and block else "abcdef"[block]
    branch = ("1", "2a", "2b", "2c")[int(number)]
    return f"{'res' if kind == 'conv' else 'bn'}{stage}{letter}_branch{branch}"


KERAS_1 = {
    "kernel": "W",
    "bias": "b",
    "moving_mean": "running_mean",
    "moving_variance": "running_std",
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("first_version", [False, True])
def test_names_of_keras_2(tmp_path, deep, first_version):
    """Its network has an epsilon of 1e-3, for which the variances are corrected."""
    donor = randomize(v1(norm_epsilon=1e-3))
    layers = {}
    for name, value in keras_arrays(donor).items():
        layer, kind = name.split(".")
        layers.setdefault(keras_2_name(layer, deep), {})[kind] = value
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, arrays in layers.items():
            group = file.create_group(layer)
            names = [f"{layer}/{kind}:0" for kind in arrays]
            if first_version:
                names = [f"{layer}_{KERAS_1.get(kind, kind)}_1:0" for kind in arrays]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, arrays.values(), strict=True):
                group[name] = value
    model = v1(norm_epsilon=1e-5)
    weights.load(model, tmp_path / "x.h5")
    images = peers.images((32, 32))
    np.testing.assert_allclose(outputs(model, images), outputs(donor, images), rtol=1e-4, atol=1e-5)


class TestShortMessages:
    def test_a_file_of_another_network(self, tmp_path):
        foreign = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                *(keras.layers.Conv2D(4, 3, padding="same", name=f"block{n}") for n in range(90)),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(3, name="predictions"),
            ]
        )
        foreign.save_weights(tmp_path / "x.weights.h5")
        with pytest.raises(MismatchError) as caught:
            weights.load(v1(), tmp_path / "x.weights.h5", skip_mismatched_top=True)
        message = str(caught.value)
        assert len(message) < 1500 and "180 unused by the model: block0.kernel" in message
        assert "… and 172 more" in message
        assert len(caught.value.unused) == 180

    def test_an_error_of_keras(self, tmp_path):
        def build(units):
            layers = [keras.layers.Dense(units, name=f"dense{n}") for n in range(60)]
            return keras.Sequential([keras.Input((units,)), *layers])

        build(3).save_weights(tmp_path / "x.weights.h5")
        with pytest.raises(WeightsError) as caught:
            weights.load(build(4), tmp_path / "x.weights.h5")
        assert len(str(caught.value)) < 500

    def test_layers_of_other_kinds(self):
        layers = [keras.layers.Dense(3, name=f"dense{n}") for n in range(60)]
        with pytest.raises(WeightsError, match="and 52 more") as caught:
            weights.to_torch(keras.Sequential([keras.Input((3,)), *layers]))
        assert len(str(caught.value)) < 500

    def test_a_larger_file_for_another_model(self, tmp_path):
        def build(count):
            layers = [keras.layers.Dense(100, name=f"dense{n}") for n in range(count)]
            return keras.Sequential([keras.Input((100,)), *layers])

        build(9).save_weights(tmp_path / "x.weights.h5")
        with pytest.raises(WeightsError, match=r"it has 90,9\d\d values, the model 10,100"):
            weights.load(build(1), tmp_path / "x.weights.h5")


@pytest.mark.parametrize(("dtype", "value"), [("float32", 1e300), ("float16", 7e4)])
def test_numbers_that_a_model_cannot_hold_are_refused(tmp_path, dtype, value):
    """They are finite in the file."""

    def build(dtype):
        layer = keras.layers.Dense(2, name="dense", dtype=dtype)
        return keras.Sequential([keras.Input((3,)), layer])

    build("float64").save_weights(tmp_path / "x.weights.h5")
    with h5py.File(tmp_path / "x.weights.h5", "r+") as file:
        file["layers/dense/vars/0"][0, 0] = value
    model = build(dtype)
    before = model.get_weights()
    with pytest.raises(WeightsError, match="dense/kernel' would hold numbers that are not finite"):
        weights.load(model, tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    weights.load(build("float64"), tmp_path / "x.weights.h5")


@pytest.mark.parametrize("kind", ["bomb", "nan"])
def test_files_for_other_models_are_read_before_keras_does(tmp_path, kind):
    def build():
        return keras.Sequential([keras.Input((64,)), keras.layers.Dense(16, name="dense")])

    build().save_weights(tmp_path / "x.weights.h5")
    with h5py.File(tmp_path / "x.weights.h5", "r+") as file:
        del file["layers/dense/vars/0"]
        options = {"chunks": (64, 16), "compression": "gzip"} if kind == "bomb" else {}
        data = file.create_dataset("layers/dense/vars/0", (64, 16), "f4", **options)
        if kind == "bomb":
            data.id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 26)))
        else:
            data[...] = np.nan
    reason = "unpacks to another size" if kind == "bomb" else "not finite"
    with pytest.raises(WeightsError, match=reason):
        weights.load(build(), tmp_path / "x.weights.h5")
