"""A short training in a process of its own: `python one_training.py FOLDER [devices]`.

It has all the state that a restart must restore: dropout's random state, mixed images, averaged
weights, momentum. `devices` is `jax:2`, `mirrored:2`, `workers` or nothing; the losses of all
epochs are printed.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

FOLDER, DEVICES = Path(sys.argv[1]), (sys.argv[2] if len(sys.argv) > 2 else "")
KIND, _, COUNT = DEVICES.partition(":")
if KIND == "jax":
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={COUNT}"

import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_residual  # noqa: E402
from keras_residual import data, training  # noqa: E402


def scope():
    """The devices to train on."""
    if KIND == "jax":
        devices = keras.distribution.DataParallel()
        assert devices.num_model_replicas == int(COUNT)
        keras.distribution.set_distribution(devices)
    if KIND == "mirrored":
        import tensorflow as tf

        cpus = tf.config.list_physical_devices("CPU")
        virtual = [tf.config.LogicalDeviceConfiguration()] * int(COUNT)
        tf.config.set_logical_device_configuration(cpus[0], virtual)
        names = [f"/cpu:{number}" for number in range(int(COUNT))]
        return tf.distribute.MirroredStrategy(names).scope()
    if KIND == "workers":
        import tensorflow as tf

        return tf.distribute.MultiWorkerMirroredStrategy().scope()
    return contextlib.nullcontext()


def dataset():
    y = np.arange(64, dtype=np.int32) % 3
    noise = np.random.default_rng(0).integers(0, 64, (64, 8, 8, 1))
    x = (noise + 80 * y[:, None, None, None]).astype(np.uint8)
    return data.load((x, y, x[:16], y[:16]))


def main():
    strategy = scope()
    with strategy:
        keras.utils.set_random_seed(0)
        model = keras_residual.ResNet(
            "basic", (1, 1), (4, 8), stem="conv3", stem_width=4, input_shape=(8, 8, 1), classes=3,
            dropout_rate=0.0 if DEVICES else 0.2,
        )  # fmt: skip
    averaged = {} if DEVICES else {"ema": 0.9}
    recipe = training.Recipe(
        learning_rate=0.02, batch_size=16, mixup=0.2, cutmix=1.0, label_smoothing=0.1, **averaged
    )
    history = training.fit(
        model, dataset(), recipe, FOLDER, epochs=int(os.environ.get("EPOCHS", "4")),
        checkpoint_seconds=0, verbose=0,
    )  # fmt: skip
    print(json.dumps({name: history[name] for name in ("loss", "val_loss")}))


if __name__ == "__main__":
    main()
