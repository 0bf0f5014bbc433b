"""File sizes and latencies of real LiteRT files against what a budget says of them."""

import functools
import json
import math

import keras
import keras_tuner
import numpy as np
import pytest
from toy import ToySpace, search

from keras_residual import export, tuning
from keras_residual.tuning.latency import Latencies

POINTS = {
    "resnet8": (tuning.HyperResNet((8, 8, 1), 10, "ResNet8"), {}),
    "narrow": (
        tuning.HyperResNet((8, 8, 1), 10, "ResNet8"),
        {"width1": 4, "width2": 8, "width3": 16, "stem_width": 4, "activation_order": "pre"},
    ),
    "groups": (
        tuning.HyperResNet((8, 8, 1), 10, "ResNet8"),
        {"block": "bottleneck", "cardinality": 4, "base_width": 32, "se_ratio": 0.25},
    ),
    "dense": (
        tuning.HyperDenseNet((8, 8, 1), 10),
        {"depth1": 4, "depth2": 4, "depth3": 4},
    ),
    "lstm": (
        tuning.HyperResidualLSTM((24, 2), 3),
        {"num_layers": 4, "units": 64},
    ),
    "narrow lstm": (
        tuning.HyperResidualLSTM((24, 2), 3),
        {"num_layers": 3, "units": 32, "bidirectional_bottom": True, "pooling": "avg"},
    ),
    "words": (
        tuning.HyperResidualLSTM((24,), 3, 100),
        {"num_layers": 2, "units": 32, "embedding_size": 32},
    ),
    "series": (
        tuning.HyperResNet1D((96, 1), 2),
        {"width1": 16, "width2": 32, "width3": 32},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTS)
def test_no_file_is_larger_than_its_estimate(name, tmp_path):
    space, chosen = POINTS[name]
    values = space.values(chosen)
    model = space.network(space.options(values))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        # Equal weights would be stored once.
        noise = 0.1 * rng.normal(size=weight.shape)
        weight.assign(noise + weight.path.endswith(("gamma", "variance")))
    data = rng.random((8, *model.input_shape[1:]), np.float32)
    if len(model.input_shape) == 2:
        data = rng.integers(1, 100, data.shape)
    (row,) = export.export(model, tmp_path, ("litert",), space.quantization, data).rows
    assert row.bytes <= space.cost(values).file_size <= 1.15 * row.bytes


def test_latencies_are_measured_once_an_architecture(tmp_path, monkeypatch):
    measured = []

    def measure(model, quantization):
        measured.append(model.count_params())
        return 0.5 * len(measured)

    monkeypatch.setattr("keras_residual.tuning.latency.measured", measure)
    path = tmp_path / "latency.json"
    inputs = keras.Input((1,))
    for units in (1, 2, 1):
        make = functools.partial(keras.Sequential, [inputs, keras.layers.Dense(units)])
        Latencies(path).of(f"{units}", make)
    assert measured == [2, 4]
    assert json.loads(path.read_text()) == {"1": 0.5, "2": 1.0}
    path.write_text("{")
    Latencies(path).of("1", make)
    assert measured == [2, 4, 2]


def test_points_that_are_too_slow_are_rejected(monkeypatch):
    """A network is timed only if it is within all other bounds."""
    timed = []

    def measure(model, quantization):
        timed.append(model.count_params())
        return model.count_params() / 1000

    monkeypatch.setattr("keras_residual.tuning.latency.measured", measure)
    space = tuning.HyperResNet(
        (8, 8, 1), 10, "ResNet8", max_latency_ms=10, max_parameters=50_000, block="basic", depth=1
    )
    small = {"width1": 4, "width2": 8, "width3": 16, "stem_width": 4}
    assert space.objection(small) is None
    reason = space.objection({"width1": 16, "width2": 16, "width3": 48})
    assert "ms an example by LiteRT exceed max_latency_ms=10" in reason
    assert "max_parameters" in space.objection({})
    assert len(timed) == 3  # the smallest network, when the space was made
    assert space.cost(small).latency_ms == pytest.approx(timed[1] / 1000)


def test_hopelessly_slow_points_are_not_timed(monkeypatch):
    """Those timed so far, of a quarter of the size, would all take too long for as much."""
    timed = []

    def measure(model, quantization):
        timed.append(model.count_params())
        return latency

    monkeypatch.setattr("keras_residual.tuning.latency.measured", measure)
    latency = 1.0
    space = tuning.HyperResNet((8, 8, 1), 10, "ResNet8", max_latency_ms=1.9)
    latency = 2.0
    space.latencies.known.clear()
    timed.clear()

    def objection(width):
        return space.objection(dict.fromkeys(("stem_width", "width1", "width2", "width3"), width))

    assert "2 ms an example by LiteRT exceed" in objection(8)
    # Sixteen times the operations: much smaller networks do not tell how fast it is.
    assert "2 ms an example by LiteRT exceed" in objection(32)
    assert len(timed) == 2
    assert objection(64).startswith("some 8 ms an example by LiteRT exceed max_latency_ms=1.9")
    assert len(timed) == 2
    # What a file of another version knows is left alone, and no network is rejected for it.
    space.latencies.known = {"unknown": 1e-3, '{"depths": "all"}': 1e-3}
    assert objection(64).startswith("2 ms an example by LiteRT exceed")
    assert len(timed) == 3


@pytest.mark.long
def test_blocks_that_start_as_the_identity_can_be_timed():
    """Their squeeze-and-excitation sees zeros, for which quantization has no scale."""
    space = tuning.HyperResNet(
        (8, 8, 1), 10, "ResNet8", max_latency_ms=1e6, se_ratio=0.25, width=8, depth=1
    )
    assert space.objection({}) is None
    assert 0 < space.cost({}).latency_ms < 1e3


def test_a_network_that_cannot_be_timed_is_a_failed_trial(tmp_path, monkeypatch):
    def measure(model, quantization):
        if model.count_params() > 100:
            raise export.ExportError("no file can be written")
        return 1.0

    monkeypatch.setattr("keras_residual.tuning.latency.measured", measure)
    space = ToySpace(layers=1, activation="relu")
    result = search(
        tmp_path, space, algorithm="grid", objective=("accuracy", "latency_ms"), max_trials=9
    )
    reasons = {row.reason for row in result.failed}
    assert len(result.completed) == 4 and reasons == {"ExportError: no file can be written"}
    assert all(row.cost is None for row in result.failed)
    result.report(pictures=False)
    assert "4 trials completed, 2 failed" in str(result)


def test_lstm_stacks_have_all_budgets(monkeypatch):
    timed = []

    def measure(model, quantization):
        timed.append(quantization)
        return model.count_params() / 1000

    monkeypatch.setattr("keras_residual.tuning.latency.measured", measure)
    space = tuning.HyperResidualLSTM((24, 2), 3, max_file_size=60_000, max_latency_ms=20)
    assert "bytes of int8 LiteRT (estimated) exceed max_file_size=60,000" in space.objection({})
    reason = space.objection({"num_layers": 4, "units": 32})
    assert "ms an example by LiteRT exceed max_latency_ms=20" in reason
    assert space.objection({"num_layers": 1, "units": 32}) is None
    assert set(timed) == {"dynamic"}
    with pytest.raises(ValueError, match="need a fixed number of steps"):
        tuning.HyperResidualLSTM((None, 2), 3, max_file_size=60_000)
    space = tuning.HyperResidualLSTM((None, 2), 3)
    with pytest.raises(ValueError, match="needs a fixed number of steps"):
        tuning.search(space, ([], []), objective=("accuracy", "latency_ms"))


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary_size", [None, 50])
def test_a_measured_latency_of_sequences_is_a_time(vocabulary_size):
    shape = (6, 2) if vocabulary_size is None else (6,)
    space = tuning.HyperResidualLSTM(shape, 3, vocabulary_size, units=8, max_latency_ms=1e6)
    assert 0 < space.cost({}).latency_ms < 1e3


@pytest.mark.slow
def test_a_measured_latency_is_a_time():
    space, chosen = POINTS["narrow"]
    space = tuning.HyperResNet((8, 8, 1), 10, "ResNet8", max_latency_ms=1e6, **chosen)
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    assert 0 < space.cost(hp).latency_ms < 1e3 and math.isfinite(space.cost(hp).latency_ms)
