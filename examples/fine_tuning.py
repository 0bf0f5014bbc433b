"""Fine-tuning published weights on photographs: four ways, as long as each other on the processor.

ResNet-50 with ImageNet's weights learns what photographs show: by a linear classifier on its
features, by the recipe `fine_tune`, by training all layers at once at one rate, and from scratch.
The last two get as many epochs as fit into the processor time that `fine_tune` took, so that other
programs on the machine do not change the comparison.

    python examples/fine_tuning.py --photos photos/ --weights imagenet

`photos/` holds a folder for each class, or `train/CLASS/...` and `test/CLASS/...`. The photographs
of hands that sign the digits (A. Mavi, arXiv:2011.08927, Apache-2.0:
github.com/ardamavi/Sign-Language-Digits-Dataset) do, with other persons in `test/` than in
`train/`. A tenth of the training photographs chooses the best epoch of each way; the accuracy is
that on `test/`. With `--results` the rows found so far are kept in a file, and the same command
goes on behind them if it was interrupted.

Half an hour on 2 cores with 1,300 photographs, a third of that with `--size 96`. It prints a line
for each way and at the end a table; this one is of the hands with `--size 96`, where a photograph
of `test/` is 0.3 %. At so small a size, four epochs of all layers are as good as the recipe:

    | way | accuracy | epochs | seconds of the processor |
    | --- | ---: | ---: | ---: |
    | features and a linear classifier | 87.1% | 40 | 74 |
    | `fine_tune` | 97.4% | 45 | 320 |
    | all layers at once | 98.2% | 4 | 300 |
    | from scratch | 81.6% | 4 | 294 |
"""

import argparse
import dataclasses
import json
import tempfile
import time

import keras
from common.kept import add_options, keep
from common.pictures import bars

import keras_residual
from keras_residual import data, training

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
# What a kept result must have been run with for its rows to be taken.
SETTINGS = ("model", "size", "epochs", "seed")


def network(arguments, dataset, pretrained):
    """Returns the network for the photographs, with weights or without."""
    keras.utils.set_random_seed(arguments.seed)
    shape = (arguments.size, arguments.size, dataset.image_shape[-1])
    if pretrained:
        return keras_residual.models.pretrained_classifier(
            arguments.model, arguments.weights, dataset.num_classes, shape
        )
    return keras_residual.get_model(arguments.model, input_shape=shape, classes=dataset.num_classes)


def train(arguments, dataset, way, epochs, callbacks=()):
    """Returns the network of the best epoch, the history and the seconds of the processor."""
    pretrained, recipe = WAYS[way]
    model = network(arguments, dataset, pretrained)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        history = training.fit(
            model, dataset.hold_out(0.1), recipe, folder,
            epochs=epochs, seed=arguments.seed, verbose=0, callbacks=callbacks,
        )  # fmt: skip
        return model, history, time.process_time() - started


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
    """Returns how many epochs of a way fit into a time, measured by training two."""
    clock = Clock()
    _, _, whole = train(arguments, dataset, way, 2, [clock])
    # The first epoch includes the tracing of the step.
    once = whole - 2 * clock.seconds[1]
    return max(1, round((seconds - once) / clock.seconds[1]))


def accuracy(arguments, dataset, model):
    """Returns the accuracy on the test photographs, which chose nothing."""
    model.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
    options = {**FINE_TUNE.batch_options(), "image_size": (arguments.size, arguments.size)}
    _, batches = dataset.batches(seed=arguments.seed, **options)
    return model.evaluate(batches, verbose=0, return_dict=True)["accuracy"]


def compare(arguments, dataset, rows):
    """Yields `rows` with one more way each time: accuracy, epochs, seconds of the processor."""
    for way in WAYS:
        if way in rows:
            continue
        epochs = arguments.epochs
        if way == "features and a linear classifier":
            epochs = min(epochs or FINE_TUNE.epochs, FINE_TUNE.head_epochs)
        elif way == "all layers at once":
            epochs = epochs_within(arguments, dataset, way, rows["`fine_tune`"]["cpu_seconds"])
        elif way == "from scratch":  # An epoch of it costs as much.
            epochs = rows["all layers at once"]["epochs"]
        model, history, seconds = train(arguments, dataset, way, epochs)
        rows[way] = {
            "accuracy": accuracy(arguments, dataset, model),
            "epochs": len(history["loss"]),
            "cpu_seconds": round(seconds, 1),
        }
        print(f"{way}: {rows[way]}", flush=True)
        yield rows


def table(rows):
    """Returns the rows of a result as a table."""
    lines = [
        "| way | accuracy | epochs | seconds of the processor |",
        "| --- | ---: | ---: | ---: |",
    ]
    for way, row in rows.items():
        numbers = f"{row['accuracy']:.1%} | {row['epochs']} | {row['cpu_seconds']:.0f}"
        lines.append(f"| {way} | {numbers} |")
    return "\n".join(lines) + "\n"


def draw(rows, path):
    """Draws the accuracy of each way as a bar."""
    groups = {
        f"{way.strip('`')}\n{row['epochs']} epochs, {row['cpu_seconds']:.0f} s": {
            "accuracy": 100 * row["accuracy"]
        }
        for way, row in rows.items()
    }
    bars(path, groups, "accuracy on test/, %", high=105)


def kept_rows(path, settings):
    """Returns the rows of an interrupted comparison with the same settings, or none."""
    if path is None or not path.exists():
        return {}
    result = json.loads(path.read_text(encoding="utf-8"))
    return result["ways"] if result.get("settings") == settings else {}


def main():
    parser = add_options(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    parser.add_argument("--photos", required=True, help="a folder of photographs")
    parser.add_argument("--weights", default="imagenet", help="as `weights.load` takes them")
    parser.add_argument("--model", default="resnet50v1")
    parser.add_argument("--size", type=int, default=160, help="side of the images")
    parser.add_argument("--epochs", type=int, help="of fine_tune; default: the recipe's")
    arguments = parser.parse_args()
    dataset = data.load(arguments.photos)
    print(dataset)
    settings = {name: getattr(arguments, name) for name in SETTINGS}
    rows = kept_rows(arguments.results, settings)
    for found in compare(arguments, dataset, rows):
        if arguments.results:
            keep(arguments.results, {"ways": found, "settings": settings, "dataset": str(dataset)})
    print(table(rows))
    if arguments.picture:
        draw(rows, arguments.picture)


if __name__ == "__main__":
    main()
