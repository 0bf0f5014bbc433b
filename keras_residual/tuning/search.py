"""A whole search in one call."""

import contextlib
import dataclasses
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

from keras_residual import _checks, data
from keras_residual._locks import FolderInUseError, claimed
from keras_residual._words import counted
from keras_residual.data.dividing import stratified
from keras_residual.tuning import distributed, folder, lineage, tuners
from keras_residual.tuning.errors import SearchError
from keras_residual.tuning.hypermodel import HyperNetwork
from keras_residual.tuning.latency import Latencies
from keras_residual.tuning.listener import Listener
from keras_residual.tuning.result import SearchResult, rows_of

ALGORITHMS = {
    "evolution": tuners.Evolution,
    "random": tuners.RandomSearch,
    "bayesian": tuners.BayesianOptimization,
    "hyperband": tuners.Hyperband,
    "grid": tuners.GridSearch,
}
COSTS = ("parameters", "macs", "file_size", "latency_ms")


def search(
    hypermodel: HyperNetwork,
    source: data.Dataset | tuple[np.ndarray, np.ndarray],
    output: str | os.PathLike[str] = "runs/search",
    algorithm: str = "evolution",
    max_trials: int = 20,
    epochs: int | None = None,
    *,
    objective: str | Sequence[str] = "accuracy",
    validation: float = 0.2,
    max_minutes: float | None = None,
    seed: int = 0,
    resume: bool = True,
    inherit: bool = False,
    data_parallel: bool = False,
    cluster: "distributed.Cluster | None" = None,
    listener: Listener | None = None,
) -> SearchResult:
    """Searches a space for the best network within its budget.

    A part of the training examples is held out to compare networks by; test examples are never
    looked at. Killed at any moment, the same call goes on and loses at most the trial in flight. A
    trial that fails is kept with its reason, and the search goes on.

    Args:
        hypermodel: The space, such as `HyperResNet(…)`.
        source: A `data.Dataset` of images, or `(x, y)`, examples and an integer label for each.
        output: The folder to write to.
        algorithm: `"evolution"`, which changes a little what has done well (Real et al., 2019) and
            begins with the default; or Keras Tuner's `"random"`, `"bayesian"`, `"hyperband"` or
            `"grid"`. Bayesian optimization begins with as many random trials as are a third of
            `max_trials`.
        max_trials: The most networks to train. With Hyperband, which trains in rounds, each
            network counts once a round.
        epochs: Epochs of each trial, the most with Hyperband. Defaults to the recipe's.
        objective: `"accuracy"`, or with it some of `"parameters"`, `"macs"`, `"file_size"` and
            `"latency_ms"`. With these the best is the one of the highest
            accuracy · ∏ (cost / cost of the default)^-0.07 (Tan et al., 2019), and the report draws
            the Pareto front.
        validation: Number in (0, 1), the share of the training examples to compare by.
        max_minutes: Positive number, the most minutes of all trials together; the last one is
            finished.
        seed: Integer, decides what is tried and how each trial is trained.
        resume: Whether to go on with what `output` holds. Otherwise it is removed.
        inherit: Whether evolution gives a changed network its parent's weights where that keeps the
            function; it then trains for half the epochs. At the end the best is trained from
            scratch, see `SearchResult.retrained`. For `HyperResNet` and `HyperResNet1D`.
        data_parallel: Whether each trial is trained on all devices of its process.
        cluster: What this process is in a search by several.
        listener: Hears of every trial and epoch.

    Returns:
        A `SearchResult`. That of a worker holds no trials; the chief's holds all.

    Raises:
        EmptySpaceError: If no network of the space fits into its budget.
        SearchError: If many trials in a row fail, another process writes to `output`, or the chief
            of a cluster is gone.
        ValueError: If an argument is none of the accepted, or `output` holds another search.

    Example:

    >>> digits = keras_residual.data.load("digits")  # doctest: +SKIP
    >>> space = HyperResNet((8, 8, 1), 10, max_parameters=20_000)  # doctest: +SKIP
    >>> print(search(space, digits, max_trials=30, epochs=10))  # doctest: +SKIP
    """
    tuner_class = ALGORITHMS[_checks.choice("algorithm", algorithm, tuple(ALGORITHMS))]
    _check_numbers(max_trials, seed, validation, max_minutes)
    epochs = hypermodel.base_recipe.epochs if epochs is None else _checks.integer("epochs", epochs)
    _check_inherit(inherit, algorithm, hypermodel)
    output = Path(output)
    tradeoff = _costs(objective, hypermodel.input_shape)
    hypermodel, fit_arguments = _prepared(hypermodel, source, validation, seed, tradeoff, output)
    settings = {
        **_description(hypermodel, source),
        "algorithm": algorithm,
        "epochs": epochs,
        "validation": validation,
        "seed": seed,
        "inherit": inherit,
    }
    # Workers may share a folder, and write no search.
    writes = cluster is None or cluster.role == "chief"
    try:
        with claimed(output) if writes else contextlib.nullcontext():
            lines = folder.prepare(output, settings, resume) if writes else []
            listener = listener or Listener()
            for line in lines:
                listener.message(line)
            tuner = tuner_class(
                hypermodel,
                keras_tuner.Objective("score", "max"),
                directory=output,
                project_name=folder.SEARCH,
                seed=seed,
                max_seconds=None if max_minutes is None else 60 * max_minutes,
                lease=cluster.lease if cluster and writes else None,
                search_id=folder.identity(settings) if cluster else "",
                identity=folder.identity(settings),
                listener=listener,
                distribution_strategy=distributed.strategy() if data_parallel else None,
                **_options(algorithm, max_trials, epochs, inherit),
            )
            fit_arguments |= {"epochs": epochs}
            distributed.run(cluster, tuner, verbose=0, **fit_arguments)
            return _result(tuner, output, epochs, settings, fit_arguments)
    except FolderInUseError as error:
        raise SearchError(str(error)) from error


def _result(tuner, output, epochs, settings, fit_arguments):
    """Returns the result of a finished search; its best is retrained from scratch if needed."""
    oracle, hypermodel = tuner.own_oracle, tuner.hypermodel
    if reason := oracle.all_failed():
        raise SearchError(
            f"Ten trials in a row failed; the last: {reason} See {output / folder.SEARCH}."
        )
    rows = rows_of(oracle, hypermodel)
    result = SearchResult(hypermodel, rows, output, epochs, oracle.rejected, settings)
    if not (result.completed and result.best.metrics.get("inherited")):
        return result
    seed = settings["seed"]
    metrics = lineage.retrained(hypermodel, result.best, output, **{"seed": seed, **fit_arguments})
    return dataclasses.replace(result, retrained=metrics)


def _check_inherit(inherit, algorithm, hypermodel):
    if _checks.boolean("inherit", inherit):
        if algorithm != "evolution":
            raise ValueError(
                '`inherit` needs algorithm="evolution", in which networks come from others. '
                f"Received: algorithm={algorithm!r}"
            )
        lineage.check_space(hypermodel)


def _prepared(hypermodel, source, validation, seed, tradeoff, output):
    """Returns a copy of the space for this search, and what its trials train on."""
    path = output / "latency.json"
    latencies = Latencies(path, hypermodel.latencies.known, hypermodel.quantization)
    hypermodel = hypermodel.prepared(tradeoff=tradeoff, latencies=latencies)
    if not isinstance(source, data.Dataset):
        return hypermodel, _array_arguments(hypermodel, source, validation)
    parts = _image_parts(hypermodel, source, validation)
    mean, std = data.channel_statistics(parts.train)
    standardization = (mean.tolist(), std.tolist())
    return hypermodel.prepared(standardization=standardization), {"x": parts, "seed": seed}


def _description(hypermodel, source):
    """Returns the settings of the search as JSON values."""
    return {
        "space": hypermodel.description(),
        "objective": ["accuracy", *hypermodel.tradeoff],
        "source": str(source) if isinstance(source, data.Dataset) else _arrays_in_words(*source),
    }


def _arrays_in_words(x, y):
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    return f"arrays of {x.shape}, checksum {zlib.crc32(y, zlib.crc32(x)):08x}"


def _check_numbers(max_trials, seed, validation, max_minutes):
    _checks.integer("max_trials", max_trials)
    _checks.integer("seed", seed, 0, 2**32 - 1)
    _checks.real("validation", validation, 0, 1, open_start=True, open_end=True)
    if max_minutes is not None:
        _checks.real("max_minutes", max_minutes, 0, math.inf, open_start=True, open_end=True)


def _costs(objective, input_shape) -> tuple[str, ...]:
    names = (objective,) if isinstance(objective, str) else tuple(objective)
    for name in names:
        _checks.choice("objective", name, ("accuracy", *COSTS))
    if "accuracy" not in names:
        raise ValueError(f"`objective` must hold 'accuracy'. Received: objective={objective!r}")
    if None in input_shape and {"file_size", "latency_ms"} & set(names):
        raise ValueError(
            "`objective` with 'file_size' or 'latency_ms' needs a fixed number of steps, as in "
            f"LiteRT. Received: objective={objective!r}, input_shape={input_shape}"
        )
    return tuple(name for name in names if name != "accuracy")


def _options(algorithm, max_trials, epochs, inherit) -> dict[str, Any]:
    if algorithm == "evolution":
        return {"max_trials": max_trials, "inherit": inherit}
    if algorithm == "hyperband":
        # Without end: the trials or the minutes are what bounds the search.
        return {"max_epochs": epochs, "max_trials": max_trials, "hyperband_iterations": 0}
    if algorithm == "bayesian":
        return {"max_trials": max_trials, "num_initial_points": max(3, math.ceil(max_trials / 3))}
    return {"max_trials": max_trials}


def _array_arguments(hypermodel, source, validation) -> dict[str, Any]:
    x, y = _arrays(hypermodel, source)
    rest, held_out = stratified(y, validation, 0)
    if not len(held_out):
        raise ValueError(
            "`validation` must leave an example in each of the two parts of "
            f"{counted(len(y), 'example')}. "
            f"Received: validation={validation!r}"
        )
    return {"x": x[rest], "y": y[rest], "validation_data": (x[held_out], y[held_out])}


def _arrays(hypermodel, source):
    """Returns `(x, y)` as arrays that fit the networks of the space."""
    try:
        x, y = (np.asarray(array) for array in source)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`source` must be a Dataset or a pair of arrays (x, y). "
            f"Received: {type(source).__name__}"
        ) from error
    expected, classes = hypermodel.input_shape, hypermodel.classes
    shape_fits = len(x.shape) == len(expected) + 1 and all(
        size in (None, received) for size, received in zip(expected, x.shape[1:], strict=True)
    )
    if not shape_fits:
        raise ValueError(
            f"`source` must hold examples of the space's input_shape, {expected}. "
            f"Received: x of shape {x.shape}"
        )
    if y.shape != x.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"`source` must hold an integer label for each of {counted(len(x), 'example')}. "
            f"Received: y of shape {y.shape}, {y.dtype}"
        )
    if not len(y) or not 0 <= y.min() <= y.max() < classes:
        labels = f"labels from {y.min()} to {y.max()}" if len(y) else "no example"
        raise ValueError(
            f"`source` must hold labels from 0 to {classes - 1}, the space's classes. "
            f"Received: {labels}"
        )
    return x, y


def _image_parts(hypermodel, dataset, validation) -> data.Dataset:
    """Returns the training examples in two parts, to train on and to compare by."""
    shape, classes = hypermodel.input_shape, hypermodel.classes
    if dataset.label_kind != "classes":
        raise ValueError(
            "`source` must have a class for each example: a search compares accuracies. "
            f"Received: label_kind={dataset.label_kind!r} in {dataset}"
        )
    fits = len(shape) == 3 and shape[-1] == dataset.image_shape[-1]
    if dataset.examples != "images":
        fits = tuple(shape) == dataset.image_shape
    if not fits or dataset.num_classes > classes:
        raise ValueError(
            "`source` must hold examples that the space takes, with "
            f"input_shape={shape} and classes={classes}. Received: {dataset}"
        )
    return dataset.hold_out(validation)
