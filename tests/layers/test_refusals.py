"""Constructors of layers name the argument that they refuse."""

import inspect

import cases
import numpy as np
import pytest

VALUES = (
    None, -1, 0, 2.5, 2**31, True, float("nan"), float("inf"),
    "unheard of", "", [], {}, (1, 2, 3, 4), [None], np.zeros(2), object(),
)  # fmt: skip
CASES = [case for case in cases.LAYERS if not case.variant]


def arguments_of(layer_class):
    if layer_class.__name__ == "BatchNorm":
        layer_class = layer_class.__base__
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(layer_class).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind not in kinds]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_argument_is_named(case):
    refused = 0
    for name in arguments_of(case.layer_class):
        for value in VALUES:
            try:
                case.make(**{name: value})
            except (ValueError, TypeError) as error:
                refused += 1
                assert name in str(error), (name, value, str(error))
    assert refused or not arguments_of(case.layer_class)


def test_what_no_network_is_as_large_as_is_refused():
    refused = [
        name
        for case in CASES
        for name in ("filters", "growth_rate", "kernel_size", "width", "units")
        if name in arguments_of(case.layer_class) and _refuses(case, name, 2**31)
    ]
    assert {"filters", "growth_rate", "kernel_size", "width", "units"} == set(refused)


def _refuses(case, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must"):
        case.make(**{name: value})
    return True
