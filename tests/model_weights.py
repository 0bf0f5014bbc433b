"""Random weights for whole models, and how tests compare them."""

import keras
import numpy as np


def randomize(model, seed=0):
    """Draws new values for every weight; scales and variances stay positive."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        values = generator.standard_normal(variable.shape)
        positive = variable.path.endswith(("variance", "gamma"))
        variable.assign(np.abs(values) + 0.1 if positive else values)
    return model


def all_weights(model):
    """Returns copies of all weights by path."""
    return {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.weights}


def assert_same_weights(first, second):
    """Asserts that two models, or a model and what `all_weights` gave, agree bit for bit."""
    first, second = (x if isinstance(x, dict) else all_weights(x) for x in (first, second))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


def outputs(model, images, **arguments):
    """Returns a model's outputs as an array, in any backend."""
    return keras.ops.convert_to_numpy(model(images, **arguments))
