"""TensorFlow, JAX and PyTorch give the same numbers: each run compares its backend's with a file."""

import keras
import numpy as np
import pytest
from cases import FAMILIES
from contract.golden import FILE, LAYER_CASES, case_id, layer_numbers, model_numbers

# JAX compiles every shape that a model initializes, so it answers for the smaller families.
COMPILED = ("DenseNetBC100_12", "ResNet1D", "ResNet20", "ResNet1001V2")
MODEL_CASES = [c for c in FAMILIES if keras.backend.backend() != "jax" or c.name in COMPILED]


@pytest.fixture(scope="module")
def golden():
    with np.load(FILE) as stored:
        return dict(stored)


def compare(numbers, golden, case):
    expected = {k.split("/")[1]: v for k, v in golden.items() if k.startswith(case_id(case) + "/")}
    assert expected.keys() == numbers.keys()
    for key, value in numbers.items():
        np.testing.assert_allclose(value, expected[key], rtol=2e-4, atol=5e-5, err_msg=key)


@pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.id)
def test_layer(case, golden):
    compare(layer_numbers(case), golden, case)


@pytest.mark.parametrize("case", MODEL_CASES, ids=lambda case: case.name)
def test_model(case, golden):
    compare(model_numbers(case), golden, case)
