import subprocess
import sys

import keras
import numpy as np
import pytest
from support import set_sequential_weights

import keras_residual
from keras_residual import _description, export

SHAPE = (9, 8, 3)


def tiny_model(**options):
    options = {"depths": (2, 1), "widths": (8, 16), "classes": 5, **options}
    model = keras_residual.ResNet(
        stem="conv3", stem_width=8, input_shape=SHAPE, **{"block": "basic", **options}
    )
    set_sequential_weights(model)
    return model


def write(model, directory, *arguments, **options):
    """Exports without measuring, which starts a process a file."""
    return export.export(model, directory, *arguments, **{"measure": False, **options})


def images(count=16):
    return np.random.default_rng(0).random((count, *SHAPE), np.float32)


def test_files_compute_what_the_model_computes(tmp_path):
    """Grouped convolutions, symmetric padding and squeeze-and-excitation in one network."""
    model = tiny_model(block="bottleneck", cardinality=4, base_width=32, se_ratio=0.25)
    report = write(model, tmp_path, representative_data=images())
    assert [row.path.name for row in report.rows] == ["saved_model", "model.tflite"]
    expected = model.predict(images(), verbose=0)
    for row in report.rows:
        outputs = export.load(row.path).predict(images(), batch_size=5)
        np.testing.assert_allclose(outputs, expected, atol=1e-5)
        assert row.verification.worst < 1e-5 and row.verification.agreement == 1.0
        assert row.bytes == export.load(row.path).bytes > 10_000
    assert "saved_model" in str(report) and "model.tflite" in str(report)


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_accuracy_of_several_labels_is_the_fraction_that_is_right(tmp_path, activation):
    model = tiny_model(classifier_activation=activation, classes=3)
    logits = model.predict(images(), verbose=0) - (0.5 if activation == "sigmoid" else 0)
    labels = (logits > 0).astype(np.float32)
    labels[0] = 1 - labels[0]
    report = write(model, tmp_path, ("litert",), evaluation_data=(images(), labels))
    checked = report.rows[0].verification
    assert checked.accuracy == checked.model_accuracy == 1 - 1 / 16
    assert checked.accuracy_interval[0] < checked.accuracy < checked.accuracy_interval[1]
    assert checked.error is None
    assert "93.75%" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_numbers_are_compared_by_their_error(tmp_path):
    model = tiny_model(classifier_activation="linear", classes=2)
    numbers = model.predict(images(), verbose=0) + np.array([0.25, -0.75])
    report = write(model, tmp_path, ("litert",), evaluation_data=(images(), numbers))
    checked = report.rows[0].verification
    assert (checked.error, checked.model_error) == pytest.approx((0.5, 0.5), abs=1e-5)
    assert checked.accuracy is None
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| – | mean absolute error 0.5 (0.5 in Keras) |" in card
    assert "–" in str(report)


def test_a_measuring_model_is_not_judged_by_zeros_and_ones(tmp_path):
    model = tiny_model(classifier_activation="linear", classes=1)
    _description.describe(model, keras_residual.Description(task="regression"))
    numbers = np.zeros((16, 1))
    report = write(model, tmp_path, ("litert",), evaluation_data=(images(), numbers))
    expected = np.abs(model.predict(images(), verbose=0)).mean()
    assert report.rows[0].verification.error == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (np.zeros((16, 2)), r"numbers of shape \(16, 5\).*float64 of shape \(16, 2\)"),
        (np.full((16, 5), np.nan), "NaN or infinity"),
        (np.full(16, 5), r"classes in 0\.\.4"),
        (["cat"] * 16, "<U3"),
    ],
)
def test_answers_that_do_not_fit_are_refused(tmp_path, answers, message):
    with pytest.raises(ValueError, match=f"`evaluation_data` .*{message}"):
        write(tiny_model(), tmp_path / "new", ("litert",), evaluation_data=(images(), answers))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "options",
    [{"activation_order": "pre"}, {"shortcut": "pooled", "blur_pool": True}],
    ids=["pre-activation", "pooled"],
)
def test_int8_file_is_small_and_close(tmp_path, options):
    model = tiny_model(**options)
    write(model, tmp_path, "litert")
    report = write(model, tmp_path, ("litert",), "int8", images(50))
    (row,) = report.rows
    assert row.path == tmp_path / "model_int8.tflite"
    assert row.bytes < 0.75 * (tmp_path / "model.tflite").stat().st_size
    outputs = export.load(row.path).predict(images())
    assert outputs.dtype == np.float32
    assert np.abs(outputs - model.predict(images(), verbose=0)).max() < 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("README.md", "card.json", "model.tflite", "model_int8.tflite")
    ]


def test_int8_file_computes_in_integers_throughout(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    write(tiny_model(), tmp_path, ("litert",), "int8", images())
    interpreter = Interpreter(str(tmp_path / "model_int8.tflite"))
    kinds = {details["dtype"] for details in interpreter.get_tensor_details()}
    assert kinds <= {np.int8, np.int32}
    assert interpreter.get_input_details()[0]["dtype"] == np.int8
    assert interpreter.get_output_details()[0]["dtype"] == np.int8


def test_several_outputs_keep_their_names(tmp_path):
    model = keras_residual.ResNet(
        "basic", (1, 1), (4, 8), stem_width=4, input_shape=(32, 32, 3), features=True
    )
    data = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    write(model, tmp_path, representative_data=data)
    expected = model.predict(data, verbose=0)
    for name in ("saved_model", "model.tflite"):
        outputs = export.load(tmp_path / name).predict(data)
        assert set(outputs) == {"C2", "C3"}
        for key, value in expected.items():
            np.testing.assert_allclose(outputs[key], value, atol=1e-4)


def test_saved_model_runs_without_this_package(tmp_path):
    model = tiny_model()
    write(model, tmp_path, "saved_model")
    np.save(tmp_path / "images.npy", images(3))
    script = (
        "import sys, numpy, tensorflow as tf\n"
        "loaded = tf.saved_model.load(sys.argv[1])\n"
        "numpy.save(sys.argv[3], loaded.serve(numpy.load(sys.argv[2])))\n"
        "assert 'keras_residual' not in sys.modules\n"
    )
    paths = [str(tmp_path / name) for name in ("saved_model", "images.npy", "outputs.npy")]
    subprocess.run([sys.executable, "-c", script, *paths], check=True, timeout=300)
    np.testing.assert_allclose(
        np.load(tmp_path / "outputs.npy"), model.predict(images(3), verbose=0), atol=1e-5
    )


def test_verify_tells_two_models_apart(tmp_path):
    model, other = tiny_model(), tiny_model(activation="silu")
    write(model, tmp_path, "litert")
    same = export.verify(tmp_path / "model.tflite", model, images())
    assert same.worst < 1e-5 and same.agreement == 1.0 and same.samples == 16
    different = export.verify(tmp_path / "model.tflite", other, images())
    assert different.worst > 1e-3
    with pytest.raises(ValueError, match="outputs of `model`"):
        export.verify(tmp_path / "model.tflite", tiny_model(classes=4), images())


@keras.saving.register_keras_serializable(package="test_export")
class OtherWhenTraced(keras.layers.Layer):
    """Computes something else in the exported function, which has a batch of unknown size."""

    def call(self, inputs):
        return inputs if inputs.shape[0] is not None else inputs + 1.0


def test_an_artefact_that_computes_something_else_is_not_left(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, OtherWhenTraced()(inputs))
    model.compile(run_eagerly=True)
    write(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), tmp_path, "litert")
    before = (tmp_path / "model.tflite").read_bytes()
    with pytest.raises(export.ExportError, match="differ from those of"):
        write(model, tmp_path, "litert", representative_data=np.ones((2, 4), np.float32))
    assert (tmp_path / "model.tflite").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("README.md", "card.json", "model.tflite")
    ]


def test_brackets_and_stars_in_a_folders_name_are_no_pattern(tmp_path):
    folder = tmp_path / "out {[*]} ü"
    report = export.export(tiny_model(), folder, "saved_model")
    assert report.rows[0].verification.worst < 1e-5
    assert report.rows[0].timing.median_seconds > 0
    assert export.load(folder / "saved_model").predict(images(2)).shape == (2, 5)


def test_an_existing_folder_is_replaced(tmp_path):
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "old").write_text("old")
    write(tiny_model(), tmp_path, "saved_model")
    assert not (tmp_path / "saved_model" / "old").exists()
    assert export.load(tmp_path / "saved_model").predict(images(2)).shape == (2, 5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float16"])
def test_half_precision_is_exported_in_float32(tmp_path, dtype):
    model = tiny_model(dtype=dtype)
    report = write(model, tmp_path, "litert", representative_data=images())
    assert "artefacts in float32" in str(report)
    full = tiny_model()
    outputs = export.load(report.rows[0].path).predict(images())
    bound = 2e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(outputs, full.predict(images(), verbose=0), atol=bound)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": ("paper",)}, "`formats` must be one of"),
        ({"formats": ()}, "`formats` must hold"),
        ({"formats": "jax"}, "needs Keras on JAX, KERAS_BACKEND=jax. Received: tensorflow"),
        ({"quantization": "int4"}, "`quantization` must be one of"),
        ({"quantization": "int8"}, "needs `representative_data`"),
        ({"representative_data": np.zeros((2, 8, 8, 3))}, r"must be \(n, 9, 8, 3\)"),
        ({"representative_data": np.zeros((0, *SHAPE))}, r"must be \(n, 9, 8, 3\)"),
        ({"evaluation_data": np.zeros((2, *SHAPE))}, "`evaluation_data` must be a pair"),
        ({"evaluation_data": (np.zeros((2, *SHAPE)), [0.5, 1])}, "integers as classes"),
        ({"evaluation_data": (np.zeros((2, *SHAPE)), [0, 99])}, r"classes in 0\.\.\d+, .*0\.\.99"),
        ({"labels": ["a", "b"]}, "`labels` must be one name per.* 5 of them. .*2 labels"),
        ({"labels": 7}, "`labels` must be one name per"),
        ({"preprocessing": "imagenet"}, "`preprocessing` must be a layer"),
        ({"include_preprocessing": "yes"}, "`include_preprocessing` must be True or False"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"opset": 3}, "`opset` must be an integer of at least 7"),
        ({"tolerance": -1.0}, "`tolerance` must be a number in"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write(tiny_model(), tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_model_must_be_built(tmp_path):
    for model in (keras.Sequential(), "model.keras", None):
        with pytest.raises(ValueError, match="`model` must be"):
            write(model, tmp_path)


def test_open_sizes_need_data(tmp_path):
    model = keras_residual.ResNet1D(input_shape=(None, 1), classes=3)
    with pytest.raises(ValueError, match="`representative_data` must be given"):
        write(model, tmp_path, "saved_model")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.tflite", None, "does not exist"),
        ("foreign.tflite", b"not a flatbuffer", "not a LiteRT file"),
        ("truncated.tflite", b"\x1c\x00\x00\x00TFL3" + bytes(30), "cannot be run by LiteRT"),
        ("model.keras", b"", "must be the folder of a SavedModel or one of .tflite, .onnx"),
        ("folder", None, "not a readable SavedModel"),
    ],
)
def test_what_is_no_artefact_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    elif name == "folder":
        path.mkdir()
    with pytest.raises(export.ExportError, match=message):
        export.load(path)


def test_inputs_of_another_shape_are_refused(tmp_path):
    write(tiny_model(), tmp_path, "litert")
    artefact = export.load(tmp_path / "model.tflite")
    with pytest.raises(ValueError, match=r"must be \(n, 9, 8, 3\). Received: shape \(2, 8, 8, 3\)"):
        artefact.predict(np.zeros((2, 8, 8, 3)))
