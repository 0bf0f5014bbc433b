"""Models with several inputs and outputs in every format: names, order, data, refusals."""

import json

import keras
import numpy as np
import pytest
from support import set_sequential_weights

import keras_residual
from keras_residual import export, layers

L = keras.layers
RANDOM = np.random.default_rng(0)
PHOTOS, FACTS = RANDOM.random((20, 8, 8, 3), np.float32), RANDOM.random((20, 4), np.float32)


def two_inputs(by_name=False):
    """Takes photographs and facts, in an order that is not the alphabet's; two outputs."""
    photo, facts = keras.Input((8, 8, 3), name="photo"), keras.Input((4,), name="facts")
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(6, 3)(photo)))
    x = L.Concatenate()([L.GlobalAveragePooling2D()(x), L.Dense(5, activation="relu")(facts)])
    kind, age = L.Dense(3, activation="softmax")(x), L.Dense(1)(x)
    if by_name:
        model = keras.Model({"photo": photo, "facts": facts}, {"kind": kind, "age": age})
    else:
        model = keras.Model([photo, facts], [kind, age])
    set_sequential_weights(model)
    return model


def write(model, directory, *arguments, **options):
    return export.export(model, directory, *arguments, **{"measure": False, **options})


def test_names_and_order_are_the_models(tmp_path):
    model = two_inputs()
    expected = model.predict([PHOTOS, FACTS], verbose=0)
    report = write(model, tmp_path, ("saved_model", "litert", "onnx"))
    for row in report.rows:
        artefact = export.load(row.path)
        shapes = {name: spec.shape for name, spec in artefact.inputs.items()}
        assert list(shapes.items()) == [("photo", (None, 8, 8, 3)), ("facts", (None, 4))]
        for data in ((PHOTOS, FACTS), {"facts": FACTS, "photo": PHOTOS}):
            found = artefact.predict(data, batch_size=7)
            assert list(found) == ["output_0", "output_1"]
            for ours, theirs in zip(expected, found.values(), strict=True):
                np.testing.assert_allclose(theirs, ours, atol=1e-6)
        with pytest.raises(ValueError, match="several inputs: photo, facts"):
            artefact.input_shape  # noqa: B018
    card = json.loads((tmp_path / "card.json").read_text())
    assert [entry["name"] for entry in card["input"]] == ["photo", "facts"]
    assert "1 normalizations folded" in card["model"]["folding"]


@pytest.mark.parametrize("quantization", ["int8", "dynamic"])
def test_a_model_of_dicts_is_quantized(quantization, tmp_path):
    model, data = two_inputs(by_name=True), {"photo": PHOTOS, "facts": FACTS}
    report = write(model, tmp_path, ("litert", "onnx"), quantization, data, batch_size=4)
    expected = model.predict(data, verbose=0)
    for row in report.rows:
        found = export.load(row.path).predict(data)
        assert set(found) == {"kind", "age"} and row.verification.relative < 0.02
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=0.02)
    with pytest.raises(ValueError, match="`representative_data` must be a dict of one array"):
        write(model, tmp_path, "litert", None, (PHOTOS, FACTS))


def test_rounding_is_learned_and_latency_measured(tmp_path):
    aware = export.quantization_aware(two_inputs(), (PHOTOS, FACTS))
    (row,) = write(aware, tmp_path, "litert", "int8", (PHOTOS, FACTS), measure=True).rows
    assert row.verification.relative < 0.02 and 0 < row.timing.median_seconds < 0.1
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(row.operations)


def test_one_input_is_normalized_inside(tmp_path):
    model, layer = two_inputs(), layers.ImageNormalization()
    raw = np.floor(255 * PHOTOS)
    common = {"representative_data": (raw, FACTS), "include_preprocessing": True}
    write(model, tmp_path, "litert", preprocessing={"photo": layer}, **common)
    expected = model.predict([np.asarray(layer(raw)), FACTS], verbose=0)
    found = export.load(tmp_path / "model.tflite").predict((raw, FACTS))
    np.testing.assert_allclose(found["output_0"], expected[0], atol=1e-5)
    with pytest.raises(ValueError, match="by the names of the inputs, some of photo, facts"):
        write(model, tmp_path, "litert", preprocessing=layer, **common)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PHOTOS, "one array for each input: photo .* facts .* Received: an array of shape"),
        ((PHOTOS,), "one array for each input.* Received: 1 of them"),
        ({"photo": PHOTOS, "fact": FACTS}, "one array for each input.* names photo, fact"),
        ((FACTS, PHOTOS), r"`representative_data\['photo'\]` must be \(n, 8, 8, 3\).* \(20, 4\)"),
        ((PHOTOS, FACTS[:3]), "equally many of each input. Received: photo 20, facts 3"),
        ((PHOTOS, FACTS.astype(str)), "numbers that float32 holds. Received: <U32"),
        (None, "needs `representative_data`"),
    ],
    ids=["array", "count", "names", "shapes", "lengths", "text", "none"],
)
def test_data_that_do_not_fit_are_refused(data, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write(two_inputs(), tmp_path / "new", "litert", "int8", data)
    assert not (tmp_path / "new").exists()


def test_a_pair_is_two_inputs_or_inputs_and_classes(tmp_path):
    photo, facts = keras.Input((3,), name="photo"), keras.Input((4,), name="facts")
    x = L.Concatenate()([photo, facts])
    model = keras.Model([photo, facts], L.Dense(3, activation="softmax")(x))
    data, classes = (PHOTOS[:, 0, 0], FACTS), np.arange(20) % 3
    (row,) = write(model, tmp_path, "litert", evaluation_data=(data, classes)).rows
    assert row.verification.accuracy == row.verification.model_accuracy
    assert export.verify(row.path, model, data).accuracy is None
    assert export.verify(row.path, model, (data, classes)).accuracy is not None


def test_a_subclassed_model_takes_a_tuple(tmp_path):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = two_inputs()

        def call(self, inputs):
            photo, facts = inputs
            return self.inner([photo, 2 * facts])

    (row,) = write(Subclassed(), tmp_path, "litert", None, (PHOTOS, FACTS)).rows
    assert row.verification.worst < 1e-6


def test_nested_outputs_are_numbered(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, {"sum": inputs + 1.0, "parts": [2.0 * inputs, 3.0 * inputs]})
    for row in write(model, tmp_path, ("saved_model", "litert", "onnx")).rows:
        found = export.load(row.path).predict(np.ones((2, 3), np.float32))
        means = {name: float(value.mean()) for name, value in found.items()}
        assert means == {"sum": 2.0, "parts_0": 2.0, "parts_1": 3.0}


def test_a_translator_is_exported_in_its_parts(tmp_path):
    """The decoding step: tokens, a mask and 14 tensors of open length, as many outputs."""
    model = keras_residual.GNMT(50, units=8, num_layers=6)
    encoder, step = model.parts()
    source = RANDOM.integers(1, 50, (4, 6)).astype("int32")
    (row,) = write(encoder, tmp_path / "encoder", "litert", None, source).rows
    assert row.verification.relative < 1e-6
    mask = source > 20
    mask[:, 0] = True
    states = [RANDOM.random((4, 8), np.float32) for _ in range(12)]
    data = (source[:, 0], mask, *encoder.predict(source, verbose=0), *states)
    report = write(step, tmp_path / "step", ("saved_model", "litert"), None, data)
    for row in report.rows:
        assert row.verification.relative < 1e-6
        assert list(export.load(row.path).inputs)[:4] == ["tokens", "mask", "memory", "keys"]
    assert not [name for name in row.operations if name.startswith(("Flex", "CUSTOM"))]
    # Other lengths than that of the data.
    longer = [np.repeat(value, 2, axis=1) if value.ndim > 1 else value for value in data[:4]]
    assert export.verify(row.path, step, (*longer, *states)).relative < 1e-6
    with pytest.raises(export.ExportError, match=r"one input; export the parts.* source, target"):
        pair = {"source": source, "target": source}
        write(model, tmp_path / "whole", "litert", None, pair)
