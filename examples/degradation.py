"""Degradation: deeper plain networks train worse, deeper residual networks do not.

    python examples/degradation.py

Plain and residual networks of growing depth are trained with the same recipe, after He et al. 2015,
figure 6. With the digits it takes five minutes on 2 cores (`--dataset cifar10` uses CIFAR-10 if you
have it) and prints:

      8 layers, plain    training error  0.00%, held out  0.56%
      8 layers, residual training error  0.00%, held out  0.56%
     20 layers, plain    training error  0.14%, held out  1.11%
     20 layers, residual training error  0.00%, held out  1.11%
     56 layers, plain    training error 61.43%, held out 58.06%
     56 layers, residual training error  2.77%, held out  3.33%

`runs/degradation-digits.png` shows the curves. The following commands repeat the paper's experiment
on a machine with a GPU, one network per command; an interrupted command can be repeated:

    export KERAS_BACKEND=jax
    for depth in 20 56 110; do for kind in plain residual; do
        python examples/degradation.py --dataset cifar10 --recipe he2015 --epochs 164 \\
            --depths $depth --kinds $kind
    done; done

Then the same command with all depths draws all curves without further training:

    python examples/degradation.py --dataset cifar10 --recipe he2015 --epochs 164 --depths 20 56 110
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import keras_residual
from keras_residual import data, training

SHORT = training.Recipe(
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=1e-4,
    batch_size=64,
    warmup=0.1,
    augmentation="none",
)
KINDS = {"plain": "none", "residual": "pad"}


def train(depth, shortcut, images, epochs=12, output=None, seed=0, recipe=SHORT):
    """Returns the history of one network of He et al.'s for CIFAR."""
    keras.utils.set_random_seed(seed)
    network = keras_residual.ResNet(
        "basic",
        ((depth - 2) // 6,) * 3,
        (16, 32, 64),
        stem="conv3",
        stem_width=16,
        shortcut=shortcut,
        input_shape=images.image_shape,
        classes=images.num_classes,
        name=f"layers{depth}_{shortcut}",
        execution="scanned" if depth > 60 else "unrolled",
    )
    return training.fit(network, images, recipe, output, epochs=epochs, seed=seed, verbose=0)


def draw(histories, path):
    """Draws training error in solid and held-out error in dotted lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = dict(zip(KINDS, figure.subplots(1, 2, sharey=True), strict=True))
    colors = ("#2f6db5", "#3a8f4d", "#e07b22", "#c0392b")
    depths = list(dict.fromkeys(depth for _, depth in histories))
    for (kind, depth), history in histories.items():
        color, epochs = colors[depths.index(depth)], np.arange(1, len(history["loss"]) + 1)
        error = 1 - np.array(history["accuracy"])
        panels[kind].plot(epochs, error, color=color, label=f"{depth} layers")
        panels[kind].plot(epochs, 1 - np.array(history["val_accuracy"]), ":", color=color)
    for kind, axes in panels.items():
        axes.set(title=f"{kind}: training error (dotted: held out)", xlabel="Epoch", ylim=(0, 1))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(alpha=0.3)
        if any(drawn == kind for drawn, _ in histories):
            axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--depths", type=int, nargs="+", default=[8, 20, 56])
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--recipe", choices=training.recipes, help="default: a short one")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    images, histories = data.load(arguments.dataset), {}
    recipe = training.recipes[arguments.recipe] if arguments.recipe else SHORT
    name = "-".join(["degradation", images.name, *filter(None, [arguments.recipe])])
    for depth in arguments.depths:
        for kind in arguments.kinds:
            output = arguments.output / f"{name}-{kind}-{depth}-seed{arguments.seed}"
            history = train(
                depth, KINDS[kind], images, arguments.epochs, output, arguments.seed, recipe
            )
            histories[kind, depth] = history
            print(
                f"{depth:3} layers, {kind:8} training error {1 - history['accuracy'][-1]:6.2%}, "
                f"held out {1 - history['val_accuracy'][-1]:6.2%}",
                flush=True,
            )
    draw(histories, arguments.output / f"{name}.png")


if __name__ == "__main__":
    main()
