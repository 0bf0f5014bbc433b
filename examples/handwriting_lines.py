"""Handwriting: a network reads lines of handwritten digits without knowing where each digit is.

Lines of 3 to 10 digits are composed from the pictures included in the package (8 × 8 pixels, UCI's
optical recognition of handwritten digits): higher or lower, fainter or darker, with gaps or
touching each other, on uneven paper. `ResidualLSTMTranscriber`, with a small residual network in
front, learns to read them by CTC from the sequence of digits alone:

    python examples/handwriting_lines.py

It takes a minute on 2 idle cores and prints:

    127,819 parameters, 500 held-out lines
    digits that are wrong, missing or too many: 0.58%; whole lines right: 96.4%

No picture of a held-out line occurs in a training line.

Reference:
    - [Graves et al., 2006](https://doi.org/10.1145/1143844.1143891), CTC
"""

import argparse
import time

import keras
import numpy as np
from common.kept import add_options, keep

from keras_residual import ResidualLSTMTranscriber, ResNet, data, inference, training

DIGITS, SHORTEST, LONGEST = 10, 3, 10
SIDE, HEIGHT, WIDTH = 8, 12, 96
BATCH, TEST_LINES = 32, 500


def pictures(split):
    """Returns pictures `(n, 8, 8)` with ink at 1, and their digits."""
    return split.x[..., 0].astype("float32") / split.scale, np.asarray(split.y)


def line(images, digits, draw):
    """Returns a picture `(HEIGHT, WIDTH, 1)`, padded by 0, and its digits, padded by -1."""
    chosen = draw.integers(len(images), size=draw.integers(SHORTEST, LONGEST + 1))
    ink = np.zeros((HEIGHT, WIDTH), "float32")
    place = draw.integers(0, 4)
    for index in chosen:
        top = draw.integers(0, HEIGHT - SIDE + 1)
        area = ink[top : top + SIDE, place : place + SIDE]
        np.maximum(area, images[index] * draw.uniform(0.6, 1.0), out=area)
        # Pictures have empty columns at their sides; with an overlap of two, digits often touch.
        end = place + SIDE
        place = end + draw.integers(-2, 2)
    end = min(WIDTH, end + draw.integers(0, 4))
    paper = draw.uniform(0.02, 0.15) + draw.normal(0, 0.05, (HEIGHT, end))
    ink[:, :end] = np.clip(ink[:, :end] + np.abs(paper), 0, 1.2)
    labels = np.full(LONGEST, -1, "int32")
    labels[: len(chosen)] = digits[chosen]
    return ink[..., None], labels


def lines(images, digits, count, seed):
    """Returns lines `(count, HEIGHT, WIDTH, 1)` and their digits, the same for the same seed."""
    made = [line(images, digits, np.random.default_rng((*seed, n))) for n in range(count)]
    x, y = zip(*made, strict=True)
    return np.stack(x), np.stack(y)


class Epochs(keras.utils.PyDataset):
    """New lines in every epoch."""

    def __init__(self, images, digits, steps, seed):
        super().__init__()
        self.images, self.digits, self.steps, self.seed, self.epoch = images, digits, steps, seed, 0

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        return lines(self.images, self.digits, BATCH, (self.seed, self.epoch, index))

    def on_epoch_end(self):
        self.epoch += 1


def network(units):
    """Returns a transcriber of lines: two residual blocks, then two LSTM layers over columns."""
    front = ResNet(
        block="basic",
        depths=(1, 1),
        widths=(16, 32),
        stem="conv3",
        include_top=False,
        input_shape=(HEIGHT, WIDTH, 1),
    )
    return ResidualLSTMTranscriber(
        (HEIGHT, WIDTH, 1),
        classes=DIGITS,
        units=units,
        num_layers=2,
        front=front,
        mask_value=0.0,
        dropout=0.1,
    )


def draw_lines(model, x, y, path):
    """Draws some lines, the digits read, and where each of them begins."""
    import matplotlib.pyplot as plt

    outputs = model.predict_on_batch(x[:6])
    stride = WIDTH / outputs.shape[1]
    figure, axes = plt.subplots(6, 1, figsize=(7, 7), constrained_layout=True)
    for axis, picture, labels, answer in zip(
        axes, x, y, inference.decode_greedy(outputs), strict=False
    ):
        axis.imshow(picture[..., 0], cmap="gray_r", vmin=0, vmax=1.2)
        for step, digit in zip(answer.steps, answer.labels, strict=True):
            axis.axvline(step * stride, color="C0", linewidth=1)
            axis.text(step * stride, -0.8, str(digit), color="C0", ha="center")
        written = " ".join(str(digit) for digit in labels if digit >= 0)
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel(f"written: {written}")
    figure.suptitle("lines of digits, and where each was read")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=50, help="batches of 32 lines an epoch")
    parser.add_argument("--units", type=int, default=64)
    return add_options(parser).parse_args(words)


def main(words=None):
    options = parse(words)
    keras.utils.set_random_seed(options.seed)
    digits = data.load("digits")
    x, y = lines(*pictures(digits.test), TEST_LINES, (10**6,))
    batches = Epochs(*pictures(digits.train), options.steps, options.seed)
    model = network(options.units)
    steps = options.epochs * options.steps
    optimizer = keras.optimizers.AdamW(training.OneCycle(5e-3, steps, steps // 6), 1e-3, clipnorm=2)
    errors = training.CharacterErrorRate(name="digit_error_rate")
    model.compile(optimizer, training.CTC(zero_infinity=True), metrics=[errors])
    print(f"{model.count_params():,} parameters, {len(x)} held-out lines", flush=True)
    started = time.perf_counter()
    model.fit(batches, epochs=options.epochs, verbose=2)
    seconds = time.perf_counter() - started
    rate = model.evaluate(x, y, batch_size=50, verbose=0, return_dict=True)["digit_error_rate"]
    found = inference.decode_greedy(model.predict(x, batch_size=50, verbose=0))
    right = np.mean([[*row[row >= 0]] == [*t.labels] for row, t in zip(y, found, strict=True)])
    print(f"digits that are wrong, missing or too many: {rate:.2%}; whole lines right: {right:.1%}")
    result = {
        "digit_error_rate": round(float(rate), 4),
        "lines_right": round(float(right), 4),
        "lines": TEST_LINES,
        "digits": int((y >= 0).sum()),
        "parameters": model.count_params(),
        "epochs": options.epochs,
        "steps_per_epoch": options.steps,
        "units": options.units,
        "seed": options.seed,
        "seconds": round(seconds),
    }
    if options.results is not None:
        keep(options.results, result)
    if options.picture is not None:
        draw_lines(model, x, y, options.picture)
    return result


if __name__ == "__main__":
    main()
