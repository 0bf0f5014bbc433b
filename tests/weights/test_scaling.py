"""The scaling that weights expect follows from their file, or an error asks for it."""

import dataclasses
import json

import h5py
import keras
import numpy as np
import pytest

import keras_residual as kr
from keras_residual import _description, weights
from keras_residual.weights import Preprocessing, WeightsError, _layouts, _slots

TINY = {"input_shape": (32, 32, 3), "classes": 5, "depths": (1, 1, 1, 1)}
TINY |= {"widths": (4, 8, 8, 16), "stem_width": 4}
CAFFE, TF, TORCH = (Preprocessing.from_mode(mode) for mode in ("caffe", "tf", "torch"))
HALF = weights.find("ResNet50V2").preprocessing
V2_KERAS = {"strided_block": "last", "pool_padding": "zero", "conv_bias": True}
V2_KERAS |= {"depths": (2, 2, 1, 1)}


def build(name, **options):
    dense = {"depths": (1, 1), "growth_rate": 4, "input_shape": (32, 32, 3), "classes": 5}
    return kr.get_model(name, **{**(dense if "Dense" in name else TINY), **options})


def write(model, layout, path):
    """Writes a model's weights in the names of a library."""
    if layout == "own":
        model.save_weights(path) if path.name.endswith(".h5") else model.save(path)
        return path
    named = getattr(_layouts, layout)
    arrays = {}
    for slot, value in _slots.read(_slots.slots_of(model)):
        arrays[named.key(slot)] = np.array(named.from_ours(slot, value), order="C")
    if path.suffix == ".npz":
        np.savez(path, **{name.replace(".", "/"): value for name, value in arrays.items()})
    elif path.suffix == ".safetensors":
        pytest.importorskip("safetensors.numpy").save_file(arrays, path)
    elif path.suffix == ".pth":
        torch = pytest.importorskip("torch")
        torch.save({name: torch.from_numpy(value) for name, value in arrays.items()}, path)
    else:
        with h5py.File(path, "w") as file:
            layers = {name.rpartition(".")[0]: {} for name in arrays}
            for name, value in arrays.items():
                layers[name.rpartition(".")[0]][name.rpartition(".")[2]] = value
            file.attrs["layer_names"] = [layer.encode() for layer in layers]
            for layer, kinds in layers.items():
                group = file.create_group(layer)
                group.attrs["weight_names"] = [f"{layer}/{kind}:0".encode() for kind in kinds]
                for kind, value in kinds.items():
                    group[f"{layer}/{kind}:0"] = value
    return path


KNOWN = [
    ("ResNet50V1", "KERAS_V1", "x.h5", {}, CAFFE),
    ("ResNet50V1", "KERAS_V1", "x.npz", {}, CAFFE),
    ("ResNet101V1", "KERAS_V1", "my_own_name.h5", {}, CAFFE),
    ("ResNet50V2", "KERAS_V2", "x.h5", V2_KERAS, TF),
    ("DenseNet121", "KERAS_DENSENET", "x.h5", {}, TORCH),
    ("DenseNet121", "TORCHVISION_DENSENET", "x.pth", {}, TORCH),
    ("DenseNet121", "TORCHVISION_DENSENET", "x.safetensors", {}, TORCH),
    ("ResNet18", "TORCHVISION", "x.pth", {}, TORCH),
    ("ResNet34", "TORCHVISION", "x.pth", {}, TORCH),
    ("ResNet50", "TORCHVISION", "x.pth", {}, TORCH),
    ("ResNet50", "TRANSFORMERS", "x.safetensors", {}, TORCH),
    ("ResNet50V2", "TIMM_V2", "x.safetensors", {"share_preactivation": False}, HALF),
    ("ResNet34", "TORCHVISION", "resnet34.ra4_e3600_r224_in1k.safetensors", {}, HALF),
    ("ResNet34", "TORCHVISION", "resnet34.a1_in1k.safetensors", {}, TORCH),
]
UNKNOWN = [
    ("ResNet50V1", "own", "x.weights.h5"),
    ("ResNet50V1", "own", "x.keras"),
    ("ResNet18", "TORCHVISION", "x.npz"),
    ("ResNet34", "TORCHVISION", "x.safetensors"),
    ("ResNet20", "TORCHVISION", "x.pth"),
]


@pytest.mark.parametrize(("name", "layout", "file", "options", "expected"), KNOWN)
def test_the_file_tells(tmp_path, name, layout, file, options, expected):
    path = write(build(name, **options), layout, tmp_path / file)
    model = build(name, weights=path, include_preprocessing=True, **options)
    assert expected.scales_like(model.get_layer("preprocessing"))
    plain = build(name, weights=path, **options)
    assert weights.preprocessing_of(plain).scales_like(expected)
    described = weights.description_of(plain)
    assert Preprocessing.from_dict(described.preprocessing).scales_like(expected)


@pytest.mark.parametrize(("name", "layout", "file"), UNKNOWN)
def test_where_nobody_can_know_it_is_asked_for(tmp_path, name, layout, file):
    options = {"depths": (1, 1, 1), "widths": (4, 8, 8)} if name == "ResNet20" else {}
    path = write(build(name, **options), layout, tmp_path / file)
    with pytest.raises(ValueError, match="`include_preprocessing` must name the scaling"):
        build(name, weights=path, include_preprocessing=True, **options)
    plain = build(name, weights=path, **options)
    with pytest.raises(ValueError, match="not known what the weights of the model"):
        kr.preprocess(np.zeros((1, 40, 40, 3), "uint8"), plain)
    named = build(name, weights=path, include_preprocessing="tf", **options)
    assert TF.scales_like(named.get_layer("preprocessing"))


@pytest.mark.parametrize(
    ("name", "mode"), [("caffe", CAFFE), ("tf", TF), ("torch", TORCH), ("ResNet50V2", HALF)]
)
def test_the_scaling_can_be_named(name, mode):
    model = build("ResNet18", include_preprocessing=name)
    assert mode.scales_like(model.get_layer("preprocessing"))


def test_the_scaling_can_be_given():
    steps = Preprocessing(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0), divisor=100.0)
    model = build("ResNet18", include_preprocessing=steps, input_shape=(32, 32, 3))
    assert steps.scales_like(model.get_layer("preprocessing"))


def test_without_weights_it_is_that_of_imagenet():
    assert TORCH.scales_like(
        build("ResNet50V1", include_preprocessing=True).get_layer("preprocessing")
    )


def test_what_is_named_wins_over_the_layout_of_a_file(tmp_path):
    path = write(build("ResNet50V1"), "KERAS_V1", tmp_path / "x.h5")
    model = build("ResNet50V1", weights=path, include_preprocessing="torch")
    assert TORCH.scales_like(model.get_layer("preprocessing"))
    other = build("ResNet50V1", include_preprocessing=True)
    with pytest.raises(WeightsError, match="build the model with include_preprocessing='caffe'"):
        weights.load(other, path)
    weights.load(build("ResNet50V1", include_preprocessing="caffe"), path)


def test_a_state_dict_tells_too():
    state = weights.to_torch(build("ResNet18"))
    model = build("ResNet18", weights=state, include_preprocessing=True)
    assert TORCH.scales_like(model.get_layer("preprocessing"))


def test_an_archive_with_the_scaling_inside_tells_it(tmp_path):
    build("ResNet18", include_preprocessing="tf").save(tmp_path / "x.keras")
    model = build("ResNet18", weights=tmp_path / "x.keras", include_preprocessing=True)
    assert TF.scales_like(model.get_layer("preprocessing"))


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"pretrained_cfg": 3}', "[" * 9999])
def test_a_configuration_of_others_says_nothing(tmp_path, content):
    path = write(build("ResNet34"), "TORCHVISION", tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match="must name the scaling"):
        build("ResNet34", weights=path, include_preprocessing=True)


def test_timms_configuration_beside_a_file_tells(tmp_path):
    path = write(build("ResNet34"), "TORCHVISION", tmp_path / "model.safetensors")
    published = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 160, 160]}
    published |= {"crop_pct": 0.95, "interpolation": "bicubic"}
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": published}))
    steps = weights.preprocessing_of(build("ResNet34", weights=path))
    assert (steps.mean, steps.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (steps.resize, steps.crop, steps.interpolation) == (168, 160, "bicubic")


def test_a_configuration_beside_other_weights_says_nothing_of_them(tmp_path):
    """Downloads of several networks may stand in one folder."""
    published = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": published}))
    path = write(build("ResNet50V1"), "KERAS_V1", tmp_path / "model.weights.h5")
    assert weights.preprocessing_of(build("ResNet50V1", weights=path)).scales_like(CAFFE)
    path = write(build("ResNet34"), "TORCHVISION", tmp_path / "mine.safetensors")
    with pytest.raises(ValueError, match="must name the scaling"):
        build("ResNet34", weights=path, include_preprocessing=True)
    pushed = {"library": "keras_residual", "file": "other.npz"}
    pushed |= {"preprocessing": dataclasses.asdict(HALF)}
    (tmp_path / "config.json").write_text(json.dumps(pushed))
    path = write(build("ResNet34"), "TORCHVISION", tmp_path / "model.npz")
    with pytest.raises(ValueError, match="must name the scaling"):
        build("ResNet34", weights=path, include_preprocessing=True)
    (tmp_path / "config.json").write_text(json.dumps({**pushed, "file": "model.npz"}))
    assert weights.preprocessing_of(build("ResNet34", weights=path)).scales_like(HALF)


@pytest.mark.parametrize("text", ["{", '{"mean": 5}', '{"colour": 1}', "[" * 9999, "[1]"])
def test_a_damaged_statement_is_named(tmp_path, text):
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = weights.to_torch(build("ResNet18"))
    path = tmp_path / "x.safetensors"
    safetensors.save_file(arrays, path, metadata={"preprocessing": text})
    with pytest.raises(WeightsError, match=r"x\.safetensors: damaged: the scaling of pixels"):
        build("ResNet18", weights=path)


def test_the_last_statement_counts(tmp_path):
    """A training on other pixels replaces the scaling of the weights it started from."""
    path = write(build("ResNet50V1"), "KERAS_V1", tmp_path / "x.h5")
    model = build("ResNet50V1", weights=path)
    assert weights.preprocessing_of(model).scales_like(CAFFE)
    _description.describe(model, _description.Description(class_names=tuple("abcde")))
    assert weights.preprocessing_of(model).scales_like(Preprocessing.from_white(1.0))
    weights.load(model, path)
    assert weights.preprocessing_of(model).scales_like(CAFFE)
    described = weights.description_of(model)
    assert Preprocessing.from_dict(described.preprocessing).scales_like(CAFFE)
    assert described.class_names == tuple("abcde") and described.white is None


def test_other_weights_are_forgotten(tmp_path):
    model = build("ResNet50V1", weights=write(build("ResNet50V1"), "KERAS_V1", tmp_path / "x.h5"))
    weights.load(model, write(build("ResNet50V1"), "own", tmp_path / "y.weights.h5"))
    with pytest.raises(ValueError, match="not known what the weights"):
        weights.preprocessing_of(model)


def test_the_layer_inside_a_loaded_model_is_enough(tmp_path):
    build("ResNet18", include_preprocessing="caffe").save(tmp_path / "x.keras")
    model = keras.saving.load_model(tmp_path / "x.keras")
    steps = weights.preprocessing_of(model)
    assert steps.scales_like(CAFFE) and steps.crop == 32
    images = np.random.default_rng(0).integers(0, 256, (1, 50, 60, 3), "uint8")
    assert kr.preprocess(images, model).shape == (1, 32, 32, 3)


@pytest.mark.parametrize("inside", [False, True])
def test_a_description_tells(tmp_path, inside):
    model = build("ResNet18")
    if inside:
        described = _description.Description(white=2.0)
        expected = Preprocessing.from_white(2.0)
    else:
        described = _description.Description(
            white=None, preprocessing=dataclasses.asdict(dataclasses.replace(HALF, resize=40))
        )
        expected = HALF
    _description.describe(model, described)
    assert weights.preprocessing_of(model).scales_like(expected)
    model.save(tmp_path / "x.keras")
    _description.write_into(tmp_path / "x.keras", described)
    built = build("ResNet18", weights=tmp_path / "x.keras", include_preprocessing=True)
    assert expected.scales_like(built.get_layer("preprocessing"))


def test_steps_come_back_from_a_dict():
    assert Preprocessing.from_dict(dataclasses.asdict(CAFFE)) == CAFFE
    with pytest.raises(ValueError, match="`steps` must be a dict"):
        Preprocessing.from_dict({"colour": 1})


class TestExportCommand:
    def test_the_file_tells(self, tmp_path, monkeypatch):
        from keras_residual.cli import _export_data

        path = write(build("ResNet50V1"), "KERAS_V1", tmp_path / "x.h5")
        own = write(build("ResNet50V1"), "own", tmp_path / "x.weights.h5")
        get_model = kr.get_model
        monkeypatch.setattr(kr, "get_model", lambda name, **given: get_model(name, **TINY, **given))
        _, layer = _export_data.load_model("ResNet50V1", str(path))
        assert CAFFE.scales_like(layer)
        with pytest.raises(ValueError, match="give it as `--preprocessing`"):
            _export_data.load_model("ResNet50V1", str(own))
        _, layer = _export_data.load_model("ResNet50V1", str(own), "tf")
        assert TF.scales_like(layer)
        with pytest.raises(ValueError, match="`--preprocessing` must be caffe, tf, torch"):
            _export_data.load_model("ResNet50V1", str(own), "rgb")


@pytest.mark.parametrize("name", ["ResNet18", "ResNet50V2", "DenseNet121"])
def test_the_regularizer_reaches_every_kernel(name):
    model = build(name, kernel_regularizer=keras.regularizers.L2(1e-3))
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
    wanted = 1e-3 * sum(float((np.asarray(kernel) ** 2).sum()) for kernel in kernels)
    assert float(sum(map(float, model.losses))) == pytest.approx(wanted, rel=1e-3)
    assert model.get_layer("classifier").kernel_regularizer is not None
