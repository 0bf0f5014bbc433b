"""Rank-5 tensors are stored with rank 4: equal numbers, and delegates accept them."""

import pathlib
import tempfile

import keras
import numpy as np
import pytest
from cases import MODELS
from export.phone_networks import write
from export.runtime_tables import left_by_xnnpack

import keras_residual
from keras_residual import export
from keras_residual.export.formats import saved_model
from keras_residual.export.formats.litert import litert
from keras_residual.export.formats.litert.four_axes import with_four_axes
from keras_residual.export.formats.litert.schema import opened

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)

L = keras.layers
RANDOM = np.random.default_rng(0)


def converted(model):
    """Returns a file as TensorFlow's converter makes it."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        saved_model.write(model, place / "saved")
        litert.write(place / "saved", place / "model.tflite")
        return (place / "model.tflite").read_bytes()


def answer(content, x):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (taken,), (given, *_) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(taken["index"], x.reshape(taken["shape"]))
    interpreter.invoke()
    return interpreter.get_tensor(given["index"])


def ranks(content):
    _, model = opened(content)
    return {len(t.shape) for g in model.subgraphs for t in g.tensors if t.shape is not None}


def operation(name):
    """A small model over `(1, 3, 4, 6, 2)` with one kind of operation of five axes."""
    x = inputs = keras.Input((3, 4, 6, 2), batch_size=1, name="clip")
    ops = keras.ops
    x = ops.tanh(x * np.float32([[[[1.5, -2.0]]]]))
    x = {
        "add": lambda: x + ops.relu(x),
        "over time": lambda: ops.mean(x, 1, keepdims=True) + x,
        "over space": lambda: x - ops.mean(x, (2, 3), keepdims=True),
        "mean": lambda: ops.mean(x, (1, 2, 3)),
        "steps": lambda: x[:, ::2],
        "steps of rows": lambda: x[:, :, 1::2],
        "window": lambda: x[:, 1:, :, 2:5],
        "padding": lambda: ops.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0))),
        "padding of rows": lambda: ops.pad(x, ((0, 0), (0, 0), (1, 2), (0, 0), (0, 0))),
        "channels": lambda: ops.concatenate([x, ops.relu(x)], -1),
        "frames": lambda: ops.concatenate([x, ops.relu(x)], 1),
        "softmax": lambda: ops.softmax(x, -1),
        "planes": lambda: x * np.float32(RANDOM.random((3, 1, 1, 1))),
        "columns": lambda: x * np.float32(RANDOM.random((6, 1))),
        "everything": lambda: ops.mean((ops.relu(x[:, ::2]) + 1.0)[:, :, ::2], (1, 2, 3)),
    }[name]()
    return keras.Model(inputs, L.Identity(name="out")(x))


NAMES = ["add", "over time", "over space", "mean", "steps", "steps of rows", "window", "padding"]
NAMES += ["padding of rows", "channels", "frames", "softmax", "planes", "columns", "everything"]


QUICK = ("over time", "steps", "window", "everything")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NAMES],
)
def test_an_operation_computes_the_same(name):
    model = operation(name)
    content = converted(model)
    x = RANDOM.standard_normal((1, 3, 4, 6, 2)).astype(np.float32)
    expected = np.asarray(model(x))
    np.testing.assert_allclose(answer(content, x), expected, atol=1e-6)
    changed = with_four_axes(content, fold_input=True)
    np.testing.assert_allclose(answer(changed, x), expected, atol=1e-6)
    assert max(ranks(content)) == 5
    is_wide = len(model.output.shape) == 5
    assert max(ranks(changed)) == (5 if is_wide else 4)
    _, model = opened(changed)
    wide = [t for t in model.subgraphs[0].tensors if t.shape is not None and len(t.shape) == 5]
    assert len(wide) == is_wide


def test_what_needs_five_axes_keeps_them():
    x = inputs = keras.Input((3, 4, 6, 2), batch_size=1, name="clip")
    x = L.Conv3D(3, 2)(keras.ops.relu(x) + 1.0)
    model = keras.Model(inputs, keras.ops.mean(keras.ops.tanh(x), (1, 2, 3)))
    content = converted(model)
    x = RANDOM.standard_normal((1, 3, 4, 6, 2)).astype(np.float32)
    changed = with_four_axes(content)
    np.testing.assert_allclose(answer(changed, x), np.asarray(model(x)), atol=1e-6)
    assert 5 in ranks(changed)


def test_sizes_that_are_open_are_left_as_they_are():
    inputs = keras.Input((3, 4, 6, 2), name="clip")
    content = converted(keras.Model(inputs, keras.ops.relu(inputs) + 1.0))
    assert with_four_axes(content) == content


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_a_network_for_clips_is_taken_whole(quantization, tmp_path):
    (case,) = (case for case in MODELS if case.name == "R2Plus1D18")
    keras.utils.set_random_seed(1)
    model = case.make()
    clips = RANDOM.random((8, *model.input_shape[1:]), np.float32)
    (row,) = write(model, tmp_path, quantization, clips, target="phone").rows
    file = export.load(row.path)
    assert file.input_shape == (1, *model.input_shape[1:])
    expected = model.predict(clips, verbose=0)
    assert np.abs(file.predict(clips) - expected).max() < (1e-5 if quantization is None else 0.05)
    assert max(ranks(row.path.read_bytes())) == 4
    found = {(each.delegate, each.operation) for each in row.refusals}
    assert not {kind for kind, _ in found} & {"gpu", "nnapi"}
    assert {op for kind, op in found if kind == "xnnpack"} <= {"SOFTMAX"}
    assert {*left_by_xnnpack(row.path.read_bytes())} <= {"SOFTMAX"}
    checked = export.verify(row.path, model, clips, runtime="compiled_model")
    assert checked.worst < (1e-5 if quantization is None else 0.05)


def test_group_normalization_has_four_axes(tmp_path):
    model = keras_residual.ResNet(
        "basic",
        (1,),
        (8,),
        stem="conv3",
        stem_width=8,
        input_shape=(8, 8, 3),
        classes=3,
        normalization="group",
    )
    (row,) = write(model, tmp_path, batch_size=1).rows
    assert max(ranks(row.path.read_bytes())) == 4 and row.verification.worst < 1e-6


def test_clips_of_phones_have_one_size(tmp_path):
    model = keras_residual.VideoResNet(
        "frames", (1,), (4,), stem_width=4, input_shape=(2, 8, 8, 3), classes=2
    )
    with pytest.raises(ValueError, match="phones give one clip"):
        write(model, tmp_path, target="phone", batch_size=2)
    with pytest.raises(ValueError, match="`outputs` is for models that take pictures"):
        write(model, tmp_path, target="phone", outputs="float32")
