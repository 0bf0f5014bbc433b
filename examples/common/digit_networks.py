"""Transcribers of strings of spoken digits, one streamed and one accurate, and a picture."""

import keras
import numpy as np

import keras_residual
from common.digit_strings import BANDS, DIGITS, HOP, RATE
from keras_residual import inference, layers

# Frames per step of a transcriber.
STRIDE = 4
FRONTS = ("causal", "residual")
# Channels of the stem and of the blocks of the residual front, and the strides of the blocks over
# frames and mel filters.
STEM, BLOCKS = 16, ((16, (1, 1)), (32, (2, 2)), (32, (1, 1)), (64, (1, 2)))


def network(num_layers, residual, units, front="causal", bidirectional=False, mask_value=0.0):
    """Returns a transcriber of log-mel features, `(batch, frames, 40)`.

    Args:
        num_layers: Number of LSTM layers.
        residual: Whether the layers above the first have residual connections.
        units: Width of the LSTM layers.
        front: What is below them: `"causal"`, residual blocks over time that look back only, so
            that the transcriber can be streamed unless it is bidirectional; or `"residual"`, a
            residual network over frames and mel filters, which sees 0.27 s ahead.
        bidirectional: Whether the bottom LSTM layer runs in both directions.
        mask_value: The value of features that are padding; `None` for features without padding.
    """
    below = {"strides": STRIDE, "front": front} if front == "causal" else {"front": spectral()}
    model = keras_residual.ResidualLSTMTranscriber(
        (None, BANDS),
        classes=DIGITS,
        units=units,
        num_layers=num_layers,
        first_residual="auto" if residual else None,
        bidirectional_bottom=bidirectional,
        mask_value=mask_value,
        dropout=0.2,
        **below,
    )
    # In the epochs on single digits every step has a label, so blanks must start out unlikely.
    head = model.get_layer("classifier")
    kernel, bias = head.get_weights()
    head.set_weights([kernel, np.append(bias[:-1], -4.0)])
    return model


def spectral():
    """Returns a residual network from `(frames, 40)` to `(frames / 4, filters · channels)`."""
    inputs = keras.Input((None, BANDS), name="features")
    x = keras.layers.Reshape((-1, BANDS, 1), name="channel")(inputs)
    x = layers.ConvNorm(STEM, 3, strides=2, name="stem")(x)
    for number, (width, strides) in enumerate(BLOCKS, 1):
        x = layers.ResidualBlock(width, strides=strides, name=f"block{number}")(x)
    _, _, filters, channels = x.shape
    x = keras.layers.Reshape((-1, filters * channels), name="steps")(x)
    return keras.Model(inputs, x, name="spectral")


def word_error_rate(model, test, beam_width=None):
    """Returns the errors per digit, of the best path or of a beam search."""
    mistakes = digits = 0
    for strings in test:
        outputs = model.predict_on_batch(strings.features)
        if beam_width is None:
            answers = inference.decode_greedy(outputs)
        else:
            answers = [found[0] for found in inference.decode_beam(outputs, beam_width=beam_width)]
        for answer, row in zip(answers, strings.labels, strict=True):
            mistakes += inference.edit_distance(answer.labels, row[row >= 0])
            digits += int((row >= 0).sum())
    return mistakes / digits


def draw_string(model, test, path):
    """Draws the spectrogram of a string, the posteriors, and which steps belong to which digit."""
    import matplotlib.pyplot as plt

    strings = max(test, key=lambda strings: (strings.labels >= 0).sum())
    x, labels = strings.features[:1], strings.labels[0][strings.labels[0] >= 0]
    frames = int(strings.frames[0])
    outputs = model.predict_on_batch(x)[:, : -(-frames // STRIDE)]
    probabilities = np.exp(outputs[0] - outputs[0].max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    seconds = HOP / RATE
    times = np.arange(len(probabilities)) * STRIDE * seconds
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(9, 4.6), sharex=True, constrained_layout=True
    )
    end = frames * seconds
    top.imshow(x[0, :frames].T, origin="lower", aspect="auto", extent=(0, end, 0, 40), cmap="magma")
    top.set_ylabel("mel filter")
    top.set_title("said: " + " ".join(map(str, labels)))
    bottom.plot(times, probabilities[:, -1], color="0.8", label="blank")
    for digit in range(DIGITS):
        if probabilities[:, digit].max() > 0.1:
            bottom.plot(times, probabilities[:, digit], color=f"C{digit}")
    (places,) = inference.align(outputs, [labels])
    for digit, (first, last) in zip(labels, places * STRIDE * seconds, strict=True):
        bottom.axvspan(first, last, color=f"C{digit}", alpha=0.25)
        bottom.text((first + last) / 2, 1.04, str(digit), ha="center")
    (answer,) = inference.decode_greedy(outputs)
    bottom.set_ylim(0, 1.15)
    bottom.set_xlabel("seconds")
    bottom.set_ylabel("posterior")
    bottom.set_title("heard: " + " ".join(map(str, answer.labels)), y=1.04)
    figure.savefig(path, dpi=80)
    plt.close(figure)
