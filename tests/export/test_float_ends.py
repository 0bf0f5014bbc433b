"""Quantized transcribers: spectrogram, masks and certain blanks stay in floating point."""

import keras
import numpy as np
import pytest

from keras_residual import (
    Description,
    ResidualLSTMTranscriber,
    _description,
    export,
    inference,
    layers,
)
from keras_residual.export import lstm

pytest.importorskip("ai_edge_litert")
DRAW = np.random.default_rng(0)
SPECTROGRAM = {
    "sampling_rate": 8000,
    "sequence_length": 200,
    "sequence_stride": 80,
    "fft_length": 256,
}

MEL = 40


def waves(count=16, samples=2400):
    """Returns tones, quiet and loud, that end at different places."""
    times = np.arange(samples) / 8000
    tones = np.sin(2 * np.pi * DRAW.uniform(100, 3500, (count, 1)) * times)
    tones *= 10 ** DRAW.uniform(-2.5, -0.2, (count, 1)) * np.hanning(samples)
    tones[::2, samples // 2 :] = 0
    return tones.astype("float32")


def sequences(count=16, steps=21):
    found = DRAW.normal(size=(count, steps, 5)).astype("float32")
    found[::2, steps // 2 :] = 0
    return found


def network():
    """Returns a residual network over frames and mel filters, with operations that are no layer."""
    inputs = keras.Input((None, MEL))
    x = layers.ConvNorm(4, 3, strides=2)(keras.ops.expand_dims(inputs, -1))
    x = layers.ResidualBlock(4, strides=(1, 4))(x)
    return keras.Model(inputs, keras.layers.Reshape((-1, 40))(x), name="spectral")


def transcriber(shape, front=None, **options):
    keras.utils.set_random_seed(0)
    options["front"] = network() if front == "network" else front
    return ResidualLSTMTranscriber(shape, classes=6, units=32, num_layers=1, **options)


@pytest.mark.parametrize("quantization", ["int8", "dynamic"])
@pytest.mark.parametrize(
    ("shape", "data", "options"),
    [
        ((None, 5), sequences(), {"mask_value": 0.0}),
        ((None, 5), sequences(), {"mask_value": 0.0, "front": "causal"}),
        ((None,), waves(), {"front": "causal", "spectrogram": SPECTROGRAM}),
        ((None,), waves(), {"front": "causal", "spectrogram": SPECTROGRAM, "mask_value": 0.0}),
        ((None,), waves(), {"front": "network", "spectrogram": SPECTROGRAM}),
        ((None,), waves(), {"front": "network", "spectrogram": SPECTROGRAM, "mask_value": 0.0}),
    ],
    ids=["masked", "masked-causal", "waveform", "masked-waveform", "network", "masked-network"],
)
def test_quantized_files_agree(shape, data, options, quantization, tmp_path):
    model = transcriber(shape, **options)
    path = lstm.write(
        model,
        tmp_path / "model.tflite",
        steps=data.shape[1],
        quantization=quantization,
        representative_data=data,
    )
    run = lstm.LiteRTSequences(path)
    found = np.concatenate([run(each[None]) for each in data[:6]])
    right = model.predict(data[:6], verbose=0)
    masked = right[..., -1:] == 0 if "mask_value" in options else np.zeros_like(right[..., :1]) > 0
    assert masked.any() == ("mask_value" in options)
    np.testing.assert_array_equal(found[masked[..., 0]], right[masked[..., 0]])
    counted = right[~masked[..., 0]]
    error = np.abs(found[~masked[..., 0]] - counted).mean()
    assert error < 0.15 * counted.std(), (error, counted.std())


def test_the_spectrogram_of_a_stream_is_not_quantized(tmp_path):
    model = transcriber((None,), front="causal", spectrogram=SPECTROGRAM)
    path = lstm.write_streaming(model, tmp_path / "stream.tflite", quantization="dynamic")
    window, exact, quantized = model.stream_window, lstm.stream(model), lstm.LiteRTStream(path)
    for wave in waves(4):
        exact.reset(), quantized.reset()
        starts = range(0, len(wave) - window.size + 1, window.hop)
        pieces = [wave[None, start : start + window.size] for start in starts]
        right = np.concatenate([exact(piece) for piece in pieces])
        found = np.concatenate([quantized(piece) for piece in pieces])
        assert np.abs(found - right).mean() < 0.1 * right.std()
    assert inference.TranscriptStream(path).push(waves(1)[0]) is not None


@pytest.mark.parametrize("quantization", [None, "int8", "dynamic"])
def test_a_recurrent_stack_in_a_model_that_the_model_calls(quantization, tmp_path):
    inner = transcriber((None, MEL), front="network")
    waveform = keras.Input((2400,), name="waveform")
    mel = layers.LogMelSpectrogram(**SPECTROGRAM, padding="zeros")(waveform)
    model = keras.Model(waveform, inner(keras.layers.Rescaling(0.2, 1.0)(mel)), name="whole")
    report = export.export(
        model, tmp_path / "out", ["litert"], quantization, representative_data=waves()
    )
    checked = report.rows[0].verification
    assert checked.agreement > 0.9 and checked.relative < (0.2 if quantization else 1e-4)
    # `CompiledModel` takes no fused operation, which keeps its states in variables. The name of the
    # only input is another one in the file.
    noted = [note for note in report.notes if "fused LSTMs" in note]
    assert len(noted) == (quantization != "int8")
    if quantization == "int8":
        other = export.verify(report.rows[0].path, model, waves(4), runtime="compiled_model")
        assert other.relative < 0.2


def test_the_error_rate_of_transcripts(tmp_path):
    model = transcriber((21, 5))
    x = sequences()
    _description.describe(model, Description(task="transcription", class_names=tuple("abcdef")))
    heard = [answer.labels for answer in inference.decode_greedy(model.predict(x, verbose=0))]
    right = [(*labels[1:], 0, 0) for labels in heard]
    y = np.full((len(x), max(map(len, right))), -1, "int32")
    for row, labels in zip(y, right, strict=True):
        row[: len(labels)] = labels
    mistakes = sum(map(inference.edit_distance, heard, right))
    report = export.export(model, tmp_path / "out", evaluation_data=(x, y))
    checked = report.rows[0].verification
    assert checked.error_rate == checked.model_error_rate == mistakes / (y >= 0).sum() > 0
    assert checked.accuracy is None
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert f"label error rate {checked.error_rate:.2%}" in card
    assert "Labels: a, b, c, d, e, f, and the blank" in card
    with pytest.raises(ValueError, match=r"must have classes in -1\.\.6.*classes -2\.\.5"):
        export.export(model, tmp_path / "out", evaluation_data=(x, np.where(y < 0, -2, y)))
