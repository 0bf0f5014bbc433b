"""Networks of log-mel features as files that take waveforms, for a phone or the page."""

import keras
import numpy as np

from common.digit_strings import BANDS, DIGITS, RATE, features_of, spectrogram
from keras_residual import Description, export, training

# Five seconds, 500 frames.
SAMPLES = 5 * RATE - 1


def listener(inner, name):
    """Returns a network of waveforms of five seconds around one of features that has no masks.

    Args:
        inner: It takes `(frames, 40)`, or several frames in one step.
        name: Name of the network.
    """
    waveform = keras.Input((SAMPLES,), name="waveform")
    x = features_of(spectrogram()(waveform))
    if inner.input_shape[-1] != BANDS:
        x = keras.layers.Reshape((-1, inner.input_shape[-1]))(x)
    return keras.Model(waveform, inner(x), name=name)


def fitting(waves, answers):
    """Returns waveforms of five seconds, with silence after the end, and their labels.

    Longer ones are left out.
    """
    kept = [i for i, wave in enumerate(waves) if len(wave) <= SAMPLES]
    padded = [np.pad(waves[i], (0, SAMPLES - len(waves[i]))) for i in kept]
    return np.stack(padded), answers[kept]


def write(model, task, folder, calibration, waves, answers):
    """Writes an int8 LiteRT file with its card.

    Args:
        model: A `listener`.
        task: `"transcription"` or `"tagging"`, whose last class is silence.
        folder: The folder to write.
        calibration: Waveforms that decide the ranges of integers.
        waves: Waveforms on which the file is measured.
        answers: The labels of each.
    """
    names = tuple(map(str, range(DIGITS))) + (("silence",) if task == "tagging" else ())
    training.describe(model, Description(task=task, class_names=names, sampling_rate=RATE))
    report = export.export(
        model,
        folder,
        ["litert"],
        "int8",
        representative_data=fitting(calibration, np.arange(len(calibration)))[0],
        evaluation_data=fitting(waves, answers),
        batch_size=1,
    )
    print(report.rows[0].verification)
