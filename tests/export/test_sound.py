"""Networks for sound in LiteRT files for phones: MediaPipe's metadata, spectrograms in floats."""

import os
import pathlib

import keras
import numpy as np
import pytest

from keras_residual import export, models
from keras_residual._description import Description, describe
from keras_residual.export.formats.litert.joining import joined

RATE, WORDS = 2000, ("no", "yes", "maybe")
MEDIAPIPE = os.environ.get(export.MEDIAPIPE_PYTHON)
with_mediapipe = pytest.mark.skipif(
    not MEDIAPIPE or not pathlib.Path(MEDIAPIPE).is_file(), reason="no interpreter with mediapipe"
)


def waves(count=40):
    random = np.random.default_rng(0)
    time = np.arange(480) / RATE
    tones = np.sin(2 * np.pi * random.uniform(50, 900, (count, 1)) * time)
    strength = 10 ** random.uniform(-2, 0, (count, 1))
    return (strength * (tones + 0.1 * random.normal(size=(count, 480)))).astype("float32")


def network(described=True):
    keras.utils.set_random_seed(0)
    model = models.KeywordResNet(
        input_shape=(480,),
        classes=3,
        depth=2,
        width=6,
        pool=(4, 3),
        front_end="log_mel",
        max_freq=None,
        sampling_rate=RATE,
        frame_length=0.06,
        num_mel_bins=12,
    )
    if described:
        describe(model, Description(class_names=WORDS, sampling_rate=RATE))
    return model


def write(model, folder, quantization=None, **options):
    (row,) = export.export(
        model, folder, ("litert",), quantization, waves(), measure=False, **options
    ).rows
    return row


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_a_file_takes_one_waveform_of_floats(tmp_path, quantization):
    row = write(network(), tmp_path, quantization)
    artefact = export.load(row.path)
    assert artefact.input_shape == (1, 480) and artefact.input_type == "float32"
    assert row.verification.worst < (1e-4 if quantization is None else 0.05)
    assert artefact.operations()["SOFTMAX"] == 1
    assert artefact.labels == list(WORDS) and artefact.takes_sound
    assert artefact.description.sampling_rate == RATE
    assert artefact.description.class_names == WORDS
    assert row.verification.agreement >= (1.0 if quantization is None else 0.9)
    scores = artefact.predict(waves(4))
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)
    assert "LOG" in artefact.operations()
    # Of integers, the network computes in them, the spectrogram before it does not.
    assert ("QUANTIZE" in artefact.operations()) == (quantization == "int8")


def test_the_metadata_says_rate_and_channels(tmp_path):
    row = write(network(), tmp_path)
    content = row.path.read_bytes()
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (entry,) = [m for m in model.metadata if m.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    # AudioProperties, the fourth of the union: its table holds both numbers side by side.
    assert np.array([RATE], "<u4").tobytes() in data


def test_what_a_file_for_pictures_has_is_refused(tmp_path):
    for options in ({"outputs": "float32"}, {"preprocessing": keras.layers.Rescaling(2.0)}):
        with pytest.raises(ValueError, match="is for models that take pictures"):
            write(network(), tmp_path, **options)
    with pytest.raises(ValueError, match=r'`target="phone"`: phones give one waveform'):
        write(network(), tmp_path, target="phone", batch_size=2)
    row = write(network(), tmp_path, target="server", batch_size=2)
    assert export.load(row.path).input_shape == (2, 480)


def test_a_network_says_its_rate_without_a_description(tmp_path):
    artefact = export.load(write(network(described=False), tmp_path).path)
    assert artefact.takes_sound and artefact.description.sampling_rate == RATE


def test_files_that_do_not_fit_are_not_joined(tmp_path):
    content = write(network(), tmp_path).path.read_bytes()
    with pytest.raises(export.ExportError, match="cannot be joined to one that takes"):
        joined(content, content)


@with_mediapipe
@pytest.mark.parametrize("quantization", [None, "int8"])
def test_mediapipe_hears_what_keras_hears(tmp_path, quantization):
    model = network()
    row = write(model, tmp_path, quantization)
    checked = export.verify(row.path, model, waves(), runtime="mediapipe")
    assert checked.agreement >= (1.0 if quantization is None else 0.9)
    assert checked.worst < (1e-3 if quantization is None else 0.05)
