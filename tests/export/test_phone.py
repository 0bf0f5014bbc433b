"""LiteRT files for phones: pictures in, scaling and labels inside, the same answers."""

import json
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest
from export.phone_networks import NAMES, RANDOM, RGB, described, network, write
from support import photographs

import keras_residual
from keras_residual import export, layers, weights
from keras_residual.export._pictures import cropped, decoded, stretched
from keras_residual.export._pixels import LUMA, Pixels
from keras_residual.export._signature import input_specs
from keras_residual.export._target import layer_of
from keras_residual.export.proof.clients import node_modules
from keras_residual.export.rewrite.picture import picture_network

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def input_details(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    return interpreter.get_input_details()[0], interpreter.get_output_details()[0]


@pytest.mark.parametrize("quantization", [None, "float16", "dynamic", "int8", "int16x8"])
def test_a_described_model_takes_pictures(tmp_path, quantization):
    model = described(network(), white=1.0)
    (row,) = write(model, tmp_path, quantization, RGB / np.float32(255)).rows
    taken, given = input_details(row.path)
    assert taken["shape"].tolist() == [1, 16, 16, 3]
    whole = quantization == "int8"
    assert taken["dtype"] == (np.uint8 if whole else np.float32)
    assert given["dtype"] == np.float32
    if whole:
        assert taken["quantization"] == (1.0, 0)
    artefact = export.load(row.path)
    assert artefact.labels == list(NAMES)
    as_pixels, as_inputs = artefact.predict(RGB), artefact.predict(RGB / np.float32(255))
    np.testing.assert_array_equal(as_pixels, as_inputs)
    expected = model.predict(RGB / np.float32(255), verbose=0)
    assert np.abs(as_pixels - expected).max() < (1e-5 if quantization is None else 0.02)
    with pytest.raises(ValueError, match="whose pixels lie in 0…255"):
        artefact.predict(RGB.astype(np.float32))


SCALINGS = {
    "preprocessing": lambda: described(
        network(),
        white=None,
        preprocessing={"mean": MEAN, "std": STD, "divisor": 255.0, "channels": "rgb"},
    ),
    "caffe": lambda: described(
        network(),
        white=None,
        preprocessing={
            "mean": (103.9, 116.8, 123.7),
            "std": (1.0, 1.0, 1.0),
            "divisor": 1.0,
            "channels": "bgr",
        },
    ),
    "inside": lambda: network(include_preprocessing=True),
    "grey": lambda: described(network(channels=1), white=1.0),
}


@pytest.mark.parametrize("name", list(SCALINGS))
def test_scaling_is_exact_up_to_the_border(name):
    model = SCALINGS[name]()
    found = weights.description_of(model)
    channels = model.input_shape[-1]
    pixels = Pixels.of_channels(channels)
    if found is not None:
        (spec,) = input_specs(model).values()
        pixels = pixels.then(layer_of(found, spec))
    made = picture_network(model, pixels)
    assert made.folded
    kinds = [type(layer).__name__ for layer in made.network.layers]
    assert "Rescaling" not in kinds and "ImageNormalization" not in kinds
    expected = model.predict(pixels.apply(RGB), verbose=0)
    answers = [made.network(picture[None].astype(np.float32)) for picture in RGB]
    np.testing.assert_allclose(np.concatenate(answers), expected, atol=2e-6)


def test_pixels_compose_and_invert():
    pixels = Pixels.of_channels(3).then(layers.ImageNormalization(MEAN, STD, channels="bgr"))
    values = np.asarray(layers.ImageNormalization(MEAN, STD, channels="bgr")(RGB))
    np.testing.assert_allclose(pixels.apply(RGB), values, atol=1e-5)
    np.testing.assert_array_equal(pixels.pixels_of("x", values), RGB)
    grey = Pixels.of_channels(1).then(keras.layers.Rescaling(1 / 127.5, offset=-1))
    np.testing.assert_allclose(grey.apply(RGB)[..., 0], RGB @ np.array(LUMA) / 127.5 - 1, atol=1e-5)
    back = grey.invert(grey.apply(np.repeat(RGB[..., :1], 3, -1)))
    np.testing.assert_allclose(back, np.repeat(RGB[..., :1], 3, -1), atol=1e-3)
    assert Pixels.of_channels(3).then(keras.layers.Dense(3)) is None


def test_a_network_of_unknown_scaling_takes_what_it_takes(tmp_path):
    model = network()
    (row,) = write(model, tmp_path).rows
    assert input_details(row.path)[0]["shape_signature"].tolist() == [-1, 16, 16, 3]
    with pytest.raises(ValueError, match=r"the scaling of pixels is unknown.*`preprocessing`"):
        write(model, tmp_path, target="phone")
    with pytest.raises(ValueError, match="`preprocessing` must be given"):
        write(model, tmp_path, include_preprocessing=True)
    scaling = keras.layers.Rescaling(1 / 255)
    (row,) = write(model, tmp_path, preprocessing=scaling).rows
    assert export.load(row.path).pixels is not None
    (row,) = write(model, tmp_path, preprocessing=scaling, target="server").rows
    assert export.load(row.path).pixels is None


def test_a_report_says_what_an_app_would_miss(tmp_path):
    model = network()
    assert "the scaling of pixels is unknown" in str(write(model, tmp_path))
    assert "the scaling of pixels is unknown" not in str(write(model, tmp_path, target="server"))
    report = write(model, tmp_path, preprocessing=keras.layers.Rescaling(1 / 255))
    assert "no class names" in str(report)
    report = write(described(model, white=1.0), tmp_path)
    assert not report.notes


def test_servers_keep_what_they_have(tmp_path):
    model = described(network(), white=1.0)
    report = export.export(model, tmp_path, ("saved_model", "onnx"), measure=False)
    for row in report.rows:
        assert export.load(row.path).input_shape == (None, 16, 16, 3)
        assert row.verification.worst < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "watch"}, "`target` must be one of None, 'phone', 'server'"),
        ({"outputs": "int8"}, "`outputs` must be one of None, 'uint8', 'float32'"),
        ({"outputs": "uint8"}, '`outputs="uint8"` needs quantization="int8"'),
        ({"outputs": "float32", "target": "server"}, "`outputs` is for files for phones"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write(described(network(), white=1.0), tmp_path, **options)


def test_outputs_by_choice_and_a_softmax_that_keeps_the_order(tmp_path):
    model = described(network(), white=1.0)
    data = RGB / np.float32(255)
    (row,) = write(model, tmp_path, "int8", data, outputs="uint8").rows
    taken, given = input_details(row.path)
    assert taken["dtype"] == given["dtype"] == np.uint8
    assert taken["quantization"] == (1.0, 0) and given["quantization"] == (1 / 256, 0)
    assert not {each.delegate for each in row.refusals} & {"edgetpu", "gpu", "nnapi"}
    assert "DEQUANTIZE" not in row.operations
    many = network(classes=300, include_preprocessing=True)
    report = write(many, tmp_path, "int8", RGB.astype(np.float32))
    taken, given = input_details(report.rows[0].path)
    assert taken["dtype"] == np.uint8 and given["dtype"] == np.float32
    assert "computes the softmax in floating point" in str(report)
    answers = export.load(report.rows[0].path).predict(RGB)
    np.testing.assert_allclose(answers.sum(-1), 1, atol=1e-4)
    # Steps of 1/256 would leave all of 300 nearly equal classes at zero or one step.
    assert len(np.unique(answers[0])) > 2 and answers.min() > 0
    operations = report.rows[0].operations
    assert operations["DEQUANTIZE"] == 2 and operations["SOFTMAX"] == operations["SUB"] == 1


def test_the_card_says_what_the_file_takes(tmp_path):
    model = described(network(), white=1.0, fit="crop", crop=0.875)
    options = {"outputs": "uint8"}
    (row,) = write(model, tmp_path, "int8", RGB / np.float32(255), **options).rows
    text = (tmp_path / "README.md").read_text()
    assert "`model_int8.tflite` takes `image`, 1 × 16 × 16 × 3, uint8" in text
    assert "RGB, NHWC, pixels 0…255, its centre, 87.5% of the shorter side" in text
    assert "real value = 0.00390625 × (value − 0)" in text
    assert row.tensors["inputs"][0]["scale"] == 1.0


def test_accuracy_of_photographs_is_measured_for_both_fits(tmp_path):
    model = described(network(), white=1.0)
    photographs = [RANDOM.integers(0, 256, (h, w, 3)).astype(np.uint8) for h, w in SIZES]
    classes = np.arange(len(SIZES)) % 5
    (row,) = write(model, tmp_path, evaluation_data=(photographs, classes)).rows
    assert set(row.fits) == {"stretch", "crop"}
    levels = np.stack([cropped(photo, (16, 16)) for photo in photographs])
    expected = model.predict(levels / np.float32(255), verbose=0).argmax(-1) == classes
    assert row.fits["crop"]["accuracy"] == expected.mean()
    assert "cropped to their centre" in (tmp_path / "README.md").read_text()


SIZES = [(40, 30), (16, 16), (9, 50), (64, 64), (33, 20), (21, 21)]


def test_pictures_are_brought_to_size_as_mediapipe_does():
    """By hand: pixel `i` stands at `i * old / new`, halves are rounded upwards."""
    ramp = np.arange(6, dtype=np.uint8)[None, :, None].repeat(3, -1) * 10
    assert stretched(ramp, (1, 4))[0, :, 0].tolist() == [0, 15, 30, 45]
    odd = np.array([0, 5, 9], np.uint8)[None, :, None].repeat(3, -1)
    assert stretched(odd, (1, 6))[0, :, 0].tolist() == [0, 3, 5, 7, 9, 9]
    # 16 / 7 = 2.2857 pixels are taken for 2 9/32 = 2.28125.
    steep = (np.arange(16) * 17).astype(np.uint8)[None, :, None].repeat(3, -1)
    assert stretched(steep, (1, 7))[0, 1, 0] == 39 and round(17 * 16 / 7) == 39
    assert stretched(255 - steep, (1, 7))[0, 3, 0] == round(255 - 17 * 6.84375 + 1e-9)


def test_photographs_are_turned_as_their_exif_data_say(tmp_path):
    image = pytest.importorskip("PIL.Image")
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:, :8] = 255
    exif = image.Exif()
    exif[0x0112] = 6
    image.fromarray(np.rot90(upright)).save(tmp_path / "lying.png", exif=exif)
    np.testing.assert_array_equal(decoded(tmp_path / "lying.png"), upright)


MEDIAPIPE = os.environ.get(export.MEDIAPIPE_PYTHON)
with_mediapipe = pytest.mark.skipif(
    not MEDIAPIPE or not pathlib.Path(MEDIAPIPE).is_file(), reason="no interpreter with mediapipe"
)


@with_mediapipe
@pytest.mark.parametrize("quantization", [None, "int8"])
def test_mediapipe_answers_as_keras(tmp_path, quantization):
    model = keras_residual.ResNet8(weights="cifar10")
    pictures = list(photographs(200))
    small = np.stack([stretched(picture, (32, 32)) for picture in pictures])
    data = weights.preprocess(small, model, resize=False)
    (row,) = write(model, tmp_path, quantization, data).rows
    checked = export.verify(row.path, model, pictures, runtime="mediapipe")
    assert checked.samples == 200
    if quantization is None:
        assert checked.agreement == 1.0 and checked.worst < 1e-3
    else:
        assert checked.agreement > 0.9
        own = export.load(row.path).predict(small)
        paths = []
        for index, picture in enumerate(pictures[:20]):
            paths.append(tmp_path / f"{index}.png")
            pytest.importorskip("PIL.Image").fromarray(picture).save(paths[-1])
        from keras_residual.export.proof.clients import run_mediapipe

        answers = run_mediapipe(row.path, "classifier", [decoded(path) for path in paths])
        np.testing.assert_allclose(np.stack(answers), own[:20], atol=1e-6)


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_compiled_model_answers_as_keras(tmp_path, quantization):
    model = described(network(), white=1.0)
    data = RGB / np.float32(255)
    (row,) = write(model, tmp_path, quantization, data).rows
    checked = export.verify(row.path, model, data, runtime="compiled_model")
    assert checked.worst < (1e-5 if quantization is None else 0.05)


def test_an_absent_mediapipe_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(export.MEDIAPIPE_PYTHON, str(tmp_path / "none"))
    model = described(network(), white=1.0)
    (row,) = write(model, tmp_path).rows
    with pytest.raises(ImportError, match="No interpreter was found at"):
        export.verify(row.path, model, [RGB[0]], runtime="mediapipe")


def test_a_file_says_what_goes_into_it(tmp_path):
    model = described(network(), white=1.0, dataset="toys")
    report = export.export(model, tmp_path, ("litert", "onnx"), measure=False)
    card = json.loads((tmp_path / "card.json").read_text())
    for row, white in zip(report.rows, (255.0, 1.0), strict=True):
        found = export.load(row.path).description
        assert found.class_names == NAMES and found.white == white and found.dataset == "toys"
        assert card["artefacts"][row.path.name]["description"]["white"] == white
    (tmp_path / "card.json").unlink()
    assert export.load(report.rows[0].path).description.white == 255.0
    assert export.load(report.rows[1].path).description is None


NODE_MODULES = os.environ.get("KERAS_RESIDUAL_NODE_MODULES", "")


@pytest.mark.skipif(
    not (pathlib.Path(NODE_MODULES) / "onnxruntime-web").is_dir() or not shutil.which("node"),
    reason="no Node, or no onnxruntime-web",
)
def test_onnxruntime_web_answers_as_keras(tmp_path):
    model, data = described(network(), white=1.0), RGB / np.float32(255)
    (row,) = export.export(model, tmp_path, "onnx", representative_data=data, measure=False).rows
    checked = export.verify(row.path, model, data, runtime="onnxruntime-web")
    assert checked.samples == len(RGB) and checked.worst < 1e-5


@pytest.mark.skipif(
    not (pathlib.Path(NODE_MODULES) / "@litertjs" / "core").is_dir() or not shutil.which("node"),
    reason="no Node, or no LiteRT.js",
)
@pytest.mark.parametrize("quantization", [None, "int8"])
def test_litert_js_answers_as_litert(quantization, tmp_path):
    model, data = described(network(), white=1.0), RGB / np.float32(255)
    (row,) = write(model, tmp_path, quantization, data).rows
    checked = export.verify(row.path, model, data, runtime="litert.js")
    here = export.verify(row.path, model, data)
    assert checked.samples == len(RGB)
    assert checked.worst <= here.worst + (1e-5 if quantization is None else 0.02)


def test_litert_js_takes_litert_files(tmp_path):
    model, data = described(network(), white=1.0), RGB / np.float32(255)
    (row,) = export.export(model, tmp_path, "onnx", representative_data=data, measure=False).rows
    with pytest.raises(export.ExportError, match=r"LiteRT\.js takes LiteRT files"):
        export.verify(row.path, model, data, runtime="litert.js")


def test_an_absent_onnxruntime_web_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_RESIDUAL_NODE_MODULES", str(tmp_path))
    with pytest.raises(ImportError, match="npm install onnxruntime-web"):
        node_modules("onnxruntime-web")
    with pytest.raises(ImportError, match="npm install @litertjs/core"):
        node_modules("@litertjs/core")


def test_a_quantization_aware_model_takes_pictures(tmp_path):
    model, data = described(network(), white=1.0), RGB / np.float32(255)
    aware = export.quantization_aware(model, data)
    (row,) = write(aware, tmp_path, "int8", data).rows
    taken, given = input_details(row.path)
    assert taken["dtype"] == np.uint8 and taken["quantization"] == (1.0, 0)
    assert given["dtype"] == np.float32
    assert export.load(row.path).labels == list(NAMES)
    expected = aware.predict(data, verbose=0)
    assert np.abs(export.load(row.path).predict(RGB) - expected).max() < 0.03


def test_a_batch_is_no_picture(tmp_path):
    model = described(network(), white=1.0)
    (row,) = write(model, tmp_path, batch_size=3).rows
    assert export.load(row.path).input_shape == (3, 16, 16, 3)
    with pytest.raises(ValueError, match="phones take one picture"):
        write(model, tmp_path, batch_size=3, target="phone")
