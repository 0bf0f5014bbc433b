"""Core ML packages: what is written, and the same numbers from their programs."""

import json
import sys

import keras
import numpy as np
import pytest
from cases import MODELS
from export.phone_networks import NAMES, RGB, described, network

from keras_residual import export

if keras.backend.backend() != "tensorflow":
    pytest.skip("Core ML packages are written on TensorFlow", allow_module_level=True)
pytest.importorskip("coremltools")

FAMILIES = ("ResNet50V1", "ResNeXt50_32x4d", "DenseNet121", "SEResNet50", "Res2Net50_26w_4s")
FAMILIES += ("ResNeSt50D", "SKResNet18", "DPN68b", "BiTResNet50x1", "RegNetZ040H", "RevNet38")
FAMILIES += ("R2Plus1D18", "ResNet1D", "Res15Narrow", "FractalNet20", "ShakeShake26_2x32d")
FAMILIES += ("ResNet50V2", "ResNet18D", "ResNet20", "WideResNet28_10", "MC3_18", "BCResNet1")


def write(model, folder, *arguments, **options):
    options = {"measure": False, **options}
    return export.export(model, folder, "coreml", *arguments, **options)


@pytest.mark.parametrize("quantization", [None, "float16", "dynamic"])
def test_a_classifier_of_pictures_is_ready_for_an_app(tmp_path, quantization):
    model = described(network(), white=1.0, dataset="toys")
    report = write(model, tmp_path, quantization, RGB / np.float32(255))
    (row,) = report.rows
    assert row.path.suffix == ".mlpackage" and row.path.is_dir()
    bound = {None: 1e-5, "float16": 0.005, "dynamic": 0.02}[quantization]
    assert row.verification.worst < bound and row.verification.samples == 8
    assert "Apple's own runtime" in str(report)
    assert row.operations["conv"] > 4 and "const" not in row.operations
    file = export.load(row.path)
    assert file.labels == list(NAMES) and file.description.dataset == "toys"
    expected = model.predict(RGB / np.float32(255), verbose=0)
    # Raw pixels: scaling is inside.
    assert np.abs(file.predict(RGB) - expected).max() < bound
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["artefacts"][row.path.name]["timing"] is None


def test_the_specification_is_what_apps_read(tmp_path):
    import coremltools

    (row,) = write(described(network(), white=1.0), tmp_path).rows
    spec = coremltools.models.utils.load_spec(str(row.path))
    (taken,) = spec.description.input
    image = taken.type.imageType
    assert (image.width, image.height) == (16, 16)
    assert image.colorSpace == image.RGB
    assert spec.WhichOneof("Type") == "mlProgram"
    assert spec.description.predictedFeatureName == "classLabel"
    kinds = {each.name: each.type.WhichOneof("Type") for each in spec.description.output}
    assert kinds["classLabel"] == "stringType" and "dictionaryType" in kinds.values()


def test_integers_leave_it_in_floating_point(tmp_path):
    model, data = described(network(), white=1.0), RGB / np.float32(255)
    formats = ("litert", "coreml")
    report = export.export(model, tmp_path, formats, "int8", data, measure=False)
    names = [row.path.name for row in report.rows]
    assert names == ["model_int8.tflite", "model.mlpackage"]
    assert report.rows[1].verification.worst < 1e-5
    assert "The coreml is not quantized." in report.notes
    # Both stay when one is written again.
    export.export(model, tmp_path, "coreml", measure=False)
    assert (tmp_path / "model_int8.tflite").exists()


def test_what_has_no_classes_puts_out_its_numbers(tmp_path):
    model = network(include_top=False, pooling="avg", classes=1000)
    (row,) = write(model, tmp_path, None, RGB / np.float32(255)).rows
    assert row.verification.worst < 1e-5
    file = export.load(row.path)
    assert file.labels is None and file.input_shape == (1, 16, 16, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_computes_the_same(name, tmp_path):
    (case,) = (case for case in MODELS if case.name == name)
    keras.utils.set_random_seed(1)
    (row,) = write(case.make(), tmp_path).rows
    assert row.verification.relative < 1e-5


def test_a_damaged_package_and_an_open_size_are_named(tmp_path):
    (tmp_path / "damaged.mlpackage").mkdir()
    with pytest.raises(export.ExportError, match="not a readable Core ML package"):
        export.load(tmp_path / "damaged.mlpackage")
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    data = np.zeros((2, 4, 4, 3), np.float32)
    with pytest.raises(export.ExportError, match="needs inputs of fixed size"):
        write(model, tmp_path / "out", None, data)
    (row,) = write(network(), tmp_path / "out").rows
    with pytest.raises(export.ExportError, match="runs on Apple's devices"):
        export.benchmark(row.path)


def test_a_missing_coremltools_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(ImportError, match=r"keras-residual\[coreml\]"):
        write(network(), tmp_path)
