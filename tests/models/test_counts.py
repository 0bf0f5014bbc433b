"""Parameters and multiply–accumulates of every named model, from four independent sources.

`golden_counts.csv` states them; the package's cost analysis, plain arithmetic over the papers'
tables, torchvision's and timm's modules, and the weights of built models must agree with it.
"""

import csv
import math
from pathlib import Path

import keras
import pytest
from models.recount import NETWORKS

import keras_residual
from keras_residual.analysis import cost
from keras_residual.models.registry import find_variant

with Path(__file__).with_name("golden_counts.csv").open(encoding="utf-8") as table:
    ROWS = {row["name"]: row for row in csv.DictReader(table)}
BUILT_BY_DEFAULT = 3_000_000  # parameters


def stated(name):
    row = ROWS[name]
    return tuple(int(row[key]) for key in ("trainable_parameters", "parameters", "macs"))


def test_every_model_has_a_row_and_a_recount():
    assert list(ROWS) == list(NETWORKS)
    assert set(ROWS) == set(keras_residual.list_models())


@pytest.mark.parametrize("name", ROWS)
def test_cost_analysis(name):
    found = cost(name)
    assert (found.trainable_parameters, found.parameters, found.macs) == stated(name)


@pytest.mark.parametrize("name", ROWS)
def test_arithmetic_over_the_papers_table(name):
    assert NETWORKS[name]() == stated(name)


def count_module(torch, make):
    """Counts a torch module on the meta device, where nothing is allocated."""
    with torch.device("meta"):
        module = make().eval()
    macs = []

    def add(layer, inputs, outputs):
        positions = math.prod(outputs.shape[2:])
        macs.append(layer.weight.numel() * positions)

    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(add)
    module(torch.empty(1, 3, 224, 224, device="meta"))
    trainable = sum(weight.numel() for weight in module.parameters())
    statistics = sum(v.numel() for name, v in module.named_buffers() if "running_" in name)
    return trainable, trainable + statistics, sum(macs)


def rows_from(library):
    return [name for name, row in ROWS.items() if row["source"].startswith(library)]


@pytest.mark.parametrize("name", rows_from("torchvision "))
def test_torchvision(name, torch, torchvision):
    make = getattr(torchvision.models, ROWS[name]["source"].split()[1])
    assert count_module(torch, make) == stated(name)


@pytest.mark.parametrize("name", rows_from("timm "))
def test_timm(name, torch, timm):
    model = ROWS[name]["source"].split()[1]
    assert count_module(torch, lambda: timm.create_model(model)) == stated(name)


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
