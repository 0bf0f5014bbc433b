"""LSTM models as LiteRT files: which operations, which numbers, what is refused."""

import keras
import numpy as np
import pytest
from support import ramp, run

from keras_residual import ResidualLSTMClassifier, ResidualLSTMTagger
from keras_residual.export import ExportError
from keras_residual.export.formats.litert import lstm
from keras_residual.layers import HighwayLSTM, RecurrentHighway, ResidualGRU, ResidualLSTM

pytest.importorskip("ai_edge_litert", reason="the extra `export` is not installed")
if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on the TensorFlow backend", allow_module_level=True)

STEPS, FEATURES = 4, 5
FUSED = "UNIDIRECTIONAL_SEQUENCE_LSTM"


def tagger(**options):
    keras.utils.set_random_seed(1)
    sizes = {"units": 33, "num_layers": 2, "classes": 4}
    return ResidualLSTMTagger((STEPS, FEATURES), **{**sizes, **options})


def sequences(count=4):
    return 2 * np.random.default_rng(0).normal(size=(count, STEPS, FEATURES)).astype("float32")


@pytest.mark.parametrize("implementation", ["fused", "unrolled"])
@pytest.mark.parametrize("quantization", [None, "float16", "dynamic"])
def test_files_compute_what_the_model_does(implementation, quantization, tmp_path):
    model = tagger()
    path = lstm.write(
        model, tmp_path / "m.tflite", implementation=implementation, quantization=quantization
    )
    expected, found = run(model, sequences()), lstm.LiteRTSequences(path)(sequences())
    bound = {None: 1e-6, "float16": 2e-3, "dynamic": 2e-2}[quantization]
    np.testing.assert_allclose(found, expected, atol=bound)
    operations = lstm.operations(path)
    assert (FUSED in operations) == (implementation == "fused")
    assert not {"WHILE", "CUSTOM"} & operations
    assert not [name for name in operations if name.startswith("Flex")]


@pytest.mark.parametrize("quantization", ["int8", "int16x8"])
def test_integers_throughout(quantization, tmp_path):
    model = tagger()
    path = lstm.write(
        model,
        tmp_path / "m.tflite",
        quantization=quantization,
        representative_data=sequences(50),
    )
    found, expected = lstm.LiteRTSequences(path)(sequences(20)), run(model, sequences(20))
    assert np.abs(found - expected).max() < 0.1
    assert (found.argmax(-1) == expected.argmax(-1)).mean() > 0.9
    assert lstm.operations(path) <= {
        *("ADD", "DEQUANTIZE", "FULLY_CONNECTED", "LOGISTIC", "MUL", "PACK", "QUANTIZE"),
        *("RESHAPE", "SOFTMAX", "SPLIT", "SPLIT_V", "STRIDED_SLICE", "TANH"),
    }


def test_float16_and_integer_weights_make_smaller_files(tmp_path):
    size = {
        quantization: lstm.write(tagger(units=64), tmp_path / "m.tflite", quantization=quantization)
        .stat()
        .st_size
        for quantization in (None, "float16", "dynamic")
    }
    assert size["float16"] < 0.65 * size[None]
    assert size["dynamic"] < 0.55 * size[None]


@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional_bottom": True},
        {"first_residual": 0, "residual_projection": True},
        {"first_residual": None},
        {"use_bias": False},
    ],
    ids=str,
)
def test_every_stack_is_fused(options, tmp_path):
    model = tagger(**options)
    path = lstm.write(model, tmp_path / "m.tflite", batch_size=2)
    found = lstm.LiteRTSequences(path)(sequences())
    np.testing.assert_allclose(found, run(model, sequences()), atol=1e-6)
    assert FUSED in lstm.operations(path)


def test_backward_stacks_and_last_outputs_are_fused(tmp_path):
    inputs = keras.Input((None, FEATURES))
    model = keras.Model(inputs, ResidualLSTM(7, 2, go_backwards=True)(inputs))
    path = lstm.write(model, tmp_path / "m.tflite", steps=STEPS)
    found = lstm.LiteRTSequences(path)(sequences())
    np.testing.assert_allclose(found, run(model, sequences()), atol=1e-6)
    assert FUSED in lstm.operations(path)
    assert model.layers[1].output is model.output


def test_masks_are_honoured_without_fused_operations(tmp_path):
    model = ResidualLSTMClassifier(vocabulary_size=9, units=6, num_layers=2, classes=3)
    path = lstm.write(model, tmp_path / "m.tflite", steps=5)
    tokens = np.array([[3, 1, 4, 0, 0], [2, 7, 1, 8, 2]], "int32")
    found = lstm.LiteRTSequences(path)(tokens)
    np.testing.assert_allclose(found, run(model, tokens), atol=1e-6)
    assert FUSED not in lstm.operations(path)
    with pytest.raises(ValueError, match="with a mask"):
        lstm.write(model, tmp_path / "m.tflite", steps=5, implementation="fused")


@pytest.mark.parametrize("quantization", [None, "float16", "dynamic"])
def test_a_stream_gives_the_outputs_of_the_whole_sequence(quantization, tmp_path):
    model = tagger(dropout=0.1)
    path = lstm.write_streaming(model, tmp_path / "m.tflite", 2, quantization)
    stream, x = lstm.LiteRTStream(path), sequences(2)
    for _ in range(2):
        stream.reset()
        found = np.concatenate([stream(x[:, t : t + 1]) for t in range(STEPS)], axis=1)
        bound = {None: 1e-6, "float16": 2e-3, "dynamic": 2e-2}[quantization]
        np.testing.assert_allclose(found, run(model, x), atol=bound)
    assert lstm.operations(path) <= {
        *("ADD", "DEQUANTIZE", "FULLY_CONNECTED", "LOGISTIC", "MUL", "RESHAPE", "SOFTMAX"),
        *("SPLIT", "SPLIT_V", "STRIDED_SLICE", "TANH"),
    }


def test_a_stream_of_integers_has_the_latest_classification(tmp_path):
    model = ResidualLSTMClassifier(vocabulary_size=9, units=6, num_layers=2, classes=3)
    stream = lstm.LiteRTStream(lstm.write_streaming(model, tmp_path / "m.tflite"))
    tokens = np.array([[3, 1, 4, 1, 5]])
    for t in range(5):
        found = stream(tokens[:, t : t + 1])
        np.testing.assert_allclose(found, run(model, tokens[:, : t + 1]), atol=1e-6)


def _plain():
    return keras.Sequential([keras.Input((STEPS, FEATURES)), keras.layers.Dense(2)])


def _stateful():
    inputs = keras.Input((STEPS, FEATURES), batch_size=1)
    return keras.Model(inputs, ResidualLSTM(4, stateful=True)(inputs))


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (tagger, {"batch_size": 0}, "`batch_size` must be"),
        (tagger, {"steps": 9}, "`steps` must be"),
        (tagger, {"implementation": "flex"}, "`implementation` must be"),
        (tagger, {"quantization": "int4"}, "`quantization` must be"),
        (tagger, {"quantization": "int8"}, "`representative_data` must be"),
        (
            tagger,
            {"quantization": "int8", "representative_data": ramp(3, 2, FEATURES)},
            "`representative_data` must be",
        ),
        (
            tagger,
            {
                "quantization": "int8",
                "representative_data": ramp(3, STEPS, FEATURES),
                "implementation": "fused",
            },
            "computes wrong results with integers",
        ),
        (
            lambda: tagger(activation="relu"),
            {"implementation": "fused"},
            "activation='relu'",
        ),
        (_plain, {}, "must have a recurrent stack"),
        (_stateful, {}, "stateful=True"),
        (
            lambda: ResidualLSTMClassifier((None, 2), units=4),
            {},
            "`steps` must be given",
        ),
        (lambda: "tagger", {}, "`model` must be"),
        (lambda: tagger(dtype="mixed_bfloat16"), {}, "float32 model"),
    ],
)
def test_what_cannot_be_written_is_named(make, arguments, words, tmp_path):
    with pytest.raises((ValueError, ExportError), match=words):
        lstm.write(make(), tmp_path / "m.tflite", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tagger(bidirectional_bottom=True), "bidirectional_bottom=True"),
        (lambda: ResidualLSTMClassifier((9, 2), units=4, pooling="avg"), "SequenceAverage"),
        (_plain, "must have a recurrent stack"),
    ],
)
def test_what_cannot_be_streamed_is_named(make, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        lstm.write_streaming(make(), tmp_path / "m.tflite")


def test_sequences_of_a_wrong_shape_are_named(tmp_path):
    model = tagger(units=4)
    whole = lstm.LiteRTSequences(lstm.write(model, tmp_path / "whole.tflite", batch_size=2))
    stream = lstm.LiteRTStream(lstm.write_streaming(model, tmp_path / "stream.tflite"))
    for call, value in ((whole, ramp(3, STEPS, FEATURES)), (stream, ramp(1, 2, FEATURES))):
        with pytest.raises(ValueError, match="`sequences` must have the shape"):
            call(value)


@pytest.mark.parametrize("stack", [ResidualGRU, RecurrentHighway, HighwayLSTM])
def test_other_recurrent_stacks_are_unrolled_and_streamed(stack, tmp_path):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((STEPS, FEATURES))
    x = stack(7, num_layers=2, return_sequences=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    expected = run(model, sequences(2))
    path = lstm.write(model, tmp_path / "m.tflite", batch_size=2)
    np.testing.assert_allclose(lstm.LiteRTSequences(path)(sequences(2)), expected, atol=1e-6)
    assert not {"WHILE", "CUSTOM"} & lstm.operations(path)
    stream = lstm.LiteRTStream(lstm.write_streaming(model, tmp_path / "s.tflite", 2))
    steps = [stream(sequences(2)[:, t : t + 1]) for t in range(STEPS)]
    np.testing.assert_allclose(np.concatenate(steps, axis=1), expected, atol=1e-6)
    with pytest.raises(ValueError, match=f"with the cells of a {stack.__name__}"):
        lstm.write(model, tmp_path / "m.tflite", implementation="fused")
