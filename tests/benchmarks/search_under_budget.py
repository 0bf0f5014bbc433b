"""A search of some minutes against the hand-picked network of the same budget, over seeds.

    python tests/benchmarks/search_under_budget.py --minutes 15 --seeds 0 1 2

Both are trained anew on all training digits, for as many epochs, and tested on the 360 digits that
neither the search nor the training has seen. Killed, the same command goes on. It prints a table
and writes `results.json` to the output folder.
"""

import argparse
import json
import pathlib
import statistics

import keras

import keras_residual
from keras_residual import analysis, data, training, tuning

# ResNet-8 at a quarter of its width.
DEFAULT = {"widths": (4, 8, 16), "stem_width": 4}


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
    model = network_of(dataset, options)

    history = training.fit(
        model,
        dataset,
        recipe,
        output,
        epochs=epochs,
        seed=seed,
        settings={"options": json.loads(json.dumps(options))},
        verbose=0,
    )
    return history["val_accuracy"][-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--search-epochs", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/budget"))
    arguments = parser.parse_args()
    dataset = data.load("digits")
    shape, classes = dataset.image_shape, dataset.num_classes
    budget = analysis.cost("ResNet8", shape, classes=classes, **DEFAULT).trainable_parameters
    rows = []
    for seed in arguments.seeds:
        folder = arguments.output / f"seed{seed}"
        space = tuning.HyperResNet(shape, classes, "ResNet8", max_parameters=budget, stem="conv3")
        result = tuning.search(
            space,
            dataset,
            folder,
            max_trials=1000,
            max_minutes=arguments.minutes,
            epochs=arguments.search_epochs,
            seed=seed,
        )
        result.report()
        best = result.as_dict()
        common = (arguments.epochs, seed)
        found = test_accuracy(dataset, best["options"], result.recipe(), *common, folder / "found")
        default = test_accuracy(
            dataset, DEFAULT, training.recipes["quick"], *common, folder / "default"
        )
        row = {
            "seed": seed,
            "trials": len(result.rows),
            "failed": len(result.failed),
            "rejected": result.rejected,
            "search_seconds": round(sum(r.metrics.get("seconds", 0) for r in result.rows)),
            "validation_accuracy": result.best.accuracy,
            "parameters": result.best.spent.parameters,
            "macs": result.best.spent.macs,
            "network": result.hypermodel.in_words(best["options"]),
            "found": found,
            "default": default,
        }
        rows.append(row)
        print(
            f"seed {seed}: found {found:.2%}, default {default:.2%} ({row['trials']} trials in "
            f"{row['search_seconds']} s, {row['rejected']} points rejected): {row['network']}",
            flush=True,
        )
    content = {"budget": budget, **vars(arguments), "output": str(arguments.output), "rows": rows}
    (arguments.output / "results.json").write_text(json.dumps(content, indent=2) + "\n")
    means = [statistics.mean(row[name] for row in rows) for name in ("found", "default")]
    print(f"| network, at most {budget:,} parameters | test accuracy by seed | mean |")
    print("|---|---|---:|")
    for name, mean in zip(("found", "default"), means, strict=True):
        by_seed = ", ".join(f"{row[name]:.2%}" for row in rows)
        print(f"| {name} | {by_seed} | {mean:.2%} |")


if __name__ == "__main__":
    main()
