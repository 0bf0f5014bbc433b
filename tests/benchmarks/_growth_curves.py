"""The curves of `growth.py`: one function per curve, from a size to the work at that size."""

import pathlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Work:
    """The work at one size.

    Attributes:
        amount: What the work should at most be proportional to: multiply-accumulates of a network,
            else the number of examples, files or trials.
        prepare: Runs the part that is done once, and returns the repeated part, if any.
    """

    amount: float
    prepare: Callable[[], Callable[[], Any] | None]


@dataclass(frozen=True)
class Curve:
    """A curve: the sizes, in ascending order, and the work at each."""

    axis: str
    sizes: tuple[int, ...]
    work: Callable[[int, pathlib.Path], Work]


def _step(model, batch: int, shape: tuple[int, ...], classes: int = 10) -> Callable[[], Any]:
    """Trains a step, and returns a function that trains another."""
    import keras
    import numpy as np

    from keras_residual import training

    rng = np.random.default_rng(0)
    x = rng.random((batch, *shape), np.float32)
    y = rng.integers(0, classes, batch).astype("int32")
    optimizer = training.recipes["quick"].make_optimizer(1000)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy())
    training.build(model, x, y)
    model.train_on_batch(x, y)
    return lambda: model.train_on_batch(x, y)


def _network(name: str, batch: int, shape: tuple[int, ...], **options: Any) -> Work:
    """The training step of a network of images or sequences."""
    import keras_residual
    from keras_residual import analysis

    classes = options.setdefault("classes", 10)

    def make():
        return getattr(keras_residual, name)(input_shape=shape, **options)

    macs = analysis.cost(make(), shape).macs * batch
    return Work(macs, lambda: _step(make(), batch, shape, classes))


def depth(blocks: int, folder: pathlib.Path) -> Work:
    return _network("ResNet1202", 4, (32, 32, 3), depths=(blocks,) * 3)


def width(channels: int, folder: pathlib.Path) -> Work:
    widths = (channels, 2 * channels, 4 * channels)
    return _network("ResNet20", 4, (32, 32, 3), widths=widths)


def batch(size: int, folder: pathlib.Path) -> Work:
    return _network("ResNet20", size, (32, 32, 3))


def image_side(side: int, folder: pathlib.Path) -> Work:
    return _network("ResNet18", 1, (side, side, 3))


def sequence_lstm(steps: int, folder: pathlib.Path) -> Work:
    # Multiply-accumulates are counted for convolutions and dense layers only.
    return Work(steps, _network("ResidualLSTMClassifier", 4, (steps, 8), units=32).prepare)


def sequence_convolution(steps: int, folder: pathlib.Path) -> Work:
    return _network("ResNet1D", 4, (steps, 1))


def classes(count: int, folder: pathlib.Path) -> Work:
    # Not the multiply-accumulates: the update of the last layer's weights counts as much.
    return Work(count, _network("ResNet8", 8, (16, 16, 3), classes=count).prepare)


def _digits(count: int):
    """Returns a dataset of tiny images of ten classes, a tenth of them held out."""
    import numpy as np

    from keras_residual import data

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    y = (np.arange(count) % 10).astype("int32")
    return data.load((x, y, x[: count // 10], y[: count // 10]))


def images_in_step(count: int, folder: pathlib.Path) -> Work:
    """An epoch of a linear classifier whose batches are made in the step."""

    def prepare():
        import keras

        from keras_residual import training

        dataset = _digits(count)
        model = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
        )

        def epoch():
            training.fit(model, dataset, "quick", None, epochs=1, verbose=0)

        epoch()
        return epoch

    return Work(count, prepare)


def images_in_pipeline(count: int, folder: pathlib.Path) -> Work:
    def prepare():
        from keras_residual import data

        batches = data.pipeline(_digits(count).train, training=True)
        return lambda: _consume(batches)

    return Work(count, prepare)


def _consume(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass


def _write_pictures(folder: pathlib.Path, count: int, kinds: int, sides=(4,)) -> pathlib.Path:
    """Writes tiny PNG files in folders by class, unless they are there; returns their folder."""
    import keras
    import numpy as np

    place = folder / f"{count}-{kinds}-{len(sides)}"
    done = place.with_suffix(".done")
    if done.is_file():
        return place
    contents = []
    for side in sides:
        one = folder / f"{side}.png"
        pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3))
        keras.utils.save_img(one, pixels, scale=False)
        contents.append(one.read_bytes())
    for number in range(count):
        path = place / f"{number % kinds:05d}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number // kinds % len(contents)])
    done.touch()
    return place


def files_in_memory(count: int, folder: pathlib.Path) -> Work:
    """Loads a folder of pictures of one size, which become an array."""
    place = _write_pictures(folder, count, 10)
    return Work(count, lambda: _load(place))


def files_on_demand(count: int, folder: pathlib.Path) -> Work:
    """Loads a folder of pictures of two sizes, and decodes each once."""
    place = _write_pictures(folder, count, 10, sides=(4, 5))

    def prepare():
        from keras_residual import data

        batches = data.pipeline(_load(place).train, training=True, image_size=4)
        return lambda: _consume(batches)

    return Work(count, prepare)


def _load(place: pathlib.Path):
    from keras_residual import data

    return data.load(place)


def folders(count: int, folder: pathlib.Path) -> Work:
    """Loads a folder of `size` classes with two pictures each."""
    place = _write_pictures(folder, 2 * count, count)

    def prepare():
        _load(place)

    return Work(count, prepare)


def _search(kind: str, space: Any, trials: int) -> Work:
    """Proposes and ends trials that are not trained."""

    def prepare():
        from search_workers import simulated

        from keras_residual.tuning import oracles

        with tempfile.TemporaryDirectory() as place:
            simulated(space, 1, trials, 0, place, getattr(oracles, kind))

    return Work(trials, prepare)


def _space(**settings: Any):
    from search_workers import UntrainedSpace

    return UntrainedSpace(1.0, **settings)


def trials_of(kind: str) -> Callable[[int, pathlib.Path], Work]:
    """Returns the curve of one algorithm over the number of its trials."""
    return lambda trials, folder: _search(kind, _space(), trials)


def knobs(count: int, folder: pathlib.Path) -> Work:
    """Proposes 50 trials of a space of so many knobs."""
    names = [knob.name for knob in _space().knobs if not knob.parent]
    space = _space(**dict.fromkeys(names[count:]))
    work = _search("EvolutionOracle", space, 50)
    return Work(len(space.knobs), work.prepare)


def photographs(count: int, folder: pathlib.Path) -> Work:
    place = _write_pictures(folder, count, 10)

    def prepare():
        import keras_residual
        from keras_residual import inference

        model = keras_residual.ResNet8(input_shape=(32, 32, 3), classes=10)
        names = tuple(f"class {number}" for number in range(10))
        description = keras_residual.Description(white=1.0, class_names=names)
        predictor = inference.load_predictor(model, description=description)
        files = sorted(place.rglob("*.png"))
        keras_residual.predict(predictor, files[:32])
        return lambda: keras_residual.predict(predictor, files)

    return Work(count, prepare)


CURVES = {
    "depth, unrolled": Curve("blocks a stage", (3, 9, 18, 32), depth),
    "depth, scanned": Curve("blocks a stage", (33, 100, 200), depth),
    "width": Curve("channels", (16, 32, 64), width),
    "batch": Curve("examples", (1, 4, 16, 64), batch),
    "image size": Curve("pixels a side", (32, 64, 128, 256, 512), image_side),
    "sequence, LSTM": Curve("steps", (32, 128, 512, 2048), sequence_lstm),
    "sequence, convolution": Curve("steps", (128, 512, 2048, 8192), sequence_convolution),
    "classes": Curve("classes", (10, 100, 1000, 10_000, 100_000), classes),
    "images, in step": Curve("images", (1000, 10_000, 100_000), images_in_step),
    "images, pipeline": Curve("images", (1000, 10_000, 100_000), images_in_pipeline),
    "files, in memory": Curve("files", (1000, 5000, 25_000), files_in_memory),
    "files, on demand": Curve("files", (1000, 10_000, 100_000), files_on_demand),
    "folders": Curve("classes", (100, 1000, 5000, 20_000), folders),
    "trials, random": Curve("trials", (50, 100, 200, 400), trials_of("RandomSearchOracle")),
    "trials, evolution": Curve("trials", (50, 100, 200, 400), trials_of("EvolutionOracle")),
    "trials, grid": Curve("trials", (50, 100, 200, 400), trials_of("GridSearchOracle")),
    "trials, Bayesian": Curve("trials", (10, 20, 40), trials_of("BayesianOptimizationOracle")),
    "knobs": Curve("knobs", (2, 4, 8, 16), knobs),
    "photographs of predict": Curve("photographs", (100, 1000, 4000), photographs),
}
