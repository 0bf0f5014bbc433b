"""The transcriber: shapes, padding that changes nothing, streams, fronts, wrong arguments."""

import keras
import numpy as np
import pytest
from support import ramp, run

import keras_residual
from keras_residual import ResidualLSTMTranscriber, inference, training
from keras_residual.layers.lstm.causal_block import CausalResidualBlock
from keras_residual.layers.lstm.step_masks import TrailingPadding

TINY = {"units": 6, "num_layers": 3, "classes": 4}
SPECTROGRAM = {
    "sampling_rate": 800,
    "sequence_length": 20,
    "sequence_stride": 10,
    "fft_length": 32,
    "num_mel_bins": 5,
}


def features(**options):
    return ResidualLSTMTranscriber((None, 3), **{**TINY, **options})


def waveforms(**options):
    return ResidualLSTMTranscriber((None,), spectrogram=SPECTROGRAM, **{**TINY, **options})


def pictures(**options):
    return ResidualLSTMTranscriber((8, None, 1), **{**TINY, **options})


def cnn(shape=(8, None, 1)):
    return keras_residual.ResNet(
        block="basic",
        depths=(1, 1),
        widths=(4, 6),
        stem="conv3",
        include_top=False,
        input_shape=shape,
        weights=None,
    )


def resnet_1d():
    return keras_residual.ResNet1D(
        include_top=False, input_shape=(None, 3), widths=(4, 4, 4), stage_strides=(1, 2, 1)
    )


FEATURES, SOUND, LINES = ramp(2, 11, 3), ramp(2, 115), ramp(2, 8, 14, 1)
MAKERS = {
    "features": (features, FEATURES, 11),
    "causal": (lambda **o: features(front="causal", strides=4, **o), FEATURES, 3),
    "unstrided": (lambda **o: features(front="causal", strides=1, **o), FEATURES, 11),
    "integers": (
        lambda **o: ResidualLSTMTranscriber(vocabulary_size=9, **TINY, **o),
        np.array([[3, 1, 4, 1], [2, 7, 1, 8]]),
        4,
    ),
    "waveforms": (waveforms, SOUND, 12),
    "waveforms_causal": (lambda **o: waveforms(front="causal", **o), SOUND, 6),
    "pictures": (pictures, LINES, 14),
    "pictures_causal": (lambda **o: pictures(front="causal", **o), LINES, 7),
    "pictures_cnn": (lambda **o: pictures(front=cnn(), **o), LINES, 7),
    "resnet_1d": (lambda **o: features(front=resnet_1d(), **o), FEATURES, 6),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_outputs_and_files(kind, tmp_path):
    make, inputs, steps = MAKERS[kind]
    # Masks are part of what is saved.
    model = make(**{} if kind == "integers" else {"mask_value": 0.0})
    outputs = run(model, inputs)
    assert outputs.shape == (2, steps, 5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, inputs), outputs)
    again = keras.models.clone_model(model, clone_function=lambda layer: layer)
    np.testing.assert_array_equal(run(again, inputs), outputs)


@pytest.mark.parametrize(
    "kind", ["features", "causal", "waveforms", "waveforms_causal", "pictures"]
)
def test_padding_changes_nothing(kind):
    """The same steps, longer batches: equal logits, a certain blank behind, an equal loss."""
    make, inputs, _ = MAKERS[kind]
    model = make(mask_value=0.0)
    axis = 2 if inputs.ndim == 4 else 1
    widths = [(0, 0)] * inputs.ndim
    widths[axis] = (0, 30)
    padded = np.pad(inputs, widths)
    outputs, longer = run(model, inputs), run(model, padded)
    counted = outputs.shape[1]
    counted -= kind == "waveforms" and inputs.shape[1] % 10 == 0
    np.testing.assert_allclose(longer[:, :counted], outputs[:, :counted], atol=2e-6)
    assert (longer[:, counted:].argmax(-1) == 4).all()
    assert (longer[:, counted:, -1] == 0).all() and (longer[:, counted:, :-1] == -1e4).all()
    labels = np.array([[1, -1], [0, 2]], "int32")
    alone, together = (
        keras.ops.convert_to_numpy(training.CTC()(labels, model(x))) for x in (inputs, padded)
    )
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_only_trailing_samples_are_padding():
    x = np.array([[0.0, 1, 0, 2, 0, 0], [0, 0, 0, 0, 0, 0]], "float32")
    mask = keras.ops.convert_to_numpy(TrailingPadding().compute_mask(x))
    assert mask.tolist() == [[True] * 4 + [False] * 2, [False] * 6]


def test_certain_blank_where_everything_is_masked():
    model = features(mask_value=0.0, front="causal")
    outputs = run(model, np.zeros((2, 5, 3), "float32"))
    assert (outputs.argmax(-1) == 4).all()
    assert inference.decode_greedy(outputs)[0].labels == ()


def test_residual_connections_can_be_left_out():
    plain, residual = features(first_residual=None), features()
    assert plain.count_params() == residual.count_params()
    assert not plain.get_layer("lstm").is_residual(1)
    assert residual.get_layer("lstm").is_residual(1)


@pytest.mark.parametrize("strides", [1, 2, 3])
def test_causal_block_sees_no_later_step(strides):
    block = CausalResidualBlock(4, strides=strides)
    x = ramp(2, 10, 3)
    y = keras.ops.convert_to_numpy(block(x))
    for t in range(10):
        changed = x.copy()
        changed[:, t:] += 1
        same = keras.ops.convert_to_numpy(block(changed))[:, : -(-t // strides)]
        np.testing.assert_allclose(same, y[:, : -(-t // strides)], rtol=1e-6, atol=1e-6)


SIGNAL = 2 * np.random.default_rng(1).normal(size=(1, 42, 3)).astype("float32")
WAVE = np.random.default_rng(2).normal(size=(1, 415)).astype("float32")
PICTURE = np.random.default_rng(3).normal(size=(1, 8, 42, 1)).astype("float32")


def varied(model, signal=SIGNAL):
    """Makes outputs whose best path for the signal has several labels, on every backend."""
    draw = np.random.default_rng(5)
    model.set_weights(
        [
            draw.normal(size=w.shape, scale=w.shape[-2] ** -0.5) if len(w.shape) > 1 else w
            for w in model.get_weights()
        ]
    )
    head = model.get_layer("classifier")
    kernel, bias = head.get_weights()
    head.set_weights([30 * np.random.default_rng(0).normal(size=kernel.shape), bias])
    head.set_weights([head.get_weights()[0], -run(model, signal).mean((0, 1))])
    return model


def valid(**options):
    spectrogram = {**SPECTROGRAM, "padding": "valid", "sequence_length": 8}
    return ResidualLSTMTranscriber((None, 1), spectrogram=spectrogram, **{**TINY, **options})


# The input of a stream, and the axis of its steps.
STREAMED = {
    "features": (features, {}, SIGNAL, 1),
    "unstrided": (features, {"front": "causal", "strides": 1}, SIGNAL, 1),
    "causal": (features, {"front": "causal", "strides": 4}, SIGNAL, 1),
    "waveforms": (waveforms, {}, WAVE, 1),
    "waveforms_causal": (waveforms, {"front": "causal", "strides": 4}, WAVE, 1),
    "waveforms_valid": (valid, {"front": "causal", "strides": 2}, WAVE[..., None], 1),
    "pictures": (pictures, {}, PICTURE, 2),
    "pictures_causal": (pictures, {"front": "causal", "strides": 2}, PICTURE, 2),
}


def streamed(kind):
    make, options, signal, axis = STREAMED[kind]
    return varied(make(**options, mask_value=-9.0), signal), signal, axis - 1


def pieces(signal, size, axis):
    return np.split(signal[0], range(size, signal.shape[axis + 1], size), axis=axis)


@pytest.mark.parametrize("kind", STREAMED)
def test_stream_in_pieces_of_any_length(kind):
    model, x, axis = streamed(kind)
    (whole,) = inference.decode_greedy(run(model, x))
    assert len(whole.labels) >= 2
    heard = inference.TranscriptStream(model)
    for size in (7 if x is WAVE else 1, 37, 1000):
        heard.reset()
        found = [heard.push(piece) for piece in pieces(x, size, axis)] + [heard.finish()]
        assert heard.labels == whole.labels == tuple(label for part in found for label in part)
    assert heard.finish() == ()
    with pytest.raises(ValueError, match=r"`piece` must have the shape \("):
        heard.push(x)
    with pytest.raises(ValueError, match="`piece` must be finite"):
        heard.push(x[0] * np.nan)


@pytest.mark.parametrize("kind", STREAMED)
def test_the_model_itself_runs_step_by_step(kind, tmp_path):
    """Outputs are those of the whole sequence, also of a model that was saved."""
    model, x, axis = streamed(kind)
    expected = run(model, x)
    if kind == "causal":
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    window = model.stream_window
    widths = [(0, 0)] * x.ndim
    widths[axis + 1] = (window.before, window.after + window.size)
    padded, states, found = np.pad(x, widths), model.get_initial_state(1), []
    places = range(0, window.before + x.shape[axis + 1] - window.needed + window.after, window.hop)
    for start in places:
        stretch = np.take(padded, range(start, start + window.size), axis=axis + 1)
        outputs, states = model.step(stretch, states)
        found.append(keras.ops.convert_to_numpy(outputs))
    found = np.concatenate(found, axis=1)[:, : expected.shape[1]]
    assert found.shape[1] >= expected.shape[1] - 1
    np.testing.assert_allclose(found, expected[:, : found.shape[1]], atol=1e-3)


def test_several_steps_or_one_without_its_axis():
    model = features()
    states = model.get_initial_state(1)
    as_array = keras.ops.convert_to_numpy
    several, last = model.step(SIGNAL[:, :5], states)
    for t in range(5):
        one, states = model.step(SIGNAL[:, t], states)
        assert tuple(one.shape) == (1, 5)
        np.testing.assert_allclose(as_array(one), as_array(several)[:, t], atol=1e-5)
    np.testing.assert_allclose(as_array(states[0]), as_array(last[0]), atol=1e-6)
    words = ResidualLSTMTranscriber(vocabulary_size=9, **TINY)
    assert tuple(words.step(np.array([3, 1]), words.get_initial_state(2))[0].shape) == (2, 5)


def test_what_cannot_be_streamed():
    front = features(front=resnet_1d())
    for call in (
        lambda: front.get_initial_state(1),
        lambda: inference.TranscriptStream(front),
        lambda: pictures(front=cnn()).step(PICTURE, []),
    ):
        with pytest.raises(ValueError, match=r"front=None or front='causal'.*Received: "):
            call()
    spectrogram = {**SPECTROGRAM, "padding": "reflect"}
    mirrored = ResidualLSTMTranscriber((None,), spectrogram=spectrogram, **TINY)
    with pytest.raises(ValueError, match="padding='zeros' or 'valid'"):
        mirrored.step(WAVE, mirrored.get_initial_state(1))
    with pytest.raises(ValueError, match="needs later steps"):
        features(bidirectional_bottom=True).get_initial_state(1)
    causal = features(front="causal", strides=4)
    with pytest.raises(ValueError, match=r"\(batch, 4 \+ k \* 4, 3\)"):
        causal.step(SIGNAL[:, :5], causal.get_initial_state(1))
    with pytest.raises(ValueError, match="`states` must be 10 tensors"):
        causal.step(SIGNAL[:, :4], [])


@pytest.mark.parametrize("kind", ["causal", "waveforms_causal", "pictures_causal"])
def test_stream_and_whole_sequences_in_litert(kind, tmp_path):
    pytest.importorskip("ai_edge_litert")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("files are written with the TensorFlow backend")
    from keras_residual.export import lstm

    make, options, x, axis = STREAMED[kind]
    model = varied(make(**options), x)
    axis -= 1
    outputs = run(model, x)
    path = lstm.write_streaming(model, tmp_path / "stream.tflite")
    assert lstm.LiteRTStream(path).window == model.stream_window
    heard = inference.TranscriptStream(path)
    for piece in pieces(x, 53, axis):
        heard.push(piece)
    heard.finish()
    assert heard.labels == inference.decode_greedy(outputs)[0].labels
    steps = x.shape[axis + 1]
    whole = lstm.LiteRTSequences(lstm.write(model, tmp_path / "whole.tflite", steps=steps))
    np.testing.assert_allclose(whole(x), outputs, atol=1e-3)
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in lstm.operations(tmp_path / "whole.tflite")


def test_learns_to_transcribe():
    """Integers in, runs of equal ones merged out: a few steps suffice."""
    keras.utils.set_random_seed(3)
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, (64, 4)).astype("int32")
    x = np.repeat(y + 1, 3, axis=1)
    model = ResidualLSTMTranscriber(vocabulary_size=5, units=24, num_layers=2, classes=3)
    model.compile(
        keras.optimizers.Adam(0.02), training.CTC(), metrics=[training.CharacterErrorRate()]
    )
    model.fit(x, y, batch_size=16, epochs=10, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["character_error_rate"] < 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: features(classes=0), "`classes` must be a positive integer"),
        (lambda: features(front="conv"), "`front` must be None, 'causal' or a Keras model"),
        (lambda: features(front="causal", strides=3), "`strides` must be a power of 2"),
        (lambda: features(unit=3), "unit"),
        (
            lambda: features(front=cnn()),
            r"`front` must take one input of the shape \(None, None, 3",
        ),
        (lambda: features(front=keras_residual.ResNet1D(input_shape=(None, 3))), "include_top"),
        (lambda: waveforms(vocabulary_size=3), "`vocabulary_size` has no effect"),
        (lambda: pictures(spectrogram={}), "`spectrogram` has no effect"),
        (lambda: features(spectrogram={}), r"`spectrogram` is for mono waveforms"),
        (lambda: ResidualLSTMTranscriber((9,), spectrogram=3), "`spectrogram` must be a dict"),
        (lambda: ResidualLSTMTranscriber((9,)), "`vocabulary_size` must be given"),
        (lambda: ResidualLSTMTranscriber((None, 9, 1)), r"input_shape \(height\)"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
