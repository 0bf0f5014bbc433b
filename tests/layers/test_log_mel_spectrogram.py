"""`LogMelSpectrogram` against the formulas of torchaudio and librosa, written out in NumPy."""

import keras
import numpy as np
import pytest
from support import run

from keras_residual.layers import LogMelSpectrogram


def waves(samples, count=2):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, samples)).astype(np.float32)


def reference(x, length, stride, points, filters, mode="reflect"):
    """Frames of `points` samples around every `stride`-th one, their power, the mel filters."""
    window = np.zeros(points)
    start = (points - length) // 2
    window[start : start + length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    padded = np.pad(x.astype(np.float64), [(0, 0), (points // 2, points // 2)], mode=mode)
    count = (padded.shape[1] - points) // stride + 1
    frames = np.stack([padded[:, i * stride : i * stride + points] for i in range(count)], 1)
    return np.abs(np.fft.rfft(frames * window)) ** 2 @ filters


def htk_filters(count, points, rate):
    """torchaudio's `melscale_fbanks(norm=None, mel_scale="htk")`."""
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, count + 2) / 2595) - 1)
    found = np.zeros((points // 2 + 1, count))
    for index, frequency in enumerate(np.arange(points // 2 + 1) * rate / points):
        for band in range(count):
            low, centre, high = edges[band : band + 3]
            if low < frequency <= centre:
                found[index, band] = (frequency - low) / (centre - low)
            elif centre < frequency < high:
                found[index, band] = (high - frequency) / (high - centre)
    return found


@pytest.mark.parametrize(
    ("rate", "length", "stride", "points"),
    [(16000, 480, 160, 512), (8000, 240, 80, 256), (16000, 400, 160, 400), (8000, 201, 64, 250)],
)
@pytest.mark.parametrize(("padding", "mode"), [("reflect", "reflect"), ("zeros", "constant")])
def test_equals_torchaudio_s_formula(rate, length, stride, points, padding, mode):
    layer = LogMelSpectrogram(rate, 20, length, stride, points, padding=padding)
    x = waves(1613)
    expected = reference(x, length, stride, points, htk_filters(20, points, rate), mode)
    np.testing.assert_allclose(run(layer, x), np.log(expected + 1e-6), atol=2e-4)


def test_cepstral_coefficients_of_slaney_s_filters():
    layer = LogMelSpectrogram(
        fft_length=480,
        min_freq=20,
        max_freq=4000,
        mel_scale="slaney",
        norm="slaney",
        num_coefficients=40,
    )
    # Linear to 1 kHz, 200/3 Hz a mel, then a factor of 6.4 in 27 mel.
    mel = np.linspace(20 * 3 / 200, 15 + np.log(4) / (np.log(6.4) / 27), 42)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
    f = np.arange(241)[:, None] * 16000 / 480
    rising, falling = (f - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - f) / np.diff(edges)[1:]
    filters = np.clip(np.minimum(rising, falling), 0, None) * 2 / (edges[2:] - edges[:-2])
    x = waves(16000, 1)
    logs = np.log(reference(x, 480, 160, 480, filters) + 1e-6)
    n, k = np.arange(40), np.arange(40)[:, None]
    cosines = np.cos(np.pi / 40 * (n + 0.5) * k) * np.where(k == 0, 40**-0.5, 20**-0.5)
    found = run(layer, x)
    assert found.shape == (1, 101, 40)
    np.testing.assert_allclose(found, logs @ cosines.T, atol=5e-4)


def test_frames_without_padding_begin_at_the_first_sample():
    options = {"sampling_rate": 8000, "num_mel_bins": 10, "sequence_length": 64}
    layer = LogMelSpectrogram(**options, sequence_stride=24, fft_length=64, padding="valid")
    x = waves(200)
    whole = run(layer, x)
    assert whole.shape == (2, 6, 10)
    np.testing.assert_allclose(whole[:, 2:3], run(layer, x[:, 48:112]), atol=1e-5)


def test_silence_is_the_logarithm_of_the_offset():
    outputs = run(LogMelSpectrogram(), np.zeros((1, 1600), np.float32))
    np.testing.assert_allclose(outputs, np.log(1e-6), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"fft_length": 256}, (1, 16000), "`fft_length`"),
        ({"fft_length": 481}, (1, 16000), "must be even"),
        ({"num_mel_bins": 200}, (1, 16000), "hold no frequency"),
        ({"num_coefficients": 41}, (1, 16000), "at most `num_mel_bins`"),
        ({"max_freq": 9000}, (1, 16000), "`max_freq`"),
        ({"mel_scale": "bark"}, (1, 16000), "`mel_scale`"),
        ({"offset": 0}, (1, 16000), "`offset`"),
        ({}, (1, 16000, 2), "mono"),
        ({}, (1, 240), "at least 241 samples"),
        ({"padding": "zeros"}, (1, 0), "at least 1 sample for"),
        ({"padding": "valid"}, (1, 479), "at least 480 samples"),
    ],
)
def test_wrong_arguments(options, shape, message):
    with pytest.raises(ValueError, match=message):
        LogMelSpectrogram(**options)(keras.Input(batch_shape=shape))


@pytest.mark.parametrize(("padding", "least"), [("valid", 20), ("reflect", 11), ("zeros", 1)])
def test_too_short_waveforms_are_refused_by_a_model_for_any_length(padding, least):
    inputs = keras.Input((None,))
    layer = LogMelSpectrogram(800, 5, 20, 10, 32, padding=padding)
    model = keras.Model(inputs, layer(inputs))
    assert np.isfinite(model.predict(waves(least), verbose=0)).all()
    message = f"needs at least {least} sample"
    for compute in (model, lambda x: model.predict(x, verbose=0)):
        # TensorFlow's own error, or a ValueError.
        with pytest.raises(Exception, match=message):
            compute(waves(least - 1))
