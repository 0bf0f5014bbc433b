"""Fine-tuning with the frozen layers computed once, against the same schedule without.

    python tests/benchmarks/fine_tuning.py --weights resnet50_imagenet.h5 --photos photos/
    python tests/benchmarks/fine_tuning.py ... --size 96 --images 400 --seeds 3

`photos/` holds `train/CLASS/...` and `test/CLASS/...`, of other persons. Both ways train by the
recipe `fine_tune` on the same pictures, in the same epochs and at the same rates; one keeps what
the frozen layers make of four augmented versions of each picture (`versions=4`), the other computes
it in each step (`versions=0`). First the head alone, then `--freeze stage3`, the head's epochs
included. They take turns, seed by seed. A ratio compares the processor's time, which other
programs' work disturbs less, and the elapsed time; both hold everything from the call of
`training.fit` to its end, the tracing of steps too. The accuracy is that of the whole model in
float32 on the test pictures, after the last phase.
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import keras
from _kept import RESULTS, keep

import keras_residual
from keras_residual import data, training

WAYS = {"kept": 4, "computed in each step": 0}


def dataset_of(photos, images):
    """Returns the photographs, with so many to train on, every class in proportion."""
    dataset = data.load(photos)
    share = images / len(dataset.train)
    if share >= 1:
        return dataset
    return dataclasses.replace(dataset, train=dataset.train.hold_out(share)[1])


def train(dataset, arguments, seed, epochs, versions, freeze):
    """Returns the seconds of the processor and of the clock, and the accuracy."""
    keras.utils.set_random_seed(seed)
    network = keras_residual.models.pretrained_classifier(
        arguments.model, arguments.weights, dataset.num_classes, (arguments.size,) * 2 + (3,)
    )
    recipe = dataclasses.replace(training.recipes["fine_tune"], versions=versions)
    with tempfile.TemporaryDirectory() as folder:
        clock, processor = time.perf_counter(), time.process_time()
        training.fit(
            network, dataset, recipe, folder,
            epochs=epochs, freeze=freeze, seed=seed, verbose=0, checkpoint_seconds=1e6,
        )  # fmt: skip
        spent = time.process_time() - processor, time.perf_counter() - clock
    batches = data.pipeline(
        dataset.test, image_size=arguments.size, augmentation="photo", test_crop=1.0
    )
    network.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
    return *spent, network.evaluate(batches, verbose=0, return_dict=True)["accuracy"]


def compare(dataset, arguments, epochs, freeze):
    """Returns what each way takes and reaches, for each seed, and their ratios."""
    runs = {way: [] for way in WAYS}
    for seed in range(arguments.seeds):
        for way, versions in WAYS.items():
            found = train(dataset, arguments, seed, epochs, versions, freeze)
            runs[way].append(dict(zip(("cpu_seconds", "seconds", "accuracy"), found, strict=True)))
            print(f"{way}, seed {seed}, {epochs} epochs, freeze={freeze}: {runs[way][-1]}")
    kept, anew = runs.values()
    times = {
        name: statistics.median(b[name] / a[name] for a, b in zip(kept, anew, strict=True))
        for name in ("cpu_seconds", "seconds")
    }
    accuracy = {way: statistics.mean(run["accuracy"] for run in made) for way, made in runs.items()}
    print(f"{times['cpu_seconds']:.1f} times as fast; accuracy {accuracy}")
    return {"epochs": epochs, "runs": runs, "times_as_fast": times, "mean_accuracy": accuracy}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--photos", required=True, type=Path)
    parser.add_argument("--model", default="resnet50v1")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--phases", nargs="+", default=["head", "stage3"])
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    dataset = dataset_of(arguments.photos, arguments.images)
    print(dataset)
    recipe, results = training.recipes["fine_tune"], {}
    if "head" in arguments.phases:
        results["head"] = compare(dataset, arguments, recipe.head_epochs, None)
    if "stage3" in arguments.phases:
        results["freeze stage3"] = compare(dataset, arguments, recipe.epochs, "stage3")
    keep(arguments.output, f"fine_tuning-{arguments.size}", dataset=str(dataset), **results)


if __name__ == "__main__":
    main()
