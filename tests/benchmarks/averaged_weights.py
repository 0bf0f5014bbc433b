"""What averaged weights cost: seconds of an epoch over a folder of pictures, with and without.

    python tests/benchmarks/averaged_weights.py --keep

ResNet-20 at 64 × 64, batches of 128, recipe `one_cycle`, 1,059 pictures in a folder and a tenth of
them held out: before each evaluation the statistics of batch normalization are estimated for
the averaged weights. The two ways take turns; a number is the median over the epochs after the
first, evaluation included. The pictures are drawn, ten kinds of coloured stripes.
"""

import argparse
import dataclasses
import pathlib
import statistics
import tempfile

import keras
import numpy as np
from _kept import RESULTS, keep

import keras_residual
from keras_residual import data, training

COUNT, SIDE = 1059, 64


def draw(folder: pathlib.Path) -> None:
    """Writes the pictures, a folder for each of ten directions of stripes."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for number in range(COUNT):
        angle = np.pi * (number % 10) / 10
        phase = rows * np.cos(angle) + columns * np.sin(angle) + rng.uniform(0, SIDE)
        stripes = 127 + 60 * np.sin(phase / 2)[..., None] * rng.uniform(0.3, 1, 3)
        noise = rng.normal(0, 40, (SIDE, SIDE, 3))
        path = folder / f"kind{number % 10}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        keras.utils.save_img(path, np.clip(stripes + noise, 0, 255), scale=False)


def train(dataset: data.Dataset, ema: float, epochs: int) -> dict:
    """Returns the seconds of each epoch and the last accuracy."""
    keras.utils.set_random_seed(0)
    model = keras_residual.model_for("ResNet20", dataset)
    recipe = dataclasses.replace(training.recipes["one_cycle"], ema=ema)
    with tempfile.TemporaryDirectory() as folder:
        history = training.fit(model, dataset, recipe, folder, epochs=epochs, verbose=0)
    return {"ema": ema, "seconds": history["seconds"], "accuracy": history["val_accuracy"][-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--keep", action="store_true", help=f"write {RESULTS}/averaged_weights.json"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw(pathlib.Path(folder))
        dataset = data.load(folder)
        rows = [
            train(dataset, ema, arguments.epochs)
            for _ in range(arguments.rounds)
            for ema in (0.0, training.recipes["one_cycle"].ema)
        ]
    seconds = {
        kind: statistics.median(
            value for row in rows if bool(row["ema"]) == kind for value in row["seconds"][1:]
        )
        for kind in (False, True)
    }
    ratio = seconds[True] / seconds[False]
    print(
        f"{seconds[False]:.1f} s an epoch, {seconds[True]:.1f} s with averages: {ratio:.2f} times"
    )
    if arguments.keep:
        print(keep(RESULTS, "averaged_weights", ratio=round(ratio, 3), rows=rows))


if __name__ == "__main__":
    main()
