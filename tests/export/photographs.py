"""Photographs as phones store them, and small classifiers fitted to them.

The answers of a network with random weights lie so close together that its first class says
little. Here normalizations know photographs and the classifier is fitted to them.
"""

import dataclasses
import pathlib

import keras
import numpy as np

SIDES = (20, 300)
# Pillow's operation that undoes each EXIF orientation.
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_90",
    7: "TRANSVERSE",
    8: "ROTATE_270",
}
_ORIENTATION = 0x0112
_CLASSES = 4


def sources():
    """Returns real photographs: a flower, a temple, a cat and a cup of coffee."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    return [*load_sample_images().images[::-1], data.chelsea(), data.coffee()]


def pieces(count, seed, classes=_CLASSES):
    """Yields crops of many sizes and the number of the photograph of each."""
    found, random = sources()[:classes], np.random.default_rng(seed)
    for index in range(count):
        source = found[index % classes]
        height, width = random.integers(*SIDES, 2)
        top = random.integers(0, max(1, source.shape[0] - height))
        left = random.integers(0, max(1, source.shape[1] - width))
        piece = source[top : top + height, left : left + width]
        yield np.ascontiguousarray(piece), index % classes


def written(folder: pathlib.Path, count: int, seed: int) -> list[pathlib.Path]:
    """Writes the crops as JPEG files in all EXIF orientations."""
    from PIL import Image

    paths = []
    for index, (piece, _) in enumerate(pieces(count, seed)):
        image, orientation = Image.fromarray(piece), 1 + index % 8
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        if orientation in TURNS:
            image = image.transpose(Image.Transpose[TURNS[orientation]])
        paths.append(folder / f"{index}.jpg")
        image.save(paths[-1], quality=92, exif=exif)
    return paths


@dataclasses.dataclass
class Network:
    """A network that is tried on a phone.

    Attributes:
        model: The network.
        kind: `"picture"`, `"sound"`, `"clip"` or `"other"`: what it takes.
        data: Inputs of it that decide the ranges of integers.
        tried: Further inputs.
    """

    model: keras.Model
    kind: str
    data: np.ndarray
    tried: np.ndarray


def trained(make, **options) -> Network:
    """Returns a network whose answers differ from one input to the next."""
    keras.utils.set_random_seed(1)
    model = make(**options)
    kind = kind_of(model)
    classes = min(_CLASSES, model.output_shape[-1])
    data, labels = inputs_of(model, kind, 400, 1, classes)
    _enliven(model)
    for _ in range(_PASSES):
        model(data[:32], training=True)
    _forget_initial_statistics(model)
    last = model.layers[-1]
    if kind != "other" and isinstance(last, keras.layers.Dense):
        _fit(model, last, data, labels)
    # Further recordings widen the ranges of integers more than they tell.
    data = data[: 100 if kind == "sound" else 200]
    return Network(model, kind, data, inputs_of(model, kind, 320, 2, classes)[0])


# Lower bound of probabilities, in logits.
_SMALLEST = 1e-7
# Only photographs count on which Keras' best class leads the second by this.
LEAD = 0.6


def lead(scores):
    """Returns by how much the first class leads the second."""
    ordered = np.sort(scores, -1)
    return ordered[..., -1] - ordered[..., -2]


def disagreement(expected, answers):
    """Returns how far margins are off, and how often the first class is another beyond that.

    A margin is the difference of two classes' logits: of Keras' first class and the first of the
    others, in the answers if that is another one. The noise is the root mean square of what the
    answers change it by; where a margin is within twice the noise, the two classes tie.
    """
    rows = np.arange(len(expected))
    first, found = expected.argmax(-1), answers.argmax(-1)
    rival = np.where(found == first, np.argsort(expected, -1)[:, -2], found)

    def margins(scores):
        logits = np.log(np.maximum(scores, _SMALLEST))
        return logits[rows, first] - logits[rows, rival]

    ours = margins(expected)
    noise = float(np.sqrt(np.mean((margins(answers) - ours) ** 2)))
    return noise, int(((found != first) & (ours > 2 * noise)).sum())


def kind_of(model) -> str:
    """Returns what a network takes."""
    shape, output = model.input_shape, model.output_shape
    if not isinstance(shape, tuple) or None in shape[1:] or len(output) != 2:
        return "other"
    if len(shape) == 4 and shape[-1] in (1, 3):
        return "picture"
    return {2: "sound", 5: "clip"}.get(len(shape), "other")


def inputs_of(model, kind, count, seed, classes):
    """Returns inputs of a network and their classes."""
    random, shape = np.random.default_rng(seed), model.input_shape[1:]
    labels = np.arange(count) % classes
    if kind == "picture":
        found = [_small(piece, shape) for piece, _ in pieces(count, seed, classes)]
        return np.stack(found), labels
    if kind == "clip":
        found = [_small(piece, shape[1:]) for piece, _ in pieces(count, seed, classes)]
        speeds = random.integers(-2, 3, count)
        clips = [
            np.stack([np.roll(x, step * t, 1) for t in range(shape[0])])
            for x, step in zip(found, speeds, strict=True)
        ]
        return np.stack(clips), labels
    if kind == "sound":
        times = np.arange(shape[0]) / shape[0]
        pitches = (10.0 * 2.0**labels)[:, None] * random.uniform(0.9, 1.1, (count, 1))
        waves = np.sin(2 * np.pi * pitches * times) * random.uniform(0.2, 0.8, (count, 1))
        noise = random.normal(0, 0.02, (count, shape[0]))
        return (waves + noise).astype(np.float32), labels
    sizes = [5 if size is None else size for size in shape]
    if not keras.backend.is_float_dtype(model.inputs[0].dtype):
        return random.integers(1, 9, (count, *sizes)).astype("int32"), labels
    return random.random((count, *sizes), np.float32), labels


def _small(piece, shape):
    from keras_residual.export._pictures import stretched

    pixels = stretched(piece, shape[:2]) / np.float32(255)
    return pixels if shape[-1] == 3 else pixels @ np.float32([[0.299], [0.587], [0.114]])


def _enliven(model):
    """Gives scales and offsets of normalizations values other than zero."""
    random = np.random.default_rng(3)
    for weight in model.weights:
        if weight.name == "gamma":
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif weight.name == "beta":
            weight.assign(random.normal(0, 0.3, weight.shape))


def _forget_initial_statistics(model):
    """Removes the share of the initial values from the moving statistics."""
    rest = _MOMENTUM**_PASSES
    for weight in model.weights:
        if weight.name in ("moving_mean", "moving_variance"):
            first = float(weight.name == "moving_variance")
            value = keras.ops.convert_to_numpy(weight)
            weight.assign((value - rest * first) / (1 - rest))


_PASSES, _MOMENTUM = 5, 0.9


def _fit(model, last, data, labels):
    """Sets the classifier by regularized least squares."""
    features = keras.Model(model.input, last.input).predict(data, verbose=0).astype(np.float64)
    centre = features.mean(0)
    x, wanted = features - centre, np.eye(last.units)[labels]
    shrinkage = np.trace(x.T @ x) / x.shape[1] * np.eye(x.shape[1])
    kernel = np.linalg.solve(x.T @ x + shrinkage, x.T @ (wanted - wanted.mean(0)))
    # Of most pictures the first class then has a clear lead.
    ordered = np.sort(x @ kernel, -1)
    kernel *= 4 / np.median(ordered[:, -1] - ordered[:, -2])
    bias = -centre @ kernel - 20.0 * (wanted.sum(0) == 0)
    last.set_weights([kernel, bias] if last.use_bias else [kernel])
