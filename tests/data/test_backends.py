"""The same batches in other processes and under other backends; augmentation in compiled steps.

Run as a script, prints what `measured` gives under `KERAS_BACKEND`.
"""

import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from keras_residual import data
from keras_residual.data import augment

AUGMENTATIONS = ("shift", "cifar", "cifar_cutout")
FUNCTIONS = {name: getattr(augment, name) for name in AUGMENTATIONS}
FUNCTIONS["rand_augment"] = data.rand_augment


def digest_of_batches(augmentation, **options):
    arguments = {"training": True, "augmentation": augmentation, "seed": 3, "epoch": 2, **options}
    digest = hashlib.sha256()
    for images, labels in data.pipeline(data.load("digits").train, batch_size=500, **arguments):
        digest.update(images.numpy().tobytes() + labels.numpy().tobytes())
    return digest.hexdigest()


def compiled(function):
    """`function` as the backend compiles a training step."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    return function


def differing_pixels(name):
    """How many pixels a compiled augmentation puts elsewhere than the one in NumPy."""
    images = np.random.RandomState(0).randint(1, 256, (60, 16, 12, 3)).astype("uint8")
    expected = FUNCTIONS[name](images, 7, 4, np.arange(60))
    step = compiled(lambda images, epoch, index: FUNCTIONS[name](images, 7, epoch, index))
    arguments = [keras.ops.convert_to_tensor(x) for x in (images, np.int32(4), np.arange(60))]
    return int((keras.ops.convert_to_numpy(step(*arguments)) != expected).sum())


def losses():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss)
    batches = data.pipeline(data.load("digits").train, training=True, batch_size=512)
    return model.fit(batches, epochs=2, verbose=0, shuffle=False).history["loss"]


def measured():
    return {
        "backend": keras.backend.backend(),
        "batches": [
            *[digest_of_batches(name) for name in (*AUGMENTATIONS, "imagenet")],
            digest_of_batches("cifar", rand_augment=7.0, repeats=3),
        ],
        "differing": [differing_pixels(name) for name in FUNCTIONS],
        "losses": losses(),
    }


@pytest.fixture(scope="module")
def here():
    return measured()


def test_compiled_augmentation_equals_numpy(here):
    assert not any(here["differing"])


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_in_other_processes_see_the_same(here, backend):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONHASHSEED": "7"}
    command = [sys.executable, __file__]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    there = json.loads(done.stdout.splitlines()[-1])
    assert there["backend"] == backend
    assert there["batches"] == here["batches"]
    assert not any(there["differing"])
    assert there["losses"][1] < there["losses"][0]


if __name__ == "__main__":
    print(json.dumps(measured()))
