"""Spoken digits: a small network on the waveform, for new recordings and for unseen speakers.

BC-ResNet-2 (27 thousand parameters) is trained on the Free Spoken Digit Dataset, six speakers at
8 kHz: once with recordings 5 to 9 of every speaker and digit held out, and then with one speaker
held out at a time, where the augmentation of the training recordings matters most.

    python examples/spoken_digits.py spoken_digits.npz

The training with recordings held out takes 18 minutes on 2 cores of a busy machine, one with a
speaker held out two to five; all nineteen took two hours. Interrupted trainings are resumed by the
same command; `--speakers` selects the speakers to hold out. The file holds `audio` (int16, all
recordings one after another), `offsets`, `digit`, `speaker` and `recording`, made from
github.com/Jakobovski/free-spoken-digit-dataset (Z. Jackson et al., CC BY-SA 4.0). The program
prints a line for each training and a table at the end, and writes the numbers and a picture to
`--results`:

    | held out | training recordings | accuracy |
    | --- | --- | --- |
    | recordings 5 to 9 | the same, faster or slower, masked | 99.33% |
    | one speaker, mean of 6 | as they are | 64.33% (51.56% to 77.11%) |
    | one speaker, mean of 6 | shifted, louder or softer, with noise | 74.81% (65.78% to 88.44%) |
    | one speaker, mean of 6 | the same, faster or slower, masked | 83.22% (67.56% to 89.56%) |
"""

import argparse
import dataclasses
import itertools
import time
from pathlib import Path

import keras
import numpy as np
from common.kept import keep
from keras import ops

import keras_residual
from keras_residual import layers, training

RATE, SECONDS, CLASSES = 8000, 0.8, 10
FRONT = {"sampling_rate": RATE, "frame_step": 0.016}
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RECIPE = dataclasses.replace(
    training.recipes["quick"], epochs=90, label_smoothing=0.1, ema=0.99, augmentation="none"
)
# The augmentation of training recordings, drawn again in every epoch.
WAYS = {
    "as they are": (),
    "shifted, louder or softer, with noise": ("shift", "gain", "noise"),
    "the same, faster or slower, masked": ("speed", "shift", "gain", "noise", "masks"),
}


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Recordings as samples in [-1, 1], with digit, speaker and number of each."""

    samples: list
    digit: np.ndarray
    speaker: np.ndarray
    number: np.ndarray

    def part(self, chosen):
        """Returns the recordings where `chosen` holds."""
        samples = [self.samples[place] for place in np.flatnonzero(chosen)]
        return Recordings(samples, self.digit[chosen], self.speaker[chosen], self.number[chosen])

    def arrays(self):
        """Returns waveforms of one length and digits."""
        return np.stack([fitted(wave) for wave in self.samples]), self.digit


def load(path):
    """Returns all recordings of the file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    places = arrays["offsets"]
    audio = arrays["audio"].astype("float32") / 2**15
    samples = [audio[start:stop] for start, stop in itertools.pairwise(places)]
    digit = arrays["digit"].astype("int32")
    return Recordings(samples, digit, arrays["speaker"], arrays["recording"])


def fitted(wave):
    """Returns the loudest part as long as the network's input, or the wave padded with silence."""
    length = round(SECONDS * RATE)
    if len(wave) > length:
        energy = np.cumsum(np.concatenate([[0.0], wave.astype("float64") ** 2]))
        start = int(np.argmax(energy[length:] - energy[:-length]))
        return wave[start : start + length]
    before = (length - len(wave)) // 2
    return np.pad(wave, (before, length - len(wave) - before))


def changed(wave, ways, random):
    """Returns an augmented recording, as it might have been spoken on another day."""
    if "speed" in ways:
        # Faster and higher, as a shorter vocal tract sounds, or slower and lower.
        count = round(len(wave) * random.uniform(0.85, 1.18))
        wave = np.interp(np.linspace(0, len(wave) - 1, count), np.arange(len(wave)), wave)
    wave = fitted(wave.astype("float32"))
    if "shift" in ways:
        wave = np.roll(wave, random.integers(-800, 801))
    if "noise" in ways:
        strength = 10 ** random.uniform(-4, -1.3) * np.abs(wave).max()
        wave = wave + strength * random.normal(size=len(wave))
    if "gain" in ways:
        wave = wave * 10 ** random.uniform(-0.7, 0.7)
    return np.clip(wave, -1, 1).astype("float32")


def batches(recordings, ways, size, seed):
    """Returns a function from an epoch to the batches from that epoch on."""
    import tensorflow as tf

    def of_epoch(epoch):
        while True:
            random = np.random.default_rng((seed, epoch))
            order = random.permutation(len(recordings.samples))
            for start in range(0, len(order) - size + 1, size):
                rows = order[start : start + size]
                waves = [changed(recordings.samples[row], ways, random) for row in rows]
                yield np.stack(waves), recordings.digit[rows]
            epoch += 1

    signature = (
        tf.TensorSpec((size, round(SECONDS * RATE)), "float32"),
        tf.TensorSpec((size,), "int32"),
    )
    return lambda epoch: tf.data.Dataset.from_generator(
        lambda: of_epoch(epoch), output_signature=signature
    ).prefetch(2)


class Masks(keras.layers.Layer):
    """SpecAugment: in training, two bands of time and two of frequency are set to the mean."""

    def __init__(self, seed, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        if not training:
            return inputs
        mean = ops.mean(inputs, axis=(1, 2), keepdims=True)
        for axis in (1, 2, 1, 2):
            size = inputs.shape[axis]
            drawn = keras.random.uniform((2, ops.shape(inputs)[0], 1), seed=self.seed)
            width = drawn[0] * 0.12 * size
            start = drawn[1] * (size - width)
            place = ops.arange(size, dtype="float32")[None]
            hit = (place >= start) & (place < start + width)
            hit = hit[:, :, None, None] if axis == 1 else hit[:, None, :, None]
            inputs = ops.where(hit, mean, inputs)
        return inputs


def network(name):
    """Returns the network that is saved, from the waveform to the digit."""
    length = round(SECONDS * RATE)
    return keras_residual.get_model(name, input_shape=(length,), classes=CLASSES, **FRONT)


def with_masks(name, seed):
    """Returns the same network, with its spectrograms masked in training."""
    kept = network(name)
    waves = keras.Input(kept.input_shape[1:], name="waveform")
    spectrogram = layers.LogMelSpectrogram.from_config(kept.get_layer("spectrogram").get_config())
    x = Masks(seed, name="masks")(spectrogram(waves)[..., None])
    return keras_residual.get_model(name, input_tensor=x, front_end=None, classes=CLASSES)


def train(arguments, train_on, test_on, ways, epochs, folder):
    """Returns the trained network and its accuracy on the held-out recordings."""
    keras.utils.set_random_seed(arguments.seed)
    model = with_masks(arguments.model, arguments.seed) if "masks" in ways else network(
        arguments.model
    )  # fmt: skip
    recipe = dataclasses.replace(RECIPE, epochs=epochs)
    training.fit(
        model,
        (batches(train_on, ways, recipe.batch_size, arguments.seed), None),
        recipe,
        folder,
        steps_per_epoch=len(train_on.samples) // recipe.batch_size,
        settings={"ways": list(ways), "seed": arguments.seed},
        verbose=0,
    )
    kept = network(arguments.model)
    kept.set_weights([w for w in model.get_weights() if w.dtype == np.float32])
    waves, digits = test_on.arrays()
    answers = kept.predict(waves, batch_size=100, verbose=0).argmax(-1)
    return kept, float((answers == digits).mean())


def compare(arguments, recordings):
    """Runs all trainings and returns the rows of the table."""
    fresh = (recordings.number >= 5) & (recordings.number < 10)
    # What is held out, which recordings these are, the augmentation, and the number of epochs.
    tasks = [("recordings 5 to 9", fresh, list(WAYS)[-1], arguments.epochs)]
    speakers = arguments.speakers or sorted({*recordings.speaker.tolist()})
    for way in (list(WAYS)[-1], *list(WAYS)[:-1]):
        tasks += [
            (speaker, recordings.speaker == speaker, way, arguments.speaker_epochs)
            for speaker in speakers
        ]
    rows = []
    for held_out, chosen, way, epochs in tasks:
        started = time.time()
        folder = arguments.output / f"{held_out}, {way}".replace(" ", "_").replace(",", "")
        parts = recordings.part(~chosen), recordings.part(chosen)
        model, accuracy = train(arguments, *parts, WAYS[way], epochs, folder)
        model.save(folder / "network.keras")
        row = {"held_out": held_out, "way": way, "accuracy": accuracy}
        row |= {"count": int(chosen.sum()), "epochs": epochs}
        rows.append(row | {"seconds": round(time.time() - started)})
        print(f"{held_out}, {way}: {accuracy:.2%}", flush=True)
        write(arguments, rows)
    return rows


def table(rows):
    """Returns the table in Markdown, with the mean over unseen speakers for each augmentation."""
    lines = ["| held out | training recordings | accuracy |", "| --- | --- | --- |"]
    for row in rows:
        if row["held_out"].startswith("recordings"):
            lines.append(f"| {row['held_out']} | {row['way']} | {row['accuracy']:.2%} |")
    for way in WAYS:
        found = [r["accuracy"] for r in rows if r["way"] == way and " " not in r["held_out"]]
        if found:
            spread = f"{min(found):.2%} to {max(found):.2%}"
            held = f"one speaker, mean of {len(found)}"
            lines.append(f"| {held} | {way} | {np.mean(found):.2%} ({spread}) |")
    return "\n".join(lines)


def write(arguments, rows):
    """Writes the rows, with the command, the date and the versions."""
    parameters = keras_residual.analysis.cost(arguments.model, classes=CLASSES).trainable_parameters
    result = {"model": arguments.model, "parameters": parameters, "rows": rows}
    keep(arguments.results, result)


def draw(rows, recordings, path):
    """Draws spectrograms of the digits, and the accuracy on each unseen speaker."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.2))
    spectrogram = network("bcresnet1").get_layer("spectrogram")
    for digit, axes in enumerate(top.subplots(1, CLASSES)):
        wave = fitted(recordings.samples[int(np.flatnonzero(recordings.digit == digit)[0])])
        axes.imshow(np.asarray(spectrogram(wave[None]))[0].T, origin="lower", aspect="auto")
        axes.set(xticks=[], yticks=[], title=NAMES[digit])
    axes = bottom.subplots()
    speakers = sorted({row["held_out"] for row in rows if " " not in row["held_out"]})
    ways = [way for way in WAYS if any(row["way"] == way for row in rows)]
    for number, way in enumerate(ways):
        found = {row["held_out"]: row["accuracy"] for row in rows if row["way"] == way}
        places = [place + 0.8 / len(ways) * number for place in range(len(speakers))]
        heights = [100 * found.get(speaker, np.nan) for speaker in speakers]
        axes.bar(places, heights, 0.8 / len(ways), label=way, align="edge")
    axes.set_xticks([place + 0.4 for place in range(len(speakers))], speakers)
    axes.set(ylabel="accuracy, %", ylim=(40, 100), title="Each speaker held out of the training")
    if len(ways) > 1:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(ways), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the .npz file")
    parser.add_argument("--model", default="bcresnet2", help="name of a network for keywords")
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--speaker-epochs", type=int, default=12, help="with one speaker held out")
    parser.add_argument("--speakers", nargs="*", help="which to hold out; default: each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/spoken_digits"))
    parser.add_argument("--results", type=Path, default=Path("runs/spoken_digits/results.json"))
    parser.add_argument("--picture", type=Path, help="where to draw; default: beside the results")
    return parser.parse_args(words)


def main():
    arguments = parse()
    recordings = load(arguments.data)
    rows = compare(arguments, recordings)
    print(table(rows))
    draw(rows, recordings, arguments.picture or arguments.results.with_suffix(".png"))


if __name__ == "__main__":
    main()
