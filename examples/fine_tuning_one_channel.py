"""Fine-tuning on images of one channel: from colour images to a few grey scans.

ResNet-8 first learns the digits 0 to 4 from scans tinted at random, with three channels. Its
weights are loaded into a network for grey images of the digits 5 to 9: the kernels of the first
convolution are summed over the colours, the classifier is new, and the stem stays frozen. With five
examples of each class the result is on average slightly better than from scratch, but seeds differ
by more than that.

    python examples/fine_tuning_one_channel.py

It takes a minute on 2 cores and prints the held-out accuracy on the digits 5 to 9, as the mean of
three seeds and for each seed:

      fine-tuned: 74.9% (78.2%, 69.8%, 76.5%)
    from scratch: 73.7% (74.3%, 77.1%, 69.8%)

For a network as large as ResNet18, `weights.load(network, "imagenet", skip_mismatched_top=True)`
takes the place of the first training.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np
from common.pictures import bars

import keras_residual
from keras_residual import data, training, weights


def digits(split, classes, per_class=None):
    """Returns grey images in [0, 1] of some classes, and their labels counted from 0."""
    chosen = np.flatnonzero(np.isin(split.y, classes))
    if per_class is not None:
        chosen = np.concatenate([np.flatnonzero(split.y == label)[:per_class] for label in classes])
    labels = np.searchsorted(classes, split.y[chosen]).astype(np.int32)
    return split.x[chosen] / np.float32(split.scale), labels


def tinted(images, seed):
    """Returns each grey image in a colour of its own."""
    return images * np.random.default_rng(seed).random((len(images), 1, 1, 3), np.float32)


def fit(network, train, test, epochs, batch_size, folder):
    """Returns the held-out accuracy after training."""
    steps = -(-len(train[0]) // batch_size)

    def batches(epoch):
        return data.pipeline(*train, batch_size=batch_size, training=True, epoch=epoch, repeat=True)

    history = training.fit(
        network,
        (batches, data.pipeline(*test)),
        training.Recipe("adamw", learning_rate=2e-3, weight_decay=0.02, warmup=0.2),
        folder,
        epochs=epochs,
        steps_per_epoch=steps,
        verbose=0,
    )
    return history["val_accuracy"][-1]


def pretrain(images, epochs, seed, folder):
    """Trains on coloured digits and returns the path of the weights."""
    keras.utils.set_random_seed(seed)
    train, test = (digits(split, range(5)) for split in (images.train, images.test))
    network = keras_residual.ResNet8(input_shape=(8, 8, 3), classes=5)
    coloured = [(tinted(part[0], seed), part[1]) for part in (train, test)]
    print(f"pretrained on colours: {fit(network, *coloured, epochs, 32, folder):.2%}")
    network.save_weights(folder / "colours.weights.h5")
    return folder / "colours.weights.h5"


def adapted(source, frozen):
    """Returns a network for grey images with the weights of one for colours."""
    network = keras_residual.ResNet8(input_shape=(8, 8, 1), classes=5)
    weights.load(network, source, skip_mismatched_top=True)
    weights.freeze(network, until=frozen)
    return network


def compare(per_class=5, pretrain_epochs=15, epochs=30, frozen="stem", seeds=3):
    """Returns the accuracies of fine-tuning and of training from scratch, one a seed."""
    images = data.load("digits")
    few = digits(images.train, range(5, 10), per_class)
    test = digits(images.test, range(5, 10))
    accuracies = {"fine-tuned": [], "from scratch": []}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source = pretrain(images, pretrain_epochs, seed, folder)
            networks = {
                "fine-tuned": adapted(source, frozen),
                "from scratch": keras_residual.ResNet8(input_shape=(8, 8, 1), classes=5),
            }
            for kind, network in networks.items():
                accuracies[kind].append(fit(network, few, test, epochs, 8, folder / kind))
    return accuracies


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=5, help="grey examples of each digit")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="a PNG file to draw")
    arguments = parser.parse_args()
    accuracies = compare(arguments.per_class, seeds=arguments.seeds)
    for kind, values in accuracies.items():
        each = ", ".join(f"{value:.1%}" for value in values)
        print(f"{kind:>12}: {np.mean(values):.1%} ({each})")
    if arguments.picture:
        each = {
            f"seed {seed}": {kind: 100 * values[seed] for kind, values in accuracies.items()}
            for seed in range(arguments.seeds)
        }
        mean = {kind: 100 * np.mean(values) for kind, values in accuracies.items()}
        bars(arguments.picture, {**each, "mean": mean}, "held-out accuracy, %")


if __name__ == "__main__":
    main()
