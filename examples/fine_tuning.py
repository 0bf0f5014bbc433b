"""Fine-tuning published weights on photographs: four ways, as long as each other on the processor.

ResNet-50 with ImageNet's weights learns what photographs show: by a linear classifier on its
features, by the recipe `fine_tune`, by training all layers at once at one rate, and from scratch.
The last two get as many epochs as fit into the time that `fine_tune` took.

    python examples/fine_tuning.py --photos photos/ --weights imagenet

Half an hour on 2 cores with 1,300 photographs. `photos/` holds a folder for each class, or
`train/CLASS/...` and `test/CLASS/...`. The photographs of hands that sign the digits (A. Mavi,
arXiv:2011.08927, Apache-2.0: github.com/ardamavi/Sign-Language-Digits-Dataset) do, with other
persons in `test/` than in `train/`. It prints a line for each way and at the end a table, and
writes the numbers with their command to `runs/fine_tuning.json`:

    | way | accuracy | seconds of the processor |
    | --- | --- | --- |
"""

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path

import keras
from common.kept import keep

import keras_residual
from keras_residual import data, training

RESULTS = Path("runs/fine_tuning.json")
FINE_TUNE = training.recipes["fine_tune"]
ALL_AT_ONCE = dataclasses.replace(
    FINE_TUNE, head_epochs=0, layer_decay=1.0, least_factor=0.0, freeze_normalization=False
)
FROM_SCRATCH = dataclasses.replace(ALL_AT_ONCE, learning_rate=2e-3)
WAYS = {
    "features and a linear classifier": (True, FINE_TUNE),
    "`fine_tune`": (True, FINE_TUNE),
    "all layers at once": (True, ALL_AT_ONCE),
    "from scratch": (False, FROM_SCRATCH),
}


def network(arguments, dataset, pretrained, seed):
    """Returns the network for the photographs, with weights or without."""
    keras.utils.set_random_seed(seed)
    shape = (arguments.size, arguments.size, dataset.image_shape[-1])
    if pretrained:
        return keras_residual.models.pretrained_classifier(
            arguments.model, arguments.weights, dataset.num_classes, shape
        )
    return keras_residual.get_model(arguments.model, input_shape=shape, classes=dataset.num_classes)


def train(arguments, dataset, way, epochs, callbacks=()):
    """Returns the history and the seconds of the processor."""
    pretrained, recipe = WAYS[way]
    model = network(arguments, dataset, pretrained, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        history = training.fit(
            model, dataset, recipe, folder,
            epochs=epochs, seed=arguments.seed, verbose=0, callbacks=callbacks,
        )  # fmt: skip
        return history, time.process_time() - started


class Clock(keras.callbacks.Callback):
    """The seconds of the processor in each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.process_time() - self._began)


def epochs_within(arguments, dataset, way, seconds):
    """Returns how many epochs of a way fit into a time, told from a training of two."""
    clock = Clock()
    _, whole = train(arguments, dataset, way, 2, [clock])
    # The first holds the tracing of the step too.
    once = whole - 2 * clock.seconds[1]
    return max(1, round((seconds - once) / clock.seconds[1]))


def compare(arguments, dataset):
    """Returns a row for each way: accuracy on the held-out photographs, epochs, time."""
    rows, fine_tune = {}, arguments.epochs
    for way in WAYS:
        epochs = fine_tune
        if way == "features and a linear classifier":
            epochs = min(fine_tune or FINE_TUNE.epochs, FINE_TUNE.head_epochs)
        elif way != "`fine_tune`":
            epochs = epochs_within(arguments, dataset, way, rows["`fine_tune`"]["cpu_seconds"])
        history, seconds = train(arguments, dataset, way, epochs)
        best = min(range(len(history["loss"])), key=history["val_loss"].__getitem__)
        rows[way] = {
            "accuracy": history["val_accuracy"][best],
            "epochs": len(history["loss"]),
            "cpu_seconds": round(seconds, 1),
        }
        print(f"{way}: {rows[way]}")
    return rows


def table(path=RESULTS):
    """Returns the rows of a result as a table."""
    rows = json.loads(Path(path).read_text(encoding="utf-8"))["ways"]
    lines = ["| way | accuracy | seconds of the processor |", "| --- | --- | --- |"]
    for way, row in rows.items():
        lines.append(f"| {way} | {row['accuracy']:.1%} | {row['cpu_seconds']:.0f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", required=True, help="a folder of photographs")
    parser.add_argument("--weights", default="imagenet", help="as `weights.load` takes them")
    parser.add_argument("--model", default="resnet50v1")
    parser.add_argument("--size", type=int, default=160, help="side of the images")
    parser.add_argument("--epochs", type=int, help="of fine_tune; default: the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    dataset = data.load(arguments.photos)
    print(dataset)
    result = {
        "ways": compare(arguments, dataset),
        "dataset": str(dataset),
    }
    keep(arguments.output, result)
    print(table(arguments.output))


if __name__ == "__main__":
    main()
