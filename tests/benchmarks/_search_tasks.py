"""Data sets, spaces and budgets on which searches are compared."""

import dataclasses
import itertools
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_residual import data, layers, tuning

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples"))
import ucr_archive

_FASHION = "/usr/share/datasets/fashion-mnist"
_RATE, _SECONDS, _SIDE = 8000, 0.8, 32


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set with a space around a network.

    Attributes:
        words: What is searched, for tables.
        budget: The argument of the space that bounds its networks.
        bound: The bound.
        load: A function of a path and a number of examples (`None` for all) to a `Dataset` or
            arrays `(x, y)`.
        space: A function of the data and the budget to a space.
        path: Where the data are unless `--data` says otherwise.
        examples: Number of training examples that are used, the rest of the set is left out.
    """

    words: str
    budget: str
    bound: float
    load: Callable[..., Any]
    space: Callable[..., tuning.HyperResNet]
    path: str | None = None
    examples: int | None = None


def digits(path, examples):
    return data.load("digits")


def fashion(path, examples):
    """Returns Fashion-MNIST with some of its training images."""
    whole = data.load(path)
    _, part = whole.train.hold_out(examples / len(whole.train))
    return dataclasses.replace(whole, train=part)


def series(path, examples):
    """Returns all series of a set of the UCR archive; its training parts are too small to hold
    out enough of them."""
    (x, y), (x_test, y_test) = ucr_archive.load("ItalyPowerDemand")
    return np.concatenate([x, x_test]).astype("float32"), np.concatenate([y, y_test])


def spoken(path, examples):
    """Returns 41 steps of 20 mel bands for each recording of the Free Spoken Digit Dataset."""
    with np.load(path) as file:
        audio, ends, labels = file["audio"] / 2.0**15, file["offsets"], file["digit"]
    length = round(_SECONDS * _RATE)
    waves = np.zeros((len(labels), length), "float32")
    for wave, (start, stop) in zip(waves, itertools.pairwise(ends), strict=True):
        part = audio[start:stop][:length]
        wave[: len(part)] = part
    spectrogram = layers.LogMelSpectrogram(
        _RATE, 20, sequence_length=256, sequence_stride=160, fft_length=256, min_freq=60
    )
    x = np.asarray(spectrogram(waves))
    return (x - x.mean()) / x.std(), labels.astype("int32")


def photographs(path, examples, side=_SIDE):
    """Returns photographs in a folder per class, reduced to squares."""
    files = sorted(pathlib.Path(path).glob("*/*.*"))
    classes = sorted({file.parent.name for file in files})
    x = [data.resized(data.read_picture(file).pixels, side, side) for file in files]
    y = np.array([classes.index(file.parent.name) for file in files])
    return data.load((np.stack(x), y))


def _images(source, **budget):
    shape, classes = source.image_shape, source.num_classes
    return tuning.HyperResNet(shape, classes, "ResNet8", stem="conv3", **budget)


def _resnet_1d(source, **budget):
    return tuning.HyperResNet1D(source[0].shape[1:], int(source[1].max()) + 1, **budget)


def _lstm(source, **budget):
    return tuning.HyperResidualLSTM(source[0].shape[1:], int(source[1].max()) + 1, **budget)


TASKS = {
    "digits": Task("digits, `HyperResNet`", "max_parameters", 5142, digits, _images),
    "fashion-mnist": Task(
        "Fashion-MNIST, 2,000 images, `HyperResNet`",
        "max_parameters",
        5142,
        fashion,
        _images,
        _FASHION,
        2000,
    ),
    "fashion-mnist-50k": Task(
        "Fashion-MNIST, 2,000 images, `HyperResNet`",
        "max_parameters",
        50_000,
        fashion,
        _images,
        _FASHION,
        2000,
    ),
    "italy-power-demand": Task(
        "ItalyPowerDemand, `HyperResNet1D`", "max_parameters", 5000, series, _resnet_1d
    ),
    "spoken-digits": Task(
        "spoken digits, `HyperResidualLSTM`",
        "max_parameters",
        20_000,
        spoken,
        _lstm,
        "spoken_digits.npz",
    ),
    "hands": Task(
        "photographs of hands, 32 × 32, `HyperResNet`",
        "max_latency_ms",
        0.5,
        photographs,
        _images,
        "hands",
    ),
}
