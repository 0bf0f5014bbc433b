"""Parameters and multiply–accumulates of every named model, from independent sources.

`golden_counts.csv` states them; the package's cost analysis, plain arithmetic over the papers'
tables, torchvision's and timm's modules, and the weights of built models must agree with it.
"""

import math

import keras
import pytest
from models import counting
from models.counting import stated
from models.recount import NETWORKS

import keras_residual
from keras_residual.analysis import cost
from keras_residual.models.registry import find_variant

ROWS = counting.golden()
BUILT_BY_DEFAULT = 3_000_000  # parameters
# Counted from a module of the library by default; `-m slow` counts all.
QUICK = ("torchvision resnet18", "torchvision densenet121", "timm resnet18d", "timm seresnet50")
QUICK = (*QUICK, *(f"torchvision {name}" for name in counting.VIDEO.values()))


def test_every_model_has_a_row_with_an_independent_source():
    assert list(ROWS) == keras_residual.list_models()
    assert not [
        name for name, row in ROWS.items() if not (counting.has_peer(row) or name in NETWORKS)
    ]
    assert set(NETWORKS) <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_cost_analysis(name):
    found = cost(name)
    assert (found.trainable_parameters, found.parameters, found.macs) == stated(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_arithmetic_over_the_papers_table(name):
    assert NETWORKS[name]() == stated(name)


def peers_to_count():
    for name, row in ROWS.items():
        if counting.has_peer(row):
            marks = [] if row["source"] in QUICK else [pytest.mark.slow]
            yield pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", list(peers_to_count()))
def test_module_of_the_library(name, timm):
    assert counting.count_peer(ROWS[name]["source"]) == stated(name)


def size_marks():
    for name, row in ROWS.items():
        big = int(row["parameters"]) > BUILT_BY_DEFAULT
        yield pytest.param(name, marks=[pytest.mark.slow] if big else [])


@pytest.mark.parametrize("name", list(size_marks()))
def test_built_weights(name):
    model = keras_residual.get_model(name)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert (trainable, model.count_params()) == stated(name)[:2]
    assert cost(model, find_variant(name).input_shape) == cost(name)


def test_keras_applications_agrees_on_the_version_1_networks():
    """Its convolutions have biases, which a batch normalization absorbs."""
    theirs = keras.applications.ResNet50(weights=None)
    biases = sum(
        weight.shape[0]
        for layer in theirs.layers
        if isinstance(layer, keras.layers.Conv2D)
        for weight in layer.weights
        if weight.name == "bias"
    )
    assert theirs.count_params() - biases == stated("ResNet50V1")[1]
    assert cost(theirs).macs == stated("ResNet50V1")[2]
