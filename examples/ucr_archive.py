"""Time series of the UCR archive: ResNet1D against a residual LSTM, beside the published ResNet.

The series are read from an installed package: pip install --no-deps aeon

    python examples/ucr_archive.py --sets ItalyPowerDemand --epochs 100

The published numbers are the means of 5 runs of 1500 epochs; `--epochs 1500 --runs 5` repeats that,
hours on 2 cores. The recipe is the published one: Adam, the learning rate halved when the training
loss rests for 50 epochs, and the weights of the least training loss.

The command above takes a minute on 2 cores and prints

    set               network                  accuracy  published  seconds
    ItalyPowerDemand  ResNet1D                   0.9611     0.9615       42
    ItalyPowerDemand  ResidualLSTMClassifier     0.9495                  31

Reference:
    - [Dau et al., 2018](https://arxiv.org/abs/1810.07758), the archive
    - [Fawaz et al., 2019](https://arxiv.org/abs/1809.04356), recipe and published accuracies
"""

import argparse
import importlib.metadata
import time

import keras
import numpy as np

from keras_residual import ResidualLSTMClassifier, ResNet1D

# hfawaz/dl-4-tsc, results-ucr-128.csv, classifier resnet.
PUBLISHED = {
    "ACSF1": 0.9160,
    "ArrowHead": 0.8377,
    "GunPoint": 0.9907,
    "ItalyPowerDemand": 0.9615,
    "OSULeaf": 0.9802,
}


def load(name):
    """Returns `(series, labels)` of the training part and of the test part."""
    try:
        package = importlib.metadata.distribution("aeon")
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError("The series are in a package: pip install --no-deps aeon") from error
    folder = f"aeon/datasets/data/{name}"
    parts = [_read(package.locate_file(f"{folder}/{name}_{part}.ts")) for part in ("TRAIN", "TEST")]
    names = sorted(set(parts[0][1]))
    return [
        (series, np.array([names.index(label) for label in labels])) for series, labels in parts
    ]


def _read(path):
    """Returns the series, `(n, steps, 1)`, and the labels of a file in the `.ts` format."""
    text = path.read_text(encoding="utf-8")
    rows = [line.rsplit(":", 1) for line in text.partition("@data")[2].split()]
    series = np.array([values.split(",") for values, _ in rows], np.float32)
    return series[..., None], [label for _, label in rows]


def networks(shape, classes):
    """Returns the two networks by name."""
    return {
        "ResNet1D": lambda: ResNet1D(input_shape=shape, classes=classes),
        "ResidualLSTMClassifier": lambda: ResidualLSTMClassifier(
            shape, classes=classes, units=64, num_layers=3, bidirectional_bottom=True, pooling="avg"
        ),
    }


def accuracy(make, train, test, epochs, seed):
    """Trains by the published recipe; returns the accuracy on the test part."""
    keras.utils.set_random_seed(seed)
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    recipe = [
        keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=50, min_lr=1e-4),
        keras.callbacks.EarlyStopping("loss", patience=epochs, restore_best_weights=True),
    ]
    batch_size = max(1, min(len(train[0]) // 10, 16))
    model.fit(*train, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=recipe)
    return model.evaluate(*test, verbose=0)[1]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["ItalyPowerDemand"], choices=PUBLISHED)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args(arguments)
    print(f"{'set':<18}{'network':<24}{'accuracy':>9}{'published':>11}{'seconds':>9}")
    results = {}
    for name in arguments.sets:
        train, test = load(name)
        for network, make in networks(train[0].shape[1:], len(set(train[1]))).items():
            start = time.perf_counter()
            found = [
                accuracy(make, train, test, arguments.epochs, run) for run in range(arguments.runs)
            ]
            results[name, network] = float(np.mean(found))
            published = f"{PUBLISHED[name]:.4f}" if network == "ResNet1D" else ""
            seconds = time.perf_counter() - start
            print(
                f"{name:<18}{network:<24}{np.mean(found):9.4f}{published:>11}{seconds:9.0f}",
                flush=True,
            )
    return results


if __name__ == "__main__":
    main()
