"""TensorFlow, JAX and PyTorch give the same numbers: each is compared with one file."""

import keras
import numpy as np
import pytest
from cases import FAMILIES, MORE_FAMILIES, QUICK_TO_COMPILE
from contract.golden import FILE, LAYER_CASES, case_id, layer_numbers, model_numbers

MODEL_CASES = [
    case
    for case in (*FAMILIES, *MORE_FAMILIES)
    if keras.backend.backend() != "jax" or case.name in QUICK_TO_COMPILE
]


@pytest.fixture(scope="module")
def golden():
    with np.load(FILE) as stored:
        return dict(stored)


def compare(numbers, golden, case):
    expected = {k.split("/")[1]: v for k, v in golden.items() if k.startswith(case_id(case) + "/")}
    assert expected.keys() == numbers.keys()
    for key, value in numbers.items():
        # A gradient that is zero in exact arithmetic has rounding errors of the largest one's size.
        atol = 5e-5 * max(1.0, np.abs(expected[key]).max(initial=0))
        np.testing.assert_allclose(value, expected[key], rtol=2e-4, atol=atol, err_msg=key)


@pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.id)
def test_layer(case, golden):
    compare(layer_numbers(case), golden, case)


@pytest.mark.parametrize("case", MODEL_CASES, ids=lambda case: case.name)
def test_model(case, golden):
    compare(model_numbers(case), golden, case)
