"""Connected digits: a residual LSTM stack transcribes strings of spoken digits without alignment.

The recordings are those of the Free Spoken Digit Dataset, of six speakers at 8 kHz, in an `.npz`
file with `audio` (int16, all samples), `offsets`, `digit`, `speaker`, `recording` and `rate`:

    python examples/connected_digits.py --data spoken_digits.npz
    python examples/connected_digits.py --data spoken_digits.npz --compare

Recordings of one speaker are joined to strings of 1 to 7 digits, with gaps or overlaps between them
and silence around them; every epoch has new strings, with random speed and loudness. Recordings 5
to 9 of each digit and speaker are held out. The word error rate is measured on 600 strings of
these, 2,023 digits. For choices there is `--validate`, which leaves these out altogether and
measures on recordings 10 to 14.

The accurate transcriber has a residual network over frames and mel filters in front of three LSTM
layers, the lowest bidirectional (`examples/results/connected_digits_residual.json`):

    python examples/connected_digits.py --data spoken_digits.npz \\
        --front residual --layers 3 --bidirectional --epochs 36

    after            best path  beam of 8
    24 epochs            1.24%      1.29%
    12 epochs more       0.89%      0.89%

It has 376,731 parameters and took an hour on a shared core. Epochs 12 to 24 had the learning
rates of a training of 24 epochs. With `--validate`, 12 epochs of 40 gave 1.67% on 100 strings.

The one without these options can be streamed: its front is causal, and its two LSTM layers of 64
units look back only. It was trained in four runs with falling learning rates, the last for 25
epochs and, other than the first, with random speed and loudness
(`examples/results/connected_digits.json`):

    KERAS_BACKEND=jax python examples/connected_digits.py --data spoken_digits.npz \\
        --begin digits3.keras --seed 1 --peak 2e-3 --epochs 28

    after            best path  beam of 8
    12 epochs            9.69%      8.26%
    8 epochs more        3.76%      3.66%
    7 epochs more        2.27%      2.22%
    25 epochs more       1.83%      1.88%

`--compare` trains plain and residual stacks of 2 and 8 layers alike. Twelve epochs, with the front
of the accurate one (`examples/results/connected_digits_compare.json`):

    python examples/connected_digits.py --data spoken_digits.npz \\
        --compare --front residual --epochs 12

    layers     plain  residual
         2     1.58%     1.58%
         8    91.70%     1.58%

The plain stack of 8 has not learned anything: a mean loss of 8.9 per string, 0.7 with residual
connections. With the causal front twelve epochs are too few for any; the default is 30.

An interrupted training is resumed by the same command. `--picture FILE` draws one string:
spectrogram, posteriors and alignment. `--phone FOLDER` exports the network for waveforms of five
seconds.

Reference:
    - [Graves et al., 2006](https://doi.org/10.1145/1143844.1143891), CTC
    - Z. Jackson et al., Free Spoken Digit Dataset, CC BY-SA 4.0
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from common import phone
from common.digit_networks import FRONTS, STRIDE, draw_string, network, word_error_rate
from common.digit_strings import BANDS, LONGEST, Recordings
from common.kept import add_options, keep

from keras_residual import data, training

BATCH, TEST_STRINGS = 32, 600
# Epochs on single digits, before strings.
SINGLE = 3


def longest_at(epoch):
    """Returns the largest number of digits per string in an epoch, one in the first epochs."""
    return min(LONGEST, max(1, 2 * (epoch - SINGLE + 1)))


def batches(recordings, seed, epoch, steps, longest):
    """Yields new strings, with bands of their spectrograms set to the mean.

    In the first epochs, on single digits, every step is labelled with the digit.
    """
    draw = np.random.default_rng((seed, epoch))
    for step in range(steps):
        strings = recordings.strings(recordings.train, draw, BATCH, longest, varied=True)
        places = np.arange(BATCH) + BATCH * step
        # Longer masks in time would hide whole digits.
        hidden = data.augment.spec_augment(
            strings.features, seed, epoch, places, frequencies=0.15, times=0.02, fill=-1.0
        )
        # Zeros stay padding.
        x = np.where(strings.features.any(-1, keepdims=True), hidden, 0).astype("float32")
        if epoch < SINGLE:
            yield x, np.repeat(strings.labels[:, :1], x.shape[1] // STRIDE, 1)
        else:
            yield x, strings.labels


def streamed(recordings, seed, epoch, steps, longest):
    """Returns the same as a dataset of batches of any length, made while the last one trains."""
    import tensorflow as tf

    signature = tf.TensorSpec((BATCH, None, BANDS)), tf.TensorSpec((BATCH, None), "int32")
    made = tf.data.Dataset.from_generator(
        lambda: batches(recordings, seed, epoch, steps, longest), output_signature=signature
    )
    return made.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)


def rates(peak, steps):
    """Returns the learning rates of `steps` steps, with the maximum `peak`."""
    return training.OneCycle(peak, steps, steps // 8)


def compiled(model, loss, peak, steps):
    """Compiles the model for a training of `steps` steps."""
    optimizer = keras.optimizers.AdamW(rates(peak, steps), weight_decay=1e-3, clipnorm=2.0)
    # JAX compiles whole steps; TensorFlow would compile one for each length of strings.
    model.compile(optimizer, loss, jit_compile=keras.backend.backend() == "jax")


def test_strings(recordings, seed=1):
    draw = np.random.default_rng(seed)
    rows = recordings.held_out
    return [recordings.strings(rows, draw, 50) for _ in range(TEST_STRINGS // 50)]


def train(recordings, num_layers, residual, options, kept=None):
    """Returns a trained model, its result, and the test strings.

    Args:
        recordings: `Recordings`.
        num_layers: Number of LSTM layers.
        residual: Whether the layers above the first have residual connections.
        options: `units`, `front`, `bidirectional`, `epochs`, `steps`, `peak`, `seed` and `begin`.
        kept: A `.keras` file that is written after each epoch. If it exists, training resumes.
    """
    keras.utils.set_random_seed(options.seed)
    test = test_strings(recordings)
    progress = kept and kept.with_suffix(".json")
    total = (options.epochs - SINGLE) * options.steps
    if progress and progress.exists():
        state = json.loads(progress.read_text())
        model = keras.saving.load_model(kept)
        if state["epoch"] > SINGLE:
            # With another number of epochs than before, the rates change from here on.
            model.optimizer.learning_rate = rates(options.peak, total)
    elif options.begin:
        state = {"epoch": SINGLE, "seconds": 0.0, "planned": []}
        model = keras.saving.load_model(options.begin)
    else:
        state = {"epoch": 0, "seconds": 0.0, "planned": []}
        sizes = num_layers, residual, options.units
        model = network(*sizes, options.front, options.bidirectional)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        compiled(model, loss, options.peak, SINGLE * options.steps)
    for epoch in range(state["epoch"], options.epochs):
        started = time.perf_counter()
        if epoch == SINGLE:
            # CTC from the beginning would take long to learn anything.
            compiled(model, training.CTC(zero_infinity=True), options.peak, total)
        longest = LONGEST if options.begin else longest_at(epoch)
        made = streamed(recordings, options.seed, epoch, options.steps, longest)
        history = model.fit(made, shuffle=False, verbose=0).history
        state["epoch"] = epoch + 1
        state["planned"].append(options.epochs)
        state["seconds"] += time.perf_counter() - started
        if progress:
            # Renamed when complete, so that an interruption leaves a whole file.
            partial = kept.with_name(f"partial-{kept.name}")
            model.save(partial)
            partial.replace(kept)
            progress.write_text(json.dumps(state))
        line = f"  epoch {epoch + 1}: loss {history['loss'][0]:.4f}, {state['seconds']:.0f} s"
        if epoch % 4 == 3:
            line += f", word error rate of 100 strings {word_error_rate(model, test[:2]):.2%}"
        print(line, flush=True)
    result = {
        "layers": model.get_layer("lstm").num_layers,
        "residual": residual,
        "front": options.front,
        "units": model.get_layer("lstm").units,
        "bidirectional": model.get_layer("lstm").bidirectional_bottom,
        "begun_with": options.begin and options.begin.name,
        "epochs": options.epochs,
        # How many epochs were trained with the rates of a run of so many epochs.
        "epochs_planned": {n: state["planned"].count(n) for n in sorted({*state["planned"]})},
        "steps_per_epoch": options.steps,
        "peak": options.peak,
        "seed": options.seed,
        "parameters": model.count_params(),
        "word_error_rate": word_error_rate(model, test),
        "word_error_rate_beam": word_error_rate(model, test, beam_width=8),
        "strings": TEST_STRINGS,
        "digits": int(sum((strings.labels >= 0).sum() for strings in test)),
        "seconds": round(state["seconds"]),
    }
    return model, result, test


def labelled(test):
    """Returns the waveforms and labels of the first 300 strings."""
    waves = [wave for strings in test[:6] for wave in strings.waves]
    return waves, np.concatenate([strings.labels for strings in test[:6]])


def write_listener(model, options, recordings, test):
    """Writes the network as a file that takes waveforms, with silence in place of padding."""
    lstm = model.get_layer("lstm")
    sizes = lstm.num_layers, lstm.first_residual is not None, lstm.units
    whole = network(*sizes, options.front, lstm.bidirectional_bottom, mask_value=None)
    whole.set_weights(model.get_weights())
    calibration = recordings.strings(recordings.train, np.random.default_rng(0), 200).waves
    named = phone.listener(whole, "connected_digits")
    phone.write(named, "transcription", options.phone, calibration, *labelled(test))


def table(rows):
    """Returns the word error rates of plain and residual stacks as a table."""
    lines = ["    layers     plain  residual"]
    for num_layers in sorted({row["layers"] for row in rows}):
        rates = {r["residual"]: r["word_error_rate"] for r in rows if r["layers"] == num_layers}
        cells = [f"{rates[k]:8.2%}" if k in rates else " " * 8 for k in (False, True)]
        lines.append(f"{num_layers:10d}  {'  '.join(cells)}")
    return "\n".join(lines)


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="an .npz file of recordings")
    parser.add_argument("--compare", action="store_true", help="plain and residual, 2 and 8 layers")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="without residual connections")
    parser.add_argument("--front", choices=FRONTS, default="causal", help="below the LSTM layers")
    parser.add_argument("--bidirectional", action="store_true", help="the bottom layer")
    parser.add_argument("--validate", action="store_true", help="measure on recordings 10 to 14")
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--epochs", type=int, help="default: 60, and 30 with --compare")
    parser.add_argument("--steps", type=int, default=80, help="batches of 32 strings an epoch")
    parser.add_argument("--peak", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--phone", type=Path, help="folder for a LiteRT file that takes waveforms")
    parser.add_argument("--begin", type=Path, help="a .keras file to begin with, of any units")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs/connected_digits"),
        help="where models are written after each epoch, and found to resume",
    )
    options = add_options(parser).parse_args(words)
    options.epochs = options.epochs or (30 if options.compare else 60)
    return options


def main(words=None):
    options = parse(words)
    recordings = Recordings(options.data, options.validate)
    chosen = [(options.layers, not options.plain)]
    if options.compare:
        chosen = [(2, True), (8, True), (8, False), (2, False)]
    rows = []
    for num_layers, residual in chosen:
        kind = f"{num_layers} layers, {'residual' if residual else 'plain'}"
        kind += f", {options.front} front" if options.front != "causal" else ""
        kind += ", bidirectional" if options.bidirectional else ""
        kind += ", validation" if options.validate else ""
        print(kind, flush=True)
        name = f"{kind}, {options.units} units, seed {options.seed}"
        name += f", after {options.begin.stem}" if options.begin else ""
        kept = options.output / f"{name.replace(', ', '-').replace(' ', '_')}.keras"
        kept.parent.mkdir(parents=True, exist_ok=True)
        model, result, test = train(recordings, num_layers, residual, options, kept)
        rows.append(result)
        if options.results is not None:
            keep(options.results, {"rows": rows})
        if options.picture is not None:
            draw_string(model, test, options.picture)
        if options.phone is not None:
            write_listener(model, options, recordings, test)
    print(table(rows))
    return rows


if __name__ == "__main__":
    main()
