"""Operations that delegates of phones refuse, with layer, reason and remedy."""

import keras
import numpy as np
import pytest
from export.phone_networks import RGB, described, network, write
from export.runtime_tables import left_by_xnnpack

from keras_residual import export

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)

L = keras.layers


def refused(model, folder, **options):
    (row,) = write(model, folder, **options).rows
    return row, {(each.delegate, each.operation): each for each in row.refusals}


def test_a_classifier_for_phones_is_taken_whole(tmp_path):
    model, data = described(network(), white=1.0), RGB / np.float32(255)
    row, _ = refused(model, tmp_path)
    assert {each.delegate for each in row.refusals} == {"edgetpu"}
    row, found = refused(model, tmp_path, quantization="int8", representative_data=data)
    assert {delegate for delegate, _ in found} == {"edgetpu"}
    assert 'outputs="uint8"' in found["edgetpu", "SOFTMAX"].remedy
    options = {"quantization": "int8", "representative_data": data, "outputs": "uint8"}
    row, found = refused(model, tmp_path, **options)
    assert set(found) == {("xnnpack", "SOFTMAX")}
    assert [str(each) for each in export.lint(row.path)] == [str(each) for each in row.refusals]
    text = (tmp_path / "README.md").read_text()
    assert "`model_int8.tflite`, gpu: takes all of it" in text
    assert 'floating point; quantization="int8", for phones with outputs="uint8"' in text


def test_sizes_that_are_not_known_are_named_with_what_avoids_them(tmp_path):
    _, found = refused(network(), tmp_path)
    refusal = found["gpu", "CONV_2D"]
    assert refusal.count > 3 and refusal.reason == "a dynamic size"
    assert "`batch_size=1`" in refusal.remedy and "conv" in refusal.layer
    assert ("xnnpack", "CONV_2D") not in found


def test_five_dimensions_and_unknown_operations_are_named(tmp_path):
    x = inputs = keras.Input((4, 6, 6, 2), batch_size=1, name="volume")
    model = keras.Model(inputs, L.Conv3D(3, 3, name="third")(x))
    _, found = refused(model, tmp_path, batch_size=1)
    assert found["nnapi", "CONV_3D"].reason == "not supported"
    reshaped = keras.ops.reshape(inputs, (-1, 2, 2, 6, 6, 2))
    model = keras.Model(inputs, keras.ops.sum(reshaped + 1.0, axis=-1))
    _, found = refused(model, tmp_path, batch_size=1)
    assert "of 6 dimensions, at most 4" in found["gpu", "ADD"].reason


def test_padding_with_another_value_is_named(tmp_path):
    inputs = keras.Input((6, 6, 2), name="image")
    padded = keras.ops.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1.0)
    _, found = refused(keras.Model(inputs, L.MaxPooling2D(2)(padded)), tmp_path, batch_size=1)
    assert "ReLU before the pooling" in found["xnnpack", "PADV2"].remedy


def test_too_new_versions_are_named(tmp_path):
    """A file whose ADD says version 4, as one of five dimensions does."""
    from keras_residual.export.formats.litert.schema import opened, packed
    from keras_residual.export.proof.delegates import refusals

    (row,) = write(network(), tmp_path, batch_size=1).rows
    module, model = opened(row.path.read_bytes())
    for code in model.operatorCodes:
        if code.builtinCode == module.BuiltinOperator.ADD:
            code.version = 4
    reasons = {each.reason for each in refusals(packed(model), ["gpu"])}
    assert reasons == {"version 4, at most 2"}


def test_wrong_arguments_are_named(tmp_path):
    (tmp_path / "foreign.tflite").write_bytes(b"no file")
    with pytest.raises(export.ExportError, match="not a LiteRT file"):
        export.lint(tmp_path / "foreign.tflite")
    with pytest.raises(export.ExportError, match="does not exist"):
        export.lint(tmp_path / "absent.tflite")
    with pytest.raises(ValueError, match="`delegates` must be one of"):
        export.lint(tmp_path / "foreign.tflite", ["tpu"])


def test_a_pre_activation_stem_pools_with_operations_that_delegates_have(tmp_path):
    model = network(activation_order="pre")
    row, found = refused(model, tmp_path, batch_size=1)
    assert {delegate for delegate, _ in found} == {"edgetpu"}
    assert row.operations["MAX_POOL_2D"] == 1 and "REVERSE_V2" not in row.operations


def odd(name):
    """A model with operations that some delegate does not take."""
    x = inputs = keras.Input((8, 8, 4), batch_size=1, name="image")
    ops = keras.ops
    x = {
        "padding": lambda: ops.max(ops.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), "reflect"), -1),
        "cumulative": lambda: ops.cumsum(ops.relu(x), 1),
        "order": lambda: ops.top_k(x, 2)[0],
        "reversed": lambda: ops.flip(ops.tanh(x), 1),
        "broadcast": lambda: ops.tanh(x[:, 0]) + np.arange(32, dtype="float32").reshape(8, 4),
        "softmax": lambda: ops.softmax(x),
        "many": lambda: ops.concatenate([ops.tanh(x) * float(i) for i in range(1, 7)], -1),
        "steps": lambda: ops.tanh(x)[..., ::2],
        "rows": lambda: ops.tanh(x)[:, ::2],
        "shifted": lambda: ops.tanh(x)[:, 1::2, 1:6:3],
        "largest": lambda: ops.maximum(x, ops.square(x)) / (1.0 + ops.exp(x)),
    }[name]()
    return keras.Model(inputs, L.Identity(name="out")(x))


ODD = (
    "many",
    "steps",
    "rows",
    "shifted",
    "padding",
    "cumulative",
    "order",
    "reversed",
    "broadcast",
    "softmax",
    "largest",
)


QUICK = ("steps", "shifted", "broadcast", "many")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ODD],
)
def test_the_tables_are_those_of_the_runtime(name, tmp_path):
    row, found = refused(odd(name), tmp_path, batch_size=1)
    content = row.path.read_bytes()
    assert set(left_by_xnnpack(content)) == {op for kind, op in found if kind == "xnnpack"}


@pytest.mark.slow
def test_the_tables_for_integers_are_those_of_the_runtime(tmp_path):
    data = np.random.default_rng(0).random((8, 8, 8, 4), np.float32)
    for name in ("softmax", "largest", "padding"):
        options = {"quantization": "int8", "representative_data": data, "batch_size": 1}
        row, found = refused(odd(name), tmp_path / name, **options)
        content = row.path.read_bytes()
        assert set(left_by_xnnpack(content)) == {op for kind, op in found if kind == "xnnpack"}


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_every_second_position_is_a_convolution_of_the_same_numbers(quantization, tmp_path):
    """An option-A shortcut: XNNPACK leaves slices with steps, and takes this."""
    data = np.random.default_rng(0).random((8, 7, 8, 4), np.float32)
    inputs = keras.Input((7, 8, 4), batch_size=1, name="image")
    sliced = keras.ops.tanh(inputs)[:, :5:2, 1::2]
    model = keras.Model(inputs, L.Identity(name="out")(sliced))
    options = {"batch_size": 1, "representative_data": data, "quantization": quantization}
    row, found = refused(model, tmp_path, **options)
    assert row.operations["DEPTHWISE_CONV_2D"] == 1 and "STRIDED_SLICE" not in row.operations
    assert not left_by_xnnpack(row.path.read_bytes())
    assert ("xnnpack", "STRIDED_SLICE") not in found
    file = export.load(row.path)
    whole = np.concatenate([file.predict(data[i : i + 1]) for i in range(8)])
    step = file.tensors()["outputs"][0].get("scale", 1e-6)
    np.testing.assert_allclose(whole, np.tanh(data)[:, :5:2, 1::2], atol=2 * step)


@pytest.mark.parametrize(
    ("window", "padding", "written"),
    # Of 8 rows a window of 3 reaches beyond the last: an average over fewer pixels is left.
    [(2, "valid", "DEPTHWISE_CONV_2D"), ((3, 2), "same", "AVERAGE_POOL_2D")],
)
def test_averages_of_integers_are_convolutions(window, padding, written, tmp_path):
    """Windows that lie inside, as those of transitions: XNNPACK leaves averages of integers."""
    inputs = keras.Input((8, 6, 4), batch_size=1, name="image")
    model = keras.Model(inputs, L.AveragePooling2D(window, padding=padding)(inputs))
    data = np.random.default_rng(0).random((8, 8, 6, 4), np.float32)
    options = {"quantization": "int8", "representative_data": data, "batch_size": 1}
    row, found = refused(model, tmp_path, **options)
    assert set(row.operations) == {written}
    assert (("xnnpack", written) in found) == (written == "AVERAGE_POOL_2D")
    assert set(left_by_xnnpack(row.path.read_bytes())) <= {"AVERAGE_POOL_2D"}
    expected = np.concatenate([model(image[None]) for image in data])
    assert np.abs(export.load(row.path).predict(data) - expected).max() < 1 / 255
