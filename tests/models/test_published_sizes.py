"""Sizes as papers round them, beside the exact counts of `recount.py`.

None of these papers was at hand when its figure was written down: they are quoted. Public
implementations were. The authors' script of FractalNet-20 is exactly as large, and so are
pytorchcv's Shake-Shake-26 2×32d and, but for its head, its RiR; its RoR-3-110 has 1,637,690.
"""

import pytest

from keras_residual import analysis

# Millions of parameters.
STATED = {
    "HighwayNet19": 2.3,  # Srivastava et al. 2015, table 2
    "RoR3_110": 1.7,  # Zhang et al. 2016, the table for CIFAR
    "ShakeShake26_2x32d": 2.9,
    "ShakeShake26_2x64d": 11.7,
    "ShakeShake26_2x96d": 26.2,
}
# Larsson et al. 2017, the table of depths on CIFAR-100, by the number of columns.
FRACTAL = {1: 0.3, 2: 0.8, 3: 2.1, 4: 4.8, 5: 10.2, 6: 21.1}


def millions(name, **options):
    return analysis.cost(name, **options).trainable_parameters / 1e6


# Trainable parameters of pytorchcv's networks as its table lists them.
COUNTED = {"ShakeShake26_2x32d": 2_923_162, "WideRiR18": 9_492_980}
# A normalization of the logits, where networks here have a bias.
HEADS = {"WideRiR18": 2 * 10 - 10}


@pytest.mark.parametrize("name", COUNTED)
def test_networks_are_as_large_as_implementations(name):
    found = analysis.cost(name).trainable_parameters
    assert found + HEADS.get(name, 0) == COUNTED[name]


@pytest.mark.parametrize("name", STATED)
def test_networks_are_as_large_as_stated(name):
    assert round(millions(name), 1) == STATED[name]


@pytest.mark.parametrize("columns", FRACTAL)
def test_fractal_networks_are_as_large_as_stated(columns):
    found = millions("FractalNet40", columns=columns, classes=100)
    assert abs(found - FRACTAL[columns]) < 0.05 + 1e-9
