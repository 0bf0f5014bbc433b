"""Networks for spoken words: spectrograms inside, any rate and length, and what is refused."""

import keras
import numpy as np
import pytest
from support import run

import keras_residual
from keras_residual import data, layers, models
from keras_residual.analysis import cost

SOUND = np.random.default_rng(0).normal(0, 0.1, (2, 240)).astype("float32")
TINY = {"sampling_rate": 2000, "frame_length": 0.1, "classes": 3}
BROAD = {**TINY, "width_factor": 0.25, "depths": (1,) * 4}
DEEP = {**TINY, "depth": 2, "width": 4}


@pytest.mark.parametrize(("name", "options"), [("BCResNet", BROAD), ("KeywordResNet", DEEP)])
def test_the_waveform_becomes_the_papers_spectrogram(name, options):
    build = getattr(models, name)
    whole = build(input_shape=(240,), **options)
    assert whole.input_shape == (None, 240)
    own = {key: value for key, value in options.items() if key not in ("frame_length",)}
    rest = build(front_end=None, input_shape=(13, 40, 1), **own)
    rest.set_weights(whole.get_weights())
    mel = {"max_freq": 1000.0, "min_freq": 20.0, "mel_scale": "slaney", "norm": "slaney"}
    spectrogram = layers.LogMelSpectrogram(
        2000,
        sequence_length=200,
        sequence_stride=20,
        fft_length=256,
        **(mel | {"num_coefficients": 40} if name == "KeywordResNet" else {}),
    )(SOUND)
    expected = run(whole, SOUND)
    np.testing.assert_allclose(run(rest, spectrogram[..., None]), expected, atol=1e-5)
    # Recordings of a dataset have an axis of one channel.
    np.testing.assert_allclose(run(whole, SOUND[..., None]), expected, atol=1e-6)


def test_published_networks_take_a_second_at_16_kilohertz():
    assert len(keras_residual.list_models("bcresnet*")) == 6
    assert keras_residual.get_model("res8").input_shape == (None, 16000)
    assert cost("Res15").trainable_parameters == 237_882
    assert cost("Res8Narrow").trainable_parameters == 19_905
    assert cost("bcresnet_1_5").trainable_parameters == 17_154


def test_other_rates_and_lengths():
    assert models.BCResNet(sampling_rate=8000, **{k: BROAD[k] for k in ("width_factor", "depths")}
                           ).input_shape == (None, 8000)  # fmt: skip
    any_length = models.KeywordResNet(input_shape=(None,), **DEEP)
    assert any_length.predict_on_batch(SOUND[:, :170]).shape == (2, 3)
    bare = models.KeywordResNet(include_top=False, pooling="avg", **DEEP)
    assert bare.input_shape == (None, None) and bare.output_shape == (None, 4)
    spectrograms = models.BCResNet(front_end=None, width_factor=0.25, data_format="channels_first")
    assert spectrograms.input_shape == (None, 1, 101, 40)
    tensor = keras.Input((240, 1))
    assert models.KeywordResNet(input_tensor=tensor, **DEEP).input_shape == (None, 240, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_shape": (240, 1)}, r"`input_shape` must be \(samples,\)"),
        ({"input_shape": (40,)}, "needs at least 101 samples"),
        ({"input_shape": (-1,)}, "`input_shape`"),
        ({"input_tensor": keras.Input((240, 2))}, "`input_tensor` must be a Keras tensor of wave"),
        ({"front_end": "fft"}, "`front_end` must be one of 'log_mel', 'mfcc', None"),
        ({"front_end": None, "frame_length": 0.02}, "`frame_length` has no effect without"),
        ({"frame_step": 0.0}, "`frame_step`"),
        ({"sampling_rate": 0}, "`sampling_rate`"),
        ({"include_preprocessing": True}, "scales pixels; this network takes sound"),
        ({"depths": (1, 1)}, "`depths` must hold the numbers of blocks of four"),
        ({"sub_bands": 3}, "`sub_bands` must divide the 20 frequencies"),
        ({"num_mel_bins": 24, "sub_bands": 1}, "needs at least 5 frequencies"),
        ({"width_factor": 0}, "`width_factor`"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        models.BCResNet(**{**BROAD, **options})


def recordings(rate=2000):
    sound = np.random.default_rng(0).integers(-99, 99, (12, 240, 1), dtype=np.int16)
    split = data.ArraySplit(
        x=sound,
        y=np.arange(12) % 3,
        image_shape=(240, 1),
        scale=2.0**15,
        augmentation="audio",
        rate=rate,
    )
    return data.Dataset("words", split, split, ("one", "three", "two"))


def test_a_network_for_recordings():
    model = keras_residual.model_for("res8_narrow", recordings(), depth=2, width=4)
    assert model.input_shape == (None, 240) and model.output_shape == (None, 3)
    assert model.get_layer("spectrogram").sampling_rate == 2000
    with pytest.raises(ValueError, match="`sampling_rate` must be that of the recordings, 2000"):
        keras_residual.model_for("res8", recordings(), sampling_rate=16000)
    with pytest.raises(ValueError, match=r"takes recordings of sound.*digits"):
        keras_residual.model_for("bcresnet1", data.load("digits"))
