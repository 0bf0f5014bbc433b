"""A search of some minutes against the hand-picked network of the same budget, over seeds.

    python tests/benchmarks/search_under_budget.py --algorithm random
    apt-get install dataset-fashion-mnist
    python tests/benchmarks/search_under_budget.py --dataset /usr/share/datasets/fashion-mnist \\
        --images 20000 --validation 0.5 --search-epochs 5 --epochs 8 --trainings 1
    python tests/benchmarks/search_under_budget.py --dataset /usr/share/datasets/fashion-mnist \\
        --widths 12 24 48 --budget 50000 --images 8000 --validation 0.25 --search-epochs 4 \\
        --train-images 10000 --epochs 8 --trainings 1 --minutes 25

The search trains on `--images` of the training images and compares networks on a share of them.
Then three networks are trained from scratch on all training images, for the same number of epochs,
and tested on the test images, which were not used before: the network found with its recipe; the
hand-picked network with the same recipe, which shows the effect of the network alone; and the
hand-picked network with the recipe that the search started from. The hand-picked network is
ResNet-8 with `--widths`, and its number of parameters is the budget unless `--budget` is given. An
interrupted command can be repeated. The table is printed, and kept as JSON in `--results`.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics

import keras
from _kept import RESULTS, keep

import keras_residual
from keras_residual import analysis, data, training, tuning

KINDS = {
    "found": "found",
    "default_found_recipe": "hand-picked, recipe as found",
    "default": "hand-picked, recipe `quick`",
}


def network_of(dataset, options):
    """The network as `keras-residual train` makes it: pixels are standardized inside."""
    mean, std = data.channel_statistics(dataset.train)
    images = keras.Input(dataset.image_shape, name="image")
    standardized = keras.layers.Normalization(
        mean=mean.tolist(), variance=(std**2).tolist(), name="standardize"
    )(images)
    return keras_residual.ResNet8(input_tensor=standardized, classes=dataset.num_classes, **options)


def test_accuracy(dataset, options, recipe, epochs, seed, output):
    """Trains on all training images and returns the accuracy on the test images."""
    keras.utils.set_random_seed(seed)
    history = training.fit(
        network_of(dataset, options),
        dataset,
        recipe,
        output,
        epochs=epochs,
        seed=seed,
        settings={"options": json.loads(json.dumps(options))},
        verbose=0,
    )
    return history["val_accuracy"][-1]


def hand_picked(arguments):
    """Returns the options of the hand-picked network."""
    return {"widths": arguments.widths, "stem_width": arguments.widths[0]}


def part_of(dataset, images):
    """Returns the dataset with some of its training images."""
    if images is None or images >= len(dataset.train):
        return dataset
    _, part = dataset.train.hold_out(images / len(dataset.train))
    return dataclasses.replace(dataset, train=part)


def searched(dataset, budget, seed, arguments, folder):
    space = tuning.HyperResNet(
        dataset.image_shape, dataset.num_classes, "ResNet8", max_parameters=budget, stem="conv3"
    )
    return tuning.search(
        space,
        part_of(dataset, arguments.images),
        folder,
        arguments.algorithm,
        max_trials=1000,
        max_minutes=arguments.minutes,
        epochs=arguments.search_epochs,
        validation=arguments.validation,
        seed=seed,
    )


def compared(dataset, budget, seed, arguments):
    """Searches with one seed and returns the result as JSON types."""
    folder = arguments.output / f"{dataset.name}-{arguments.algorithm}-{budget}-seed{seed}"
    kept = folder / "compared.json"
    if kept.exists():
        return json.loads(kept.read_text())
    result = searched(dataset, budget, seed, arguments, folder)
    result.report()
    best, quick = result.as_dict(), training.recipes["quick"]
    picked = hand_picked(arguments)
    candidates = {
        "found": (best["options"], result.recipe()),
        "default_found_recipe": (picked, result.recipe()),
        "default": (picked, quick),
    }
    whole = part_of(dataset, arguments.train_images)
    accuracies = {
        name: [
            test_accuracy(whole, *chosen, arguments.epochs, number, folder / f"{name}{number}")
            for number in range(arguments.trainings)
        ]
        for name, chosen in candidates.items()
    }
    first = next((row for row in result.completed if int(row.trial) == 0), None)
    row = {
        "seed": seed,
        "trials": len(result.completed),
        "failed": len(result.failed),
        "rejected": result.rejected,
        "search_seconds": round(sum(row.metrics.get("seconds", 0) for row in result.rows)),
        "validation": result.best.accuracy,
        "validation_of_first": first and first.accuracy,
        "parameters": result.best.cost.parameters,
        "macs": result.best.cost.macs,
        "network": result.hypermodel.in_words(best["options"]),
        "recipe": best["recipe"],
        "test": accuracies,
    }
    kept.write_text(json.dumps(row, indent=2) + "\n")
    return row


def table(rows, content):
    heads = " | ".join(f"seed {row['seed']}" for row in rows)
    lines = [f"| | {heads} | mean |", f"|---|{'---:|' * (len(rows) + 1)}"]
    for name, title in KINDS.items():
        means = [statistics.mean(row["test"][name]) for row in rows]
        cells = " | ".join(f"{mean:.2%}" for mean in (*means, statistics.mean(means)))
        lines.append(f"| {title} | {cells} |")
    for name, title in (
        ("parameters", f"parameters (at most {content['budget']:,})"),
        ("macs", f"MACs (hand-picked {content['default_macs']:,})"),
        ("trials", "trials"),
        ("search_seconds", "seconds of search"),
    ):
        lines.append(f"| {title} | {' | '.join(f'{row[name]:,}' for row in rows)} | |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--images", type=int, help="training images for the search; default: all")
    parser.add_argument("--train-images", type=int, help="for the trainings after it; default: all")
    parser.add_argument("--widths", type=int, nargs=3, default=[4, 8, 16], help="picked by hand")
    parser.add_argument("--budget", type=int, help="default: the parameters of these widths")
    parser.add_argument("--validation", type=float, default=0.3)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--algorithm", default="evolution")
    parser.add_argument("--search-epochs", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--trainings", type=int, default=3, help="of each network at the end")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/budget"))
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    arguments = parser.parse_args()
    dataset = data.load(arguments.dataset)
    shape, classes = dataset.image_shape, dataset.num_classes
    picked = analysis.cost("ResNet8", shape, classes=classes, **hand_picked(arguments))
    rows, budget = [], arguments.budget or picked.trainable_parameters
    for seed in arguments.seeds:
        rows.append(compared(dataset, budget, seed, arguments))
        content = {"budget": budget, "default_macs": picked.macs, "rows": rows}
        name = f"search_under_budget-{dataset.name}-{arguments.algorithm}"
        name += f"-{budget}" if arguments.budget else ""
        path = keep(arguments.results, name, dataset=str(dataset), **content)
        print(f"seed {seed}: {rows[-1]['network']}", flush=True)
    print(table(rows, content))
    print(path)


if __name__ == "__main__":
    main()
