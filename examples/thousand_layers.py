"""A thousand layers: ResNet-1001 is trained on the embedded digits.

    python examples/thousand_layers.py

It takes three minutes on 2 cores. It prints the loss of every twentieth step and at the end:

    first 20 steps: mean loss 2.249
    last  20 steps: mean loss 0.709
"""

import argparse
import pathlib

import keras
from common.pictures import lines

import keras_residual
from keras_residual import training


class PrintLoss(keras.callbacks.Callback):
    """Keeps the loss of every step and prints every twentieth."""

    def on_train_begin(self, logs=None):
        self.losses = []
        self._before = 0.0

    def on_train_batch_end(self, batch, logs=None):
        # Keras reports the mean since the epoch's beginning; the step's own loss is the difference.
        total = logs["loss"] * (batch + 1)
        self.losses.append(float(total - self._before))
        self._before = total
        if batch % 20 == 0:
            print(f"step {batch:4d}   loss {self.losses[-1]:.3f}", flush=True)


def train(steps=200, batch_size=32, model="ResNet1001V2", **options):
    """Returns the loss of every step."""
    keras.utils.set_random_seed(0)
    dataset = keras_residual.data.load("digits")
    batches = keras_residual.data.pipeline(
        dataset.train, batch_size=batch_size, training=True, seed=0, repeat=True
    )
    network = keras_residual.get_model(model, input_shape=(8, 8, 1), classes=10, **options)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.01, steps, warmup_target=0.1, warmup_steps=steps // 10
    )
    network.compile(keras.optimizers.SGD(schedule, momentum=0.9), "sparse_categorical_crossentropy")
    training.build(network, *next(iter(batches)))
    log = PrintLoss()
    network.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[log])
    return log.losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ResNet1001V2")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--picture", type=pathlib.Path, help="a PNG file to draw")
    arguments = parser.parse_args()
    losses = train(arguments.steps, model=arguments.model)
    window = max(1, len(losses) // 10)
    print(f"first {window} steps: mean loss {sum(losses[:window]) / window:.3f}")
    print(f"last  {window} steps: mean loss {sum(losses[-window:]) / window:.3f}")
    if arguments.picture:
        lines(arguments.picture, {arguments.model: losses}, "step", "loss", marker="")


if __name__ == "__main__":
    main()
