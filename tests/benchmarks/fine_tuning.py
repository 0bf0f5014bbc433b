"""Fine-tuning with the outputs of frozen layers kept, against the same schedule without.

    python tests/benchmarks/fine_tuning.py speed --weights resnet50_imagenet.h5 --photos photos/
    python tests/benchmarks/fine_tuning.py accuracy --weights ... --photos photos/ --size 96

`photos/` holds `train/CLASS/...` and `test/CLASS/...`. `speed` trains a few epochs of each phase,
the head alone and then `--freeze stage3`, both with the frozen layers' outputs kept and with them
computed in each step. From the seconds an epoch takes (the first of a phase, which is traced, left
out) and those of the pass through the frozen layers follows what the recipe `fine_tune` takes: 40
epochs of the head, 5 with `stage4`, four augmented versions of each picture. The processor's time
counts, as other programs disturb it less; the elapsed time is there too.

`table` writes what was measured into the guide to fine-tuning.

`accuracy` trains both ways to their end, on a shorter schedule, and compares the accuracy of the
whole network in float32 on the test pictures, for each seed. Interrupted, the same command goes on
with the trainings that are missing.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import keras
from _kept import RESULTS, keep

import keras_residual
from keras_residual import data, training

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tables

GUIDE = tables.ROOT / "docs" / "guide" / "fine-tuning.md"

FINE_TUNE = training.recipes["fine_tune"]
EPOCHS = 3
ACCURACY = "fine_tuning-accuracy"
# The versions of each picture whose outputs are kept; 0 keeps none.
WAYS = {"kept": 4, "computed in each step": 0}


class Clock(keras.callbacks.Callback):
    """The seconds of the processor and of the clock: of each epoch, of each pass through layers."""

    def __init__(self):
        super().__init__()
        self.epochs, self.passes = [], []
        self._began = None

    def now(self):
        return time.process_time(), time.perf_counter()

    def on_frozen_images(self, done, total):
        if self._began is None:
            self._began, self._first = self.now(), done
        elif done == total:
            # Without the first batch, which is traced.
            share = total / (total - self._first)
            spent = zip(self._began, self.now(), strict=True)
            self.passes.append([share * (end - start) for start, end in spent])
            self._began = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = self.now()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append([b - a for a, b in zip(self._epoch, self.now(), strict=True)])


def dataset_of(photos, images):
    """Returns some of the photographs, every class in proportion."""
    dataset = data.load(photos)
    share = min(1.0, images / len(dataset.train))
    parts = {"train": dataset.train, "test": dataset.test}
    if share < 1:
        parts = {name: split.hold_out(share)[1] for name, split in parts.items()}
    return dataclasses.replace(dataset, **parts)


def train(arguments, dataset, seed, recipe, clock=None):
    """Returns the network after a training."""
    keras.utils.set_random_seed(seed)
    shape = (arguments.size, arguments.size, 3)
    network = keras_residual.models.pretrained_classifier(
        arguments.model, arguments.weights, dataset.num_classes, shape
    )
    with tempfile.TemporaryDirectory() as folder:
        training.fit(
            network, dataset, recipe, folder, epochs=recipe.epochs, freeze="stage3", seed=seed,
            verbose=0, checkpoint_seconds=1e6, callbacks=[clock] if clock else [],
        )  # fmt: skip
    return network


def speed(arguments, dataset):
    """Returns the seconds of each way's epochs, and what the recipe takes."""
    short = dataclasses.replace(
        FINE_TUNE, head_epochs=EPOCHS, epochs=2 * EPOCHS, restore_best=False
    )
    clocks = {}
    for way, versions in (("kept", 1), ("computed in each step", 0)):
        clocks[way] = Clock()
        recipe = dataclasses.replace(short, versions=versions)
        train(arguments, dataset, 0, recipe, clocks[way])
    found = {}
    for place, unit in enumerate(("cpu_seconds", "seconds")):
        kept, computed = (
            [
                statistics.median(epoch[place] for epoch in clock.epochs[start + 1 : stop])
                for start, stop in ((0, EPOCHS), (EPOCHS, 2 * EPOCHS))
            ]
            for clock in clocks.values()
        )
        passes = [one[place] for one in clocks["kept"].passes]
        found[unit] = totals(kept, computed, passes)
        print(unit, found[unit])
    return found


def totals(kept, computed, passes):
    """Returns what the recipe takes by the seconds of epochs and of passes, head first."""
    head, rest = FINE_TUNE.head_epochs, FINE_TUNE.epochs - FINE_TUNE.head_epochs
    versions = FINE_TUNE.versions
    with_kept = [versions * passes[0] + head * kept[0], versions * passes[1] + rest * kept[1]]
    without = [head * computed[0], rest * computed[1]]
    return {
        "epoch_kept": dict(zip(("head", "stage4"), kept, strict=True)),
        "epoch_computed": dict(zip(("head", "stage4"), computed, strict=True)),
        "pass_through_frozen": dict(zip(("head", "stage4"), passes, strict=True)),
        "head_times_as_fast": without[0] / with_kept[0],
        "freeze_stage3_times_as_fast": sum(without) / sum(with_kept),
    }


def accuracy(arguments, dataset):
    """Returns the accuracy of both ways for each seed."""
    short = dataclasses.replace(
        FINE_TUNE, head_epochs=arguments.head_epochs, epochs=arguments.head_epochs + arguments.rest
    )
    batches = data.pipeline(
        dataset.test, image_size=arguments.size, augmentation="photo", test_crop=1.0
    )
    found = kept_accuracies(arguments, dataset)
    for seed in range(arguments.seeds):
        for way, versions in WAYS.items():
            if seed < len(found[way]):
                continue
            recipe = dataclasses.replace(short, versions=versions)
            network = train(arguments, dataset, seed, recipe)
            network.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
            result = network.evaluate(batches, verbose=0, return_dict=True)
            found[way].append(result["accuracy"])
            print(f"{way}, seed {seed}: {result['accuracy']:.2%}", flush=True)
            keep(arguments.output, ACCURACY, **settings_of(arguments, dataset), **found)
    return {**settings_of(arguments, dataset), **found}


def settings_of(arguments, dataset):
    """Returns what the accuracies depend on."""
    settings = {name: getattr(arguments, name) for name in ("model", "size", "head_epochs", "rest")}
    return {**settings, "dataset": str(dataset)}


def kept_accuracies(arguments, dataset):
    """Returns the accuracies that an interrupted run with the same settings has kept."""
    path = arguments.output / f"{ACCURACY}.json"
    if path.exists():
        result = json.loads(path.read_text())
        settings = settings_of(arguments, dataset)
        if settings == {name: result.get(name) for name in settings}:
            return {way: result[way] for way in WAYS}
    return {way: [] for way in WAYS}


def table(folder=RESULTS):
    """Returns the measured figures as a table of Markdown."""
    times = json.loads((folder / "fine_tuning-speed.json").read_text())["cpu_seconds"]
    rows = [
        "| | outputs kept | computed in each step | whole phase |",
        "|---|---:|---:|---:|",
    ]
    for part, words, total in (
        ("head", "epoch of the head alone, s", "head_times_as_fast"),
        ("stage4", "epoch with `--freeze stage3`, s", "freeze_stage3_times_as_fast"),
    ):
        kept, computed = times["epoch_kept"][part], times["epoch_computed"][part]
        rows.append(f"| {words} | {kept:.2f} | {computed:.1f} | {times[total]:.1f} × as fast |")
    kept = folder / f"{ACCURACY}.json"
    if kept.exists():
        found = json.loads(kept.read_text())
        means = " | ".join(f"{statistics.mean(found[way]):.1%}" for way in WAYS)
        photographs = found["dataset"].split(": ")[1].split(" training")[0]
        schedule = f"{photographs} photographs of {found['size']}²"
        rows.append(f"| accuracy, mean of {len(found['kept'])} seeds, {schedule} | {means} | |")
    return "\n".join(rows) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["speed", "accuracy", "table"])
    parser.add_argument("--weights")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--model", default="resnet50v1")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--head-epochs", type=int, default=10)
    parser.add_argument("--rest", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.what == "table":
        tables.write(GUIDE, "fine-tuning", table(arguments.output))
        return
    if not (arguments.weights and arguments.photos):
        parser.error("--weights and --photos are required")
    dataset = dataset_of(arguments.photos, arguments.images)
    print(dataset)
    results = {"speed": speed, "accuracy": accuracy}[arguments.what](arguments, dataset)
    keep(arguments.output, f"fine_tuning-{arguments.what}", **{"dataset": str(dataset), **results})


if __name__ == "__main__":
    main()
