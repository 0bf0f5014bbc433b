"""A network of few weights, and its files in the formats of others."""

import numpy as np
import peers
import pytest

import keras_residual as kr
from keras_residual import weights


def network(classes=3, channels=3, depths=(4, 1), **options):
    shape = (32, 32, channels)
    options = {"stem": "conv3", "stem_width": 8, **options}
    return kr.ResNet("basic", depths, (8, 16), input_shape=shape, classes=classes, **options)


def write(model, path):
    """Writes a model's torch names in the format that the suffix says."""
    state = weights.to_torch(model)
    if path.suffix == ".safetensors":
        pytest.importorskip("safetensors.numpy", reason="safetensors is not installed").save_file(
            state, path
        )
    elif path.suffix == ".npz":
        np.savez(path, **state)
    else:
        torch = peers.torch()
        torch.save({name: torch.from_numpy(value) for name, value in state.items()}, path)
    return path
