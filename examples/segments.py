"""Segments: spoken digits in strings with known borders, and borders found by a tagger.

The strings are made as in `connected_digits.py`, from the same recordings in an `.npz` file, joined
with gaps and overlaps:

    python examples/segments.py --data spoken_digits.npz

A `ResidualLSTMSegmentClassifier` is given a string and the borders of each digit in it, either the
exact ones or with every border moved at random by up to 40, 80 or 160 ms, and classifies the digit.
A `ResidualLSTMTagger` labels every step of 20 ms as a digit or as silence; a run of equal labels is
a segment. Both are trained on the same strings. Strings of recordings 5 to 9 are held out.

Training takes 5 minutes on 2 cores of a busy machine. The program prints:

    | borders | digits told right |
    | --- | ---: |
    | known, exact | 97.8% |
    | known, moved by up to 40 ms | 98.0% |
    | known, moved by up to 80 ms | 97.6% |
    | known, moved by up to 160 ms | 95.6% |
    | found by the tagger, 9 of 10 within 60 ms | 95.6% |

Reference:
    - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 3.1, the residual stack
    - Z. Jackson et al., Free Spoken Digit Dataset, CC BY-SA 4.0
"""

import argparse
import itertools
import time
from pathlib import Path

import keras
import numpy as np
from common import phone
from common.digit_strings import DIGITS, HOP, RATE, Recordings, features_of, spectrogram
from common.kept import add_options, keep

from keras_residual import ResidualLSTMSegmentClassifier, ResidualLSTMTagger, training

BATCH, TEST_STRINGS = 32, 400
# Frames of 10 ms that are concatenated to a step.
FRAMES = 2
STEP = FRAMES * HOP / RATE
MOVED = (0.0, 0.04, 0.08, 0.16)
SILENCE = DIGITS
# Shorter runs of a label are no digit.
SHORTEST = 0.1


def inputs_of(strings):
    """Returns features `(count, steps, 80)` and segments in steps."""
    count, frames, width = strings.features.shape
    x = strings.features.reshape(count, frames // FRAMES, FRAMES * width)
    return x, -(-strings.segments // FRAMES)


def tags_of(segments, labels, steps):
    """Returns the label of each step, `(count, steps)`: a digit or silence."""
    tags = np.full((len(labels), steps), SILENCE, "int32")
    for row, places, digits in zip(tags, segments, labels, strict=True):
        for (first, end), digit in zip(places, digits, strict=True):
            row[first:end] = digit
    return tags


def with_silence(x):
    """Returns features with digital silence in place of the padding, which a tagger labels too."""
    silence = features_of(keras.ops.convert_to_numpy(spectrogram()(np.zeros((1, HOP), "float32"))))
    return np.where(x.any(-1, keepdims=True), x, silence.min())


def networks(units):
    """Returns a classifier of segments, whose padding is masked, and a tagger."""
    sizes = {"units": units, "num_layers": 2, "bidirectional_bottom": True, "first_residual": None}
    shared = {**sizes, "dropout": 0.1, "classifier_activation": None}
    shape = (None, FRAMES * 40)
    return (
        ResidualLSTMSegmentClassifier(shape, classes=DIGITS, mask_value=0.0, **shared),
        ResidualLSTMTagger(shape, classes=DIGITS + 1, **shared),
    )


def learn(models, recordings, steps, seed):
    """Trains both networks on new strings."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for model in models:
        schedule = training.OneCycle(4e-3, steps, steps // 6)
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-3, clipnorm=1.0)
        model.compile(optimizer, loss, jit_compile=keras.backend.backend() == "jax")
    draw = np.random.default_rng(seed)
    classifier, tagger = models
    for number in range(1, steps + 1):
        strings = recordings.strings(recordings.train, draw, BATCH, varied=True)
        x, segments = inputs_of(strings)
        # Segments behind the last are empty and count in no loss.
        classifier.train_on_batch(
            {"sequences": x, "segments": segments}, np.maximum(strings.labels, 0)
        )
        tagger.train_on_batch(with_silence(x), tags_of(segments, strings.labels, x.shape[1]))
        if number % 50 == 0:
            losses = [model.get_metrics_result()["loss"] for model in models]
            print(f"  step {number}: losses {losses[0]:.3f} and {losses[1]:.3f}", flush=True)
            for model in models:
                model.reset_metrics()


def held_out(recordings, seed=1):
    draw = np.random.default_rng(seed)
    rows = recordings.held_out
    return [recordings.strings(rows, draw, 50) for _ in range(TEST_STRINGS // 50)]


def moved(segments, seconds, draw, steps):
    """Returns segments of at least one step, their borders moved by up to `seconds`."""
    reach = round(seconds / STEP)
    borders = segments + draw.integers(-reach, reach + 1, segments.shape)
    first = np.clip(borders[..., 0], 0, steps - 1)
    end = np.clip(np.maximum(borders[..., 1], first + 1), 1, steps)
    known = segments[..., 1:] > 0
    return np.where(known, np.stack([first, end], -1), 0).astype("int32")


def accuracy(classifier, test, seconds):
    """Returns the accuracy on digits whose borders are moved by up to `seconds`."""
    draw, right, count = np.random.default_rng(2), 0, 0
    for strings in test:
        x, segments = inputs_of(strings)
        places = moved(segments, seconds, draw, x.shape[1])
        answers = classifier.predict_on_batch({"sequences": x, "segments": places}).argmax(-1)
        right += int((answers == strings.labels)[strings.labels >= 0].sum())
        count += int((strings.labels >= 0).sum())
    return right / count


def runs(tags):
    """Returns `(digit, first step, step behind the last)` of each run of a digit."""
    ends = np.flatnonzero(np.diff(tags)) + 1
    borders = [0, *ends.tolist(), len(tags)]
    found = [(int(tags[a]), a, b) for a, b in itertools.pairwise(borders)]
    return [run for run in found if run[0] != SILENCE and (run[2] - run[1]) * STEP >= SHORTEST]


def borders_found(tagger, test):
    """Returns what the tagger makes of strings: its figures as a dict.

    A digit is found where a run of its label has most of its steps in common with it.
    """
    frames_right = frames = found = digits = surplus = 0
    errors = []
    for strings in test:
        x, segments = inputs_of(strings)
        tags = tagger.predict_on_batch(with_silence(x)).argmax(-1)
        truth, inside = tags_of(segments, strings.labels, x.shape[1]), x.any(-1)
        frames_right += int((tags == truth)[inside].sum())
        frames += int(inside.sum())
        for row, kept, places, labels in zip(tags, inside, segments, strings.labels, strict=True):
            left = runs(row[kept])
            for (first, end), digit in zip(places[labels >= 0], labels[labels >= 0], strict=True):
                digits += 1
                shared = [min(b, end) - max(a, first) if d == digit else 0 for d, a, b in left]
                if max(shared, default=0) * 2 > end - first:
                    found += 1
                    _, a, b = left.pop(int(np.argmax(shared)))
                    errors += [abs(a - first) * STEP, abs(b - end) * STEP]
            surplus += len(left)
    return {
        "steps_right": frames_right / frames,
        "digits_found": found / digits,
        "surplus_runs": surplus / digits,
        "border_error_median_ms": 1000 * float(np.median(errors)),
        "border_error_90_percent_ms": 1000 * float(np.quantile(errors, 0.9)),
    }


def draw_string(models, test, path):
    """Draws a spectrogram with the true segments and those that the tagger finds."""
    import matplotlib.pyplot as plt

    classifier, tagger = models
    strings = max(test, key=lambda strings: (strings.labels >= 0).sum())
    x, segments = inputs_of(strings)
    labels, places = strings.labels[0][strings.labels[0] >= 0], segments[0]
    steps = int(x[0].any(-1).sum())
    answers = classifier.predict_on_batch({"sequences": x[:1], "segments": segments[:1]})[0]
    tags = tagger.predict_on_batch(with_silence(x[:1]))[0].argmax(-1)[:steps]
    known = zip(answers.argmax(-1)[: len(labels)], places, strict=False)
    rows = {
        "known borders,\nclassified": [(int(d), a, b) for d, (a, b) in known],
        "found by\nthe tagger": runs(tags),
    }
    figure, (top, *bottom) = plt.subplots(
        3, 1, figsize=(9, 4), sharex=True, constrained_layout=True, height_ratios=(3, 1, 1)
    )
    frames = strings.features[0, : steps * FRAMES].T
    top.imshow(frames, origin="lower", aspect="auto", extent=(0, steps * STEP, 0, 40), cmap="magma")
    for first, end in places[: len(labels)] * STEP:
        top.axvline(first, color="white", linewidth=1)
        top.axvline(end, color="white", linewidth=1, linestyle=":")
    top.set(ylabel="mel filter", title="said: " + " ".join(map(str, labels)))
    for axis, (name, found) in zip(bottom, rows.items(), strict=True):
        for digit, first, end in found:
            axis.axvspan(first * STEP, end * STEP, color=f"C{digit}", alpha=0.5)
            axis.text((first + end) / 2 * STEP, 0.5, str(digit), ha="center", va="center")
        axis.set(yticks=[], ylim=(0, 1))
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    bottom[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def tagged(test):
    """Returns the waveforms of strings, and the label of each step of five seconds."""
    steps = (phone.SAMPLES + 1) // HOP // FRAMES
    tags = [tags_of(inputs_of(strings)[1], strings.labels, steps) for strings in test]
    return [wave for strings in test for wave in strings.waves], np.concatenate(tags)


def write_tagger(tagger, options, recordings, test):
    """Writes the tagger as a file that takes waveforms."""
    calibration = recordings.strings(recordings.train, np.random.default_rng(0), 200).waves
    named = phone.listener(tagger, "spoken_segments")
    phone.write(named, "tagging", options.phone, calibration, *tagged(test))


def table(result):
    """Returns the figures as a table in Markdown."""
    lines = ["| borders | digits told right |", "| --- | ---: |"]
    for row in result["known_borders"]:
        name = f"moved by up to {1000 * row['moved']:.0f} ms" if row["moved"] else "exact"
        lines.append(f"| known, {name} | {row['accuracy']:.1%} |")
    found = result["tagger"]
    lines.append(
        f"| found by the tagger, 9 of 10 within {found['border_error_90_percent_ms']:.0f} ms | "
        f"{found['digits_found']:.1%} |"
    )
    return "\n".join(lines)


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="an .npz file of recordings")
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--steps", type=int, default=400, help="batches of 32 strings")
    parser.add_argument("--phone", type=Path, help="folder for a LiteRT file that takes waveforms")
    return add_options(parser).parse_args(words)


def main(words=None):
    options = parse(words)
    keras.utils.set_random_seed(options.seed)
    recordings, models = Recordings(options.data), networks(options.units)
    started = time.perf_counter()
    learn(models, recordings, options.steps, options.seed)
    seconds, test = round(time.perf_counter() - started), held_out(recordings)
    result = {
        "known_borders": [
            {"moved": far, "accuracy": accuracy(models[0], test, far)} for far in MOVED
        ],
        "tagger": borders_found(models[1], test),
        "parameters": [model.count_params() for model in models],
        "strings": TEST_STRINGS,
        "digits": int(sum((strings.labels >= 0).sum() for strings in test)),
        "steps": options.steps,
        "units": options.units,
        "seed": options.seed,
        "seconds": seconds,
    }
    print(table(result))
    if options.results is not None:
        keep(options.results, result)
    if options.picture is not None:
        draw_string(models, test, options.picture)
    if options.phone is not None:
        write_tagger(models[1], options, recordings, test)
    return result


if __name__ == "__main__":
    main()
