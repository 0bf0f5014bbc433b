"""Metadata, cards and signatures of exported files, and refused arguments."""

import errno
import json
import pathlib
import sys
import zipfile

import flatbuffers.table
import keras
import numpy as np
import pytest
from support import set_sequential_weights

import keras_residual
from keras_residual import export, layers

L = keras.layers
SHAPE = (8, 8, 3)
LABELS = ["cat", "dog", "fish", "owl"]


def tiny(*middle, shape=SHAPE, name="tiny"):
    """Cheap to convert: one convolution and what a test is about."""
    x = inputs = keras.Input(shape, name="image")
    for layer in (L.Conv2D(4, 3), L.BatchNormalization(), *middle, L.GlobalAveragePooling2D()):
        x = layer(x)
    model = keras.Model(inputs, L.Dense(4, activation="softmax")(x), name=name)
    set_sequential_weights(model)
    return model


def images(count=12):
    return np.random.default_rng(0).random((count, *SHAPE), np.float32)


def write(model, directory, *arguments, **options):
    return export.export(model, directory, *arguments, **{"measure": False, **options})


def test_onnx_file_has_the_opset_the_names_and_the_labels_asked_for(tmp_path):
    onnx = pytest.importorskip("onnx")
    normalization = L.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)
    inputs = keras.Input(SHAPE, name="image")
    model = keras.Model(inputs, tiny()(normalization(inputs)))
    (row,) = write(model, tmp_path, "onnx", opset=17, labels=LABELS).rows
    written = onnx.load(row.path)
    assert [opset.version for opset in written.opset_import if not opset.domain] == [17]
    assert [value.name for value in written.graph.input] == ["image"]
    assert [value.name for value in written.graph.output] == ["output"]
    artefact = export.load(row.path)
    assert artefact.labels == LABELS and artefact.input_shape == (None, *SHAPE)
    assert row.verification.worst < 1e-6 and row.operations["Conv"] == 1
    write(model, tmp_path, "onnx", "dynamic")
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"model.onnx", "model_dynamic.onnx", "card.json", "README.md"}


def test_a_batch_size_can_be_fixed(tmp_path):
    model = tiny()
    report = write(model, tmp_path, ("saved_model", "litert", "onnx"), batch_size=5)
    for row in report.rows:
        artefact = export.load(row.path)
        assert artefact.input_shape == (5, *SHAPE)
        expected = model.predict(images(7), verbose=0)
        np.testing.assert_allclose(artefact.predict(images(7)), expected, atol=1e-5)


def test_integers_inside_and_floats_outside(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    write(tiny(), tmp_path, "litert", "int8", images(), integer_io=False)
    interpreter = Interpreter(str(tmp_path / "model_int8.tflite"))
    assert interpreter.get_input_details()[0]["dtype"] == np.float32
    assert interpreter.get_output_details()[0]["dtype"] == np.float32


def test_preprocessing_inside_and_before(tmp_path):
    model, layer = tiny(), layers.ImageNormalization(mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.4))
    raw = np.floor(255 * images())
    inside = {"include_preprocessing": True, "preprocessing": layers.ImageNormalization()}
    write(model, tmp_path / "in", "litert", representative_data=raw, **inside)
    expected = model.predict(np.asarray(layers.ImageNormalization()(raw)), verbose=0)
    found = export.load(tmp_path / "in" / "model.tflite").predict(raw)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    before = {"include_preprocessing": False, "preprocessing": layer}
    write(model, tmp_path / "before", "litert", labels=LABELS, **before)
    content = (tmp_path / "before" / "model.tflite").read_bytes()
    mean, std = normalization_in(content)
    np.testing.assert_allclose(mean, (102, 127.5, 153), rtol=1e-6)
    np.testing.assert_allclose(std, (25.5, 51, 102), rtol=1e-6)
    assert normalization_in((tmp_path / "in" / "model.tflite").read_bytes()) == [[0], [1]]


def normalization_in(content):
    """Returns mean and std in a file's metadata, read field by field as its schema numbers them."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    root = flatbuffers.table.Table(bytearray(data), int.from_bytes(data[:4], "little"))
    graph = _in_vector(root, 3)
    inputs = _in_vector(graph, 2)
    options = _table(_in_vector(inputs, 4), 1)
    return [_floats(options, slot) for slot in (0, 1)]


def _offset(table, slot):
    return table.Offset(4 + 2 * slot)


def _table(table, slot):
    place = table.Indirect(table.Pos + _offset(table, slot))
    return flatbuffers.table.Table(table.Bytes, place)


def _in_vector(table, slot):
    place = table.Indirect(table.Vector(_offset(table, slot)))
    return flatbuffers.table.Table(table.Bytes, place)


def _floats(table, slot):
    offset = _offset(table, slot)
    start, count = table.Vector(offset), table.VectorLen(offset)
    return np.frombuffer(bytes(table.Bytes[start : start + 4 * count]), np.float32).tolist()


def test_labels_are_packed_as_the_task_library_reads_them(tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    write(tiny(), tmp_path, "litert", "int8", images(), labels=tmp_path / "names.txt")
    path = tmp_path / "model_int8.tflite"
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode().split() == LABELS
    assert export.load(path).labels == LABELS


def test_the_card_has_every_number(tmp_path):
    model, classes = tiny(), np.arange(12) % 4
    report = write(model, tmp_path, evaluation_data=(images(), classes), labels=LABELS)
    card = json.loads((tmp_path / "card.json").read_text())
    expected = np.mean(model.predict(images(), verbose=0).argmax(-1) == classes)
    assert set(card["artefacts"]) == {"saved_model", "model.tflite"}
    for row in report.rows:
        entry = card["artefacts"][row.path.name]
        assert entry["bytes"] == row.bytes and entry["sha256"] == export.load(row.path).sha256()
        low, high = entry["verification"]["accuracy_interval"]
        assert low < entry["verification"]["accuracy"] == expected < high
    assert card["labels"] == LABELS and card["input"][0]["shape"] == [None, *SHAPE]
    assert "1 normalizations folded" in card["model"]["folding"]
    text = (tmp_path / "README.md").read_text()
    assert "`model.tflite`" in text and "CONV_2D 1" in text and f"{expected:.2%}" in text


def test_cards_of_one_model_are_put_together(tmp_path):
    names = lambda: set(json.loads((tmp_path / "card.json").read_text())["artefacts"])  # noqa: E731
    model = tiny()
    write(model, tmp_path, "litert")
    write(model, tmp_path, "litert", "float16")
    assert names() == {"model.tflite", "model_float16.tflite"}
    (tmp_path / "model.tflite").unlink()
    write(model, tmp_path, "litert", "dynamic")
    assert names() == {"model_float16.tflite", "model_dynamic.tflite"}
    other = tiny()
    other.set_weights([2 * weight for weight in model.get_weights()])
    write(other, tmp_path, "litert")
    assert names() == {"model.tflite"}


def test_steps_are_told_and_latency_is_measured(tmp_path):
    steps = []
    report = export.export(tiny(), tmp_path, "litert", progress=steps.append)
    assert steps == [
        "Folding normalizations",
        "Writing model.tflite",
        "Comparing model.tflite with the model",
        "Measuring model.tflite",
    ]
    timing = report.rows[0].timing
    assert 0 < timing.median_seconds <= timing.p95_seconds < 0.1
    assert timing.batch_size == timing.threads == 1 and timing.memory_bytes > 0


def test_a_subclassed_model_takes_its_shape_from_the_data(tmp_path):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.inner = tiny()

        def call(self, inputs):
            return 2 * self.inner(inputs)

    report = write(Subclassed(), tmp_path, "litert", representative_data=images())
    assert report.rows[0].verification.worst < 1e-6
    with pytest.raises(ValueError, match="a subclassed one needs `representative_data`"):
        write(Subclassed(), tmp_path, "litert")


def test_other_numbers_than_allowed_leave_nothing(tmp_path):
    with pytest.raises(export.ExportError, match="differ from those of"):
        write(tiny(), tmp_path / "new", "litert", "int8", images(), tolerance=1e-6)
    assert not (tmp_path / "new").exists()


def _disk_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_all_files_appear_or_none(tmp_path, monkeypatch):
    monkeypatch.setattr(pathlib.Path, "write_bytes", _disk_full)
    with pytest.raises(OSError, match="No space left"):
        write(tiny(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_directory_that_cannot_be_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    steps = []
    with pytest.raises(OSError):
        write(tiny(), tmp_path / "file" / "new", progress=steps.append)
    assert not steps


@pytest.mark.parametrize(
    ("package", "format", "quantization"),
    [("tf2onnx", "onnx", None), ("ai_edge_litert.interpreter", "litert", None)],
)
def test_missing_packages_are_named(tmp_path, monkeypatch, package, format, quantization):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r'pip install "keras-residual\[export\]"'):
        write(tiny(), tmp_path / "new", format, quantization)
    assert not (tmp_path / "new").exists()


def test_operations_that_a_format_lacks_are_named(tmp_path):
    import tensorflow as tf

    model = tiny(L.Lambda(tf.math.digamma))
    with pytest.raises(export.ExportError, match=r"it has no tf.Digamma"):
        write(model, tmp_path / "new", "litert")
    assert not (tmp_path / "new").exists()


def test_integers_need_a_fixed_size(tmp_path):
    model = tiny(shape=(None, None, 3))
    for format in ("litert", "onnx"):
        with pytest.raises(export.ExportError, match="needs a fixed input size"):
            write(model, tmp_path / "new", format, "int8", images())
    write(model, tmp_path, "litert", representative_data=images())
    larger = np.ones((1, 20, 9, 3), np.float32)
    found = export.load(tmp_path / "model.tflite").predict(larger)
    np.testing.assert_allclose(found, model.predict(larger, verbose=0), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "largest", "share"),
    [
        # MLPerf Tiny's published int8 file of this network has 98,496 bytes.
        ("ResNet8", 98_496, 0.28),
        pytest.param("ResNet20", 300_000, 0.28, marks=pytest.mark.slow),
    ],
)
def test_int8_files_are_small(tmp_path, name, largest, share):
    model = getattr(keras_residual, name)()
    data = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    names = [f"class {index}" for index in range(10)]
    small, full = (
        write(model, tmp_path, "litert", quantization, data, labels=names).rows[0].bytes
        for quantization in ("int8", None)
    )
    assert small <= largest and small <= share * full


class Unserializable(keras.layers.Layer):
    """Has no configuration, as many users' layers."""

    def __init__(self, factors):
        super().__init__()
        self.factors = np.asarray(factors, np.float32)

    def call(self, inputs):
        return inputs * self.factors


def test_layers_without_a_configuration_are_exported_as_they_are(tmp_path):
    model = tiny(Unserializable([1.0, -2.0, 3.0, 4.0]))
    (row,) = write(model, tmp_path, "litert").rows
    assert row.verification.worst < 1e-6
