"""CIFAR-10: collects the results of trainings in `results/*.json` and prints them as a table.

    keras-residual train --model resnet20 --dataset cifar10 --recipe he2015 --output runs/resnet20
    python examples/cifar10.py runs/resnet20 --int8
    python examples/cifar10.py

An epoch of ResNet-8 takes 20 seconds on 2 idle cores (14 in mixed_bfloat16), one of ResNet-20 about
a minute. The last command prints the table of the documentation:

    | model | recipe, epochs | seeds | test accuracy | in int8 | published | minutes |
    |---|---|---|---:|---:|---:|---|
    | `ResNet8` | one_cycle, 200 | 0 | 89.03 % | 89.14 % | 87.19 % | 107 on 2 cores, x86_64 |

The dataset comes from TensorFlow Datasets, or from `cifar10.npz` in `~/.keras/datasets/` or
`$KERAS_RESIDUAL_DATA`. With `--int8` the network is also exported as an integer LiteRT file, whose
ranges come from 200 training images, and evaluated on all test images. `--ship DIR` writes the
weights in the form that `weights="cifar10"` reads: a safetensors file in float16 and its card.
"""

import argparse
import collections
import hashlib
import json
import statistics
from pathlib import Path

import keras
import numpy as np
import safetensors.numpy
from common.pictures import chart

from keras_residual import data, export, weights

RESULTS = Path(__file__).parent / "results"
# Recipe, its epochs and the published accuracy on the test images, %. ResNet-8: the reference of
# MLPerf Tiny in float32, measured on all 10,000.
PUBLISHED = {
    "ResNet8": ("one_cycle", 200, 87.19),
    "ResNet20": ("he2015", 164, 91.25),
    "ResNet32": ("he2015", 164, 92.49),
    "ResNet56": ("he2015", 164, 93.03),
    "ResNet110": ("he2015", 164, 93.57),
    "ResNet110V2": ("preactivation", 164, 93.63),
    "ResNet164V2": ("preactivation", 164, 94.54),
    "WideResNet40_4": ("wide_resnet", 200, 95.47),
    "DenseNetBC100_12": ("densenet", 300, 95.49),
    "ResNeXt29_8x64d": ("resnext", 300, 96.35),
}


def in_float32(model):
    """Returns the network in float32, whatever precision it was trained in."""
    text = model.to_json()
    for policy in ("mixed_bfloat16", "mixed_float16"):
        text = text.replace(f'"{policy}"', '"float32"')
    plain = keras.models.model_from_json(text)
    plain.set_weights(model.get_weights())
    return plain


def accuracy_in_int8(model, dataset, folder):
    """Returns the accuracy of the full-integer file on all test images."""
    samples = dataset.train.x[:: len(dataset.train) // 200] / np.float32(dataset.train.scale)
    report = export.export(in_float32(model), folder, ("litert",), "int8", samples)
    runner, test = export.load(report.rows[0].path), dataset.test
    outputs = [
        runner.predict(test.x[start : start + 500] / np.float32(test.scale))
        for start in range(0, len(test), 500)
    ]
    return float(np.mean(np.concatenate(outputs).argmax(-1) == test.y))


def keep(folder, int8=False, results=RESULTS):
    """Writes the result of the training in `folder` to `results` and returns the file."""
    result = json.loads((folder / "result.json").read_text())
    if int8:
        model = keras.saving.load_model(folder / "model.keras", compile=False)
        dataset = data.load(result["dataset"])
        result["int8_accuracy"] = accuracy_in_int8(model, dataset, folder)
    name = f"{result['model']}-{result['recipe']}-{result['epochs']}-seed{result['seed']}.json"
    results.mkdir(exist_ok=True)
    (results / name).write_text(json.dumps(result, indent=2) + "\n")
    return results / name


def ship(folder, target):
    """Writes weights and card of the training in `folder` to `target` and returns the card."""
    card = json.loads((folder / "result.json").read_text())
    model = in_float32(keras.saving.load_model(folder / "model.keras", compile=False))
    state = {
        name: value.astype(np.float16) if value.dtype == np.float32 else value
        for name, value in weights.to_torch(model).items()
    }
    file = target / f"{card['model']}-{card['dataset']}.safetensors"
    safetensors.numpy.save_file(state, file)
    weights.from_torch(model, state)
    test = data.load(card["dataset"]).test
    classes = model.predict(test.x / np.float32(test.scale), 500, verbose=0).argmax(-1)
    card |= {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "accuracy_of_this_file": float(np.mean(classes == test.y)),
    }
    file.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    return card


def table(results=RESULTS):
    """Returns the table of all results."""
    groups = collections.defaultdict(list)
    for path in sorted(results.glob("*.json")):
        result = json.loads(path.read_text())
        if "test_accuracy" in result:
            changes = tuple(result.get("set", ()))
            key = (result["model"].lower(), result["recipe"], result["epochs"], changes)
            groups[key].append(result)
    lines = [
        "| model | recipe, epochs | seeds | test accuracy | in int8 | published | minutes |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for name, (_, _, published) in PUBLISHED.items():
        done = {key: group for key, group in groups.items() if key[0] == name.lower()}
        lines += [_row(name, key, group, published) for key, group in sorted(done.items())]
    return "\n".join(lines) + "\n"


def _row(name, key, group, published):
    def mean(field):
        values = [100 * result[field] for result in group if field in result]
        return f"{statistics.mean(values):.2f} %" if values else ""

    seeds = ", ".join(str(result["seed"]) for result in group)
    minutes = round(statistics.mean(result["seconds"] for result in group) / 60)
    recipe = ", ".join((f"{key[1]}, {key[2]}", *key[3]))
    return (
        f"| `{name}` | {recipe} | {seeds} | {mean('test_accuracy')} "
        f"| {mean('int8_accuracy')} | {published:.2f} % | {minutes} on {group[0]['machine']} |"
    )


def draw(path, results=RESULTS):
    """Draws test accuracy against epochs, with the published accuracies as lines."""
    found = [json.loads(file.read_text()) for file in sorted(results.glob("*.json"))]
    found = [result for result in found if "test_accuracy" in result]
    names = [name for name in PUBLISHED if any(r["model"] == name.lower() for r in found)]

    def points(axes):
        for name, colour in zip(names, ("#e07b39", "#2f6f9f", "#6aa84f", "#8e63a6"), strict=False):
            ours = sorted(
                (result["epochs"], 100 * result["test_accuracy"])
                for result in found
                if result["model"] == name.lower()
            )
            axes.plot(*zip(*ours, strict=True), "o-", color=colour, label=name)
            published = PUBLISHED[name][-1]
            axes.axhline(published, ls="--", lw=1, color=colour, label=f"{name}, published")
        axes.set(xlabel="epochs", ylabel="test accuracy, %")
        axes.legend(loc="lower right", frameon=False)

    chart(path, points)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, help="outputs of keras-residual train")
    parser.add_argument("--int8", action="store_true", help="measure the integer file too")
    parser.add_argument("--ship", type=Path, metavar="DIR", help="write the weights there")
    parser.add_argument("--picture", type=Path, help="a PNG file to draw the table to")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        print(keep(folder, arguments.int8))
        if arguments.ship:
            print(ship(folder, arguments.ship))
    print(table(), end="")
    if arguments.picture:
        draw(arguments.picture)


if __name__ == "__main__":
    main()
