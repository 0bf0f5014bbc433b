"""Gestures: a network reads a sequence of signed digits from a video, without alignment.

Clips are composed from photographs of hands: one to four signs in sequence, each shown for a few
frames by a hand that drifts and trembles, with empty frames between them. A small (2+1)D network
computes the probabilities of the signs for every frame from the frame and its neighbours; CTC
learns where the signs are. The photographs are a folder with one subfolder for each sign, such as
those of A. Mavi (https://github.com/ardamavi/Sign-Language-Digits-Dataset, Apache-2.0):

    python examples/gestures.py sign_language_digits --plot gestures.png

It takes 22 minutes on one core of a busy machine and prints:

    51,355 parameters, 10 signs, 400 held-out clips
    signs that are wrong, missing or too many: 5.4%; whole clips right: 87.5%

The held-out clips are made of other photographs, the last fifth of each sign by file name. As the
files are numbered in the order in which they were taken, hardly any hand is in both parts.

Reference:
    - [Graves et al., 2006](https://doi.org/10.1145/1143844.1143891), CTC
    - [Tran et al., 2018](https://arxiv.org/abs/1711.11248), (2+1)D convolutions
    - [Mavi, 2020](https://arxiv.org/abs/2011.08927), the photographs
"""

import argparse
import pathlib
import time

import keras
import numpy as np
from common.kept import keep

from keras_residual import VideoResNet, inference, training
from keras_residual.data import read_picture

FRAMES, SIDE, HAND = 32, 32, 28
SIGNS, HELD, GAP = (1, 4), (4, 7), (1, 3)
# Options in the command that the result does not repeat.
FILES = ("photographs", "plot", "result")


def photographs(folder):
    """Returns training and held-out photographs of each sign, and the names of the signs.

    Args:
        folder: One subfolder of pictures for each sign.

    Returns:
        Two lists of arrays `(count, HAND, HAND, 3)` with values 0…1, and a list of names.
    """
    places = sorted(path for path in pathlib.Path(folder).iterdir() if path.is_dir())
    if len(places) < 2:
        raise ValueError(f"{folder} must hold a folder of pictures for each of two or more signs.")
    parts = [], []
    for place in places:
        pictures = np.stack([small(path) for path in sorted(place.iterdir())])
        border = len(pictures) * 4 // 5
        parts[0].append(pictures[:border])
        parts[1].append(pictures[border:])
    return *parts, [place.name for place in places]


def small(path):
    """Returns a picture of any size as `(HAND, HAND, 3)` with values 0…1."""
    pixels = read_picture(path).pixels.astype("float32") / 255
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    resized = keras.ops.image.resize(pixels, (HAND, HAND), antialias=True)
    return keras.ops.convert_to_numpy(resized)


def clip(signs, random):
    """Returns a clip `(FRAMES, SIDE, SIDE, 3)` and its signs, padded by -1.

    Args:
        signs: The photographs of each sign.
        random: A NumPy generator.
    """
    labels = random.integers(len(signs), size=random.integers(SIGNS[0], SIGNS[1] + 1))
    lengths = random.integers(HELD[0], HELD[1] + 1, len(labels))
    gaps = random.integers(GAP[0], GAP[1] + 1, len(labels) + 1)
    # The remaining frames go before the first sign and after the last.
    spare = FRAMES - lengths.sum() - gaps[1:-1].sum()
    while spare < 0:
        lengths[lengths.argmax()] -= 1
        spare += 1
    start = random.integers(spare + 1)
    frames = np.empty((FRAMES, SIDE, SIDE, 3), "float32")
    frames[:] = random.uniform(0.55, 0.85)
    for label, length, gap in zip(labels, lengths, gaps[1:], strict=True):
        picture = signs[label][random.integers(len(signs[label]))]
        draw(frames[start : start + length], picture, random)
        start += length + gap
    frames += random.normal(0, 0.02, frames.shape).astype("float32")
    return np.clip(frames, 0, 1), np.pad(labels, (0, SIGNS[1] - len(labels)), constant_values=-1)


def draw(frames, picture, random):
    """Draws a moving photograph of a hand, with random brightness, into the frames."""
    room = SIDE - HAND
    picture = np.clip(picture * random.uniform(0.8, 1.15), 0, 1)
    place, speed = random.uniform(0, room, 2), random.uniform(-0.7, 0.7, 2)
    for frame in frames:
        top, left = np.clip(np.rint(place + random.normal(0, 0.4, 2)), 0, room).astype(int)
        frame[top : top + HAND, left : left + HAND] = picture
        place = place + speed


def clips(signs, count, seed):
    """Returns clips and their signs, the same for the same seed."""
    made = [clip(signs, np.random.default_rng((seed, index))) for index in range(count)]
    x, y = zip(*made, strict=True)
    return np.stack(x), np.stack(y).astype("int32")


class Epochs(keras.utils.PyDataset):
    """New clips in every epoch."""

    def __init__(self, signs, count, batch_size):
        super().__init__()
        self.signs, self.count, self.batch_size, self.epoch = signs, count, batch_size, 0

    def __len__(self):
        return self.count // self.batch_size

    def __getitem__(self, index):
        return clips(self.signs, self.batch_size, (self.epoch, index))

    def on_epoch_end(self):
        self.epoch += 1


def network(signs, width):
    """Returns a network from clips to logits for each frame, with the blank last.

    Only the first stage mixes frames, and none reduces their number.
    """
    body = VideoResNet(
        ("factorized", "frames", "frames"),
        (1, 1, 1),
        (width, 2 * width, 4 * width),
        stem_width=width,
        include_top=False,
        input_shape=(FRAMES, SIDE, SIDE, 3),
    )
    each = keras.ops.mean(body.output, axis=(2, 3))
    each = keras.layers.Dropout(0.3)(each)
    outputs = keras.layers.Dense(signs + 1, name="signs")(each)
    return keras.Model(body.input, outputs, name="gestures")


def plot(x, y, model, names, path):
    """Draws a clip, the probabilities of each frame, and the signs decoded from them."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('The plot needs: pip install "keras-residual[plot]"') from error
    logits = model.predict_on_batch(x[:1])
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]
    figure, (above, below) = plt.subplots(2, 1, figsize=(11, 4), height_ratios=(1, 2.2))
    above.imshow(np.concatenate(x[0, ::2], axis=1), extent=(0, FRAMES, 0, 2), aspect="auto")
    above.set(xticks=[], yticks=[], xlim=(0, FRAMES), title="every second frame")
    steps = np.arange(FRAMES) + 0.5
    for sign, name in enumerate(names):
        if shares[:, sign].max() > 0.1:
            below.plot(steps, shares[:, sign], label=name)
    below.plot(steps, shares[:, -1], ":", color="grey", label="blank")
    found = inference.decode_greedy(logits)[0].labels
    shown = [" ".join(names[sign] for sign in row if sign >= 0) for row in (y[0], found)]
    below.set(xlim=(0, FRAMES), xlabel="frame", ylabel="probability")
    below.set_title(f"shown: {shown[0]}    read: {shown[1]}")
    below.legend(loc="upper right", ncols=6)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", help="folder with one subfolder of pictures for each sign")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--clips", type=int, default=512, help="clips per epoch")
    parser.add_argument("--held-out", type=int, default=400, help="number of held-out clips")
    parser.add_argument("--width", type=int, default=12, help="channels of the first stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", help="a .json file for the result")
    parser.add_argument("--plot", help="a file to draw to, such as gestures.png")
    arguments = parser.parse_args(arguments)
    keras.utils.set_random_seed(arguments.seed)
    train, held_out, names = photographs(arguments.photographs)
    x, y = clips(held_out, arguments.held_out, 10**6)
    batches = Epochs(train, arguments.clips, 16)
    model = network(len(names), arguments.width)
    steps = arguments.epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=4e-3, warmup_steps=50)
    errors = training.CharacterErrorRate(name="sign_error_rate")
    model.compile(keras.optimizers.AdamW(rate, 1e-3), training.CTC(), metrics=[errors])
    print(f"{model.count_params():,} parameters, {len(names)} signs, {len(x)} held-out clips")
    started = time.perf_counter()
    model.fit(batches, epochs=arguments.epochs, verbose=2)
    seconds = time.perf_counter() - started
    _, rate = model.evaluate(x, y, batch_size=50, verbose=0)
    found = inference.decode_greedy(model.predict(x, batch_size=50, verbose=0))
    right = np.mean(
        [list(row[row >= 0]) == list(t.labels) for row, t in zip(y, found, strict=True)]
    )
    print(f"signs that are wrong, missing or too many: {rate:.1%}; whole clips right: {right:.1%}")
    if arguments.plot:
        longest = np.argsort(-(y >= 0).sum(axis=1), kind="stable")[:1]
        plot(x[longest], y[longest], model, names, arguments.plot)
    result = {"sign_error_rate": round(float(rate), 4), "clips_right": round(float(right), 4)}
    result |= {"parameters": model.count_params(), "seconds": round(seconds), **vars(arguments)}
    if arguments.result:
        keep(arguments.result, {k: v for k, v in result.items() if k not in FILES})
    return result


if __name__ == "__main__":
    main()
