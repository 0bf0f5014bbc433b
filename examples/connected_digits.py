"""Strings of spoken digits, transcribed without alignment by a residual LSTM stack.

The recordings are those of the Free Spoken Digit Dataset, six speakers at 8 kHz, in an `.npz` file
with `audio` (int16 samples of all), `offsets`, `digit`, `speaker`, `recording` and `rate`:

    python examples/connected_digits.py --data spoken_digits.npz --save digits.keras
    python examples/connected_digits.py --data spoken_digits.npz --begin digits.keras --epochs 8 \\
        --save digits2.keras
    python examples/connected_digits.py --data spoken_digits.npz --begin digits2.keras --epochs 7 \\
        --first-epoch 200

Strings of 1 to 7 digits by one speaker are put together, with gaps or overlaps between and silence
around them, new ones in each epoch. Recordings 5 to 9 of each digit and speaker are held out, and
the word error rate is that of 600 strings of them, 2,023 digits. The stack has two layers of 64
units and looks back only. Each command takes 6 to 9 minutes on one core that others use too:

    after            best path  beam of 8
    12 epochs            9.69%      8.26%
    8 epochs more        3.76%      3.66%
    7 epochs more        2.27%      2.22%

`--layers 8`, `--plain` and `--compare` train deeper stacks and stacks without residual connections
on the same strings. `--picture FILE` draws one string: spectrogram, posteriors and alignment.

Reference:
    - [Graves et al., 2006](https://doi.org/10.1145/1143844.1143891), CTC
    - Z. Jackson et al., Free Spoken Digit Dataset, CC BY-SA 4.0
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import keras
import numpy as np

import keras_residual
from keras_residual import data, inference, layers, training

HELD_OUT = range(5, 10)
DIGITS, LONGEST, RATE = 10, 7, 8000
# Digits follow each other after up to 0.3 s, or overlap by up to 0.05 s.
GAPS, AROUND = (-0.05, 0.3), (0.0, 0.25)
BATCH, TEST_STRINGS = 32, 600
STRIDE = 4
# Epochs on single digits, before strings.
SINGLE = 3


class Strings:
    """Strings of digits made of single recordings."""

    def __init__(self, path):
        with np.load(path) as stored:
            offsets, self.rate = stored["offsets"], int(stored["rate"])
            if self.rate != RATE:
                raise ValueError(f"--data must be sampled at {RATE} Hz. Received: {self.rate}")
            audio = stored["audio"].astype("float32") / 2**15
            self.digit, self.speaker = stored["digit"].astype("int32"), stored["speaker"]
            self.recording = stored["recording"]
        self.waves = [audio[a:b] for a, b in itertools.pairwise(offsets)]
        self.spectrogram = layers.LogMelSpectrogram(
            RATE, 40, sequence_length=200, sequence_stride=80, fft_length=256, padding="zeros"
        )

    def batch(self, rows, draw, count, longest=LONGEST):
        """Returns the labels and waveforms of new strings, and their features.

        Args:
            rows: Numbers of the recordings to take from.
            draw: A NumPy generator.
            count: Number of strings, all of about one length.
            longest: Most digits of a string.

        Returns:
            Waveforms in a list, features `(count, steps, 40)`, zero behind the end, and labels
            `(count, 7)` with -1 behind the last.
        """
        speakers = np.unique(self.speaker)
        of = {name: rows[self.speaker[rows] == name] for name in speakers}
        # Batches of like lengths waste little on padding.
        longest = int(draw.integers(1, longest + 1))
        labels, waves = np.full((count, LONGEST), -1, "int32"), []
        for row in labels:
            size = max(1, longest - int(draw.integers(2)))
            chosen = draw.choice(of[draw.choice(speakers)], size)
            row[:size] = self.digit[chosen]
            waves.append(self._joined(chosen, draw))
        return waves, self.features(waves), labels

    def _joined(self, chosen, draw):
        place = int(draw.uniform(*AROUND) * RATE)
        starts, lengths = [], [len(self.waves[i]) for i in chosen]
        for length in lengths:
            starts.append(max(0, place))
            place = starts[-1] + length + int(draw.uniform(*GAPS) * RATE)
        end = max(s + n for s, n in zip(starts, lengths, strict=True))
        wave = np.zeros(end + int(draw.uniform(*AROUND) * RATE), "float32")
        for start, i in zip(starts, chosen, strict=True):
            wave[start : start + len(self.waves[i])] += self.waves[i]
        wave += draw.normal(0, draw.uniform(1e-4, 2e-3), len(wave)).astype("float32")
        return wave * np.float32(draw.uniform(0.5, 1.5))

    def features(self, waves):
        """Returns spectrograms around zero, and zeros behind each end."""
        stride = self.spectrogram.sequence_stride
        samples = (max(map(len, waves)) // (16 * stride) + 1) * 16 * stride - 1
        padded = np.stack([np.pad(wave, (0, samples - len(wave))) for wave in waves])
        x = (keras.ops.convert_to_numpy(self.spectrogram(padded)) + 7) / 4
        frames = np.array([-(-len(wave) // stride) for wave in waves])
        return np.where((np.arange(x.shape[1]) < frames[:, None])[..., None], x, 0)


def network(num_layers, residual, units=64):
    """Returns a transcriber of log-mel features that can be streamed."""
    model = keras_residual.ResidualLSTMTranscriber(
        (None, 40),
        classes=DIGITS,
        units=units,
        num_layers=num_layers,
        front="causal",
        strides=STRIDE,
        first_residual=1 if residual else None,
        mask_value=0.0,
        dropout=0.1,
    )
    # After single digits, of which every step is told, the blank is not to be the usual answer.
    head = model.get_layer("classifier")
    kernel, bias = head.get_weights()
    head.set_weights([kernel, np.append(bias[:-1], -4.0)])
    return model


def learn_single_digits(model, single, steps):
    """Trains every step of a single digit to tell it; CTC alone would wait long before it begins.

    The recordings are single ones, so that this takes no alignment either.
    """
    optimizer = keras.optimizers.AdamW(
        training.OneCycle(4e-3, steps, steps // 5), weight_decay=1e-3, clipnorm=2.0
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    for number, (x, y) in enumerate(single, 1):
        model.reset_metrics()
        value = float(model.train_on_batch(x, np.repeat(y[:, :1], -(-x.shape[1] // STRIDE), 1)))
        if number % (steps // 3) == 0:
            print(f"  single digits, step {number}: loss {value:.3f}", flush=True)


def batches(strings, rows, seed, first, last, steps):
    """Yields new strings for every epoch, with bands of their spectrograms set to the mean."""
    for epoch in range(first, last):
        draw = np.random.default_rng((seed, epoch))
        for step in range(steps):
            _, x, y = strings.batch(rows, draw, BATCH, longest_at(epoch))
            places = np.arange(BATCH) + BATCH * step
            # Longer stretches of time would hide whole digits.
            hidden = data.augment.spec_augment(
                x, seed, epoch, places, frequencies=0.15, times=0.02, fill=-1.0
            )
            # Zeros stay padding.
            yield np.where(x.any(-1, keepdims=True), hidden, 0).astype("float32"), y


def longest_at(epoch):
    """Returns how many digits a string of an epoch has at most: one before the strings begin."""
    return min(LONGEST, max(1, 2 * (epoch - SINGLE + 1)))


def test_strings(strings, rows, seed=1):
    draw = np.random.default_rng(seed)
    return [strings.batch(rows, draw, 50) for _ in range(TEST_STRINGS // 50)]


def word_error_rate(model, test, beam_width=None):
    """Returns mistakes a digit, of the best path or of a beam search."""
    mistakes = digits = 0
    for _, x, y in test:
        outputs = model.predict_on_batch(x)
        if beam_width is None:
            answers = inference.decode_greedy(outputs)
        else:
            answers = [found[0] for found in inference.decode_beam(outputs, beam_width=beam_width)]
        for answer, row in zip(answers, y, strict=True):
            mistakes += distance(answer.labels, row[row >= 0])
            digits += int((row >= 0).sum())
    return mistakes / digits


def distance(a, b):
    """Returns how many insertions, deletions and substitutions lie between two strings."""
    row = list(range(len(b) + 1))
    for token in a:
        before, row = row, [row[0] + 1]
        for place, other in enumerate(b):
            row.append(min(before[place + 1] + 1, row[-1] + 1, before[place] + (token != other)))
    return row[-1]


def train(strings, num_layers, residual, epochs, steps, seed, begin=None, first_epoch=100):
    """Returns a trained model, what came out, and the test strings."""
    keras.utils.set_random_seed(seed)
    held_out = np.isin(strings.recording, HELD_OUT)
    rows, test_rows = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    test = test_strings(strings, test_rows)
    started = time.perf_counter()
    if begin is None:
        first, last, model = SINGLE, epochs, network(num_layers, residual)
        learn_single_digits(model, batches(strings, rows, seed, 0, SINGLE, steps), SINGLE * steps)
    else:
        # Epochs of other numbers have other strings.
        first, last = first_epoch, first_epoch + epochs
        model = keras.saving.load_model(begin)
        num_layers = model.get_layer("lstm").num_layers
        residual = model.get_layer("lstm").is_residual(num_layers - 1)
    total = (last - first) * steps
    optimizer = keras.optimizers.AdamW(
        training.OneCycle(3e-3, total, total // 10), weight_decay=1e-3, clipnorm=2.0
    )
    model.compile(optimizer, training.CTC(zero_infinity=True), jit_compile=False)
    for number, (x, y) in enumerate(batches(strings, rows, seed, first, last, steps), 1):
        model.reset_metrics()
        loss = float(model.train_on_batch(x, y))
        if number % (2 * steps) == 0:
            print(
                f"  epoch {first + number // steps:2d}: loss {loss:.4f}, held-out word error "
                f"rate {word_error_rate(model, test[:2]):.2%}, "
                f"{time.perf_counter() - started:.0f} s",
                flush=True,
            )
    result = {
        "layers": num_layers,
        "residual": residual,
        "epochs": epochs,
        "steps_per_epoch": steps,
        "seed": seed,
        "begun_with": None if begin is None else begin.name,
        "parameters": model.count_params(),
        "loss": loss,
        "word_error_rate": word_error_rate(model, test),
        "word_error_rate_beam": word_error_rate(model, test, beam_width=8),
        "strings": TEST_STRINGS,
        "digits": int(sum((y >= 0).sum() for _, _, y in test)),
        "seconds": round(time.perf_counter() - started),
    }
    return model, result, test


def draw_string(strings, model, test, path):
    """Draws the spectrogram of a string, the posteriors, and which steps belong to which digit."""
    import matplotlib.pyplot as plt

    _, x, y = max(test, key=lambda batch: (batch[2] >= 0).sum())
    x, labels = x[:1], y[0][y[0] >= 0]
    frames = int(x.any(-1).sum())
    outputs = model.predict_on_batch(x)[:, : -(-frames // STRIDE)]
    probabilities = np.exp(outputs[0] - outputs[0].max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    seconds = strings.spectrogram.sequence_stride / RATE
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
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="an .npz file of recordings")
    parser.add_argument("--compare", action="store_true", help="plain and residual, 2 and 8 layers")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="without residual connections")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=80, help="batches of 32 strings an epoch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=Path, help="a .keras file to go on from")
    parser.add_argument(
        "--first-epoch", type=int, default=100, help="with --begin: its number decides the strings"
    )
    parser.add_argument("--results", type=Path, help="a JSON file to write")
    parser.add_argument("--picture", type=Path, help="a PNG file to draw")
    parser.add_argument("--save", type=Path, help="a .keras file to write")
    options = parser.parse_args()
    strings = Strings(options.data)
    chosen = [(options.layers, not options.plain)]
    if options.compare:
        chosen = [(2, True), (8, True), (8, False), (2, False)]
    results = json.loads(options.results.read_text()) if _exists(options.results) else []
    for num_layers, residual in chosen:
        print(f"{num_layers} layers, {'residual' if residual else 'plain'}", flush=True)
        model, result, test = train(
            strings,
            num_layers,
            residual,
            options.epochs,
            options.steps,
            options.seed,
            options.begin,
            options.first_epoch,
        )
        results.append(result)
        if options.results is not None:
            options.results.write_text(json.dumps(results, indent=1) + "\n")
        if options.picture is not None:
            draw_string(strings, model, test, options.picture)
        if options.save is not None:
            model.save(options.save)
    print("    layers     plain  residual")
    for num_layers in sorted({r["layers"] for r in results}):
        rates = {r["residual"]: r["word_error_rate"] for r in results if r["layers"] == num_layers}
        cells = [f"{rates[k]:8.2%}" if k in rates else " " * 8 for k in (False, True)]
        print(f"{num_layers:10d}  {'  '.join(cells)}")


def _exists(path):
    return path is not None and path.exists()


if __name__ == "__main__":
    main()
