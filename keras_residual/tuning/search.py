"""`search`: runs a search, alone or as part of a cluster, and returns its result."""

import contextlib
import dataclasses
import gc
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_residual import _checks, data
from keras_residual._locks import FolderInUseError, claimed
from keras_residual.tuning import distributed, folder, lineage, sources, tuners
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
EARLY_STOPPING = ("median",)


def search(
    hypermodel: HyperNetwork,
    source: data.Dataset | tuple[np.ndarray, np.ndarray],
    output: str | os.PathLike[str] = "runs/search",
    algorithm: str = "evolution",
    max_trials: int = 20,
    epochs: int | None = None,
    *,
    objective: str | Sequence[str] | None = None,
    validation: float = 0.2,
    max_minutes: float | None = None,
    seed: int = 0,
    resume: bool = True,
    inherit: bool = False,
    early_stopping: str | None = None,
    tensorboard: bool = False,
    data_parallel: bool = False,
    cluster: "distributed.Cluster | None" = None,
    listener: Listener | None = None,
) -> SearchResult:
    """Searches a space for the best network within its budget.

    Networks are compared on held-out training examples; the test split is never used. After a
    crash or a kill, the same call resumes the search and loses at most the trial in progress. A
    failed trial is recorded with its reason, and the search continues.

    Args:
        hypermodel: The space, such as `HyperResNet(…)`.
        source: A `data.Dataset` of images or series, or a pair of arrays `(x, y)` with labels of
            the space's kind: integers, `(examples, labels)` of 0 and 1, or numbers.
        output: The folder to write to.
        algorithm: `"evolution"`, which starts from the default and mutates good networks (Real et
            al., 2019); or Keras Tuner's `"random"`, `"bayesian"`, `"hyperband"` or `"grid"`. The
            first third of `max_trials` in Bayesian optimization is random.
        max_trials: Most networks to train; the search ends earlier once the space is exhausted.
            Hyperband trains in rounds and counts a network once per round.
        epochs: Epochs of each trial; with Hyperband, of the longest. Defaults to the recipe's.
        objective: The metric (`"accuracy"`; `"binary_accuracy"` for several labels,
            `"mean_absolute_error"` for numbers), or a list of it and some of `"parameters"`,
            `"macs"`, `"file_size"` and `"latency_ms"`. With costs, the best network is the one
            with the highest accuracy · ∏ (cost / cost of the default)^-0.07 (Tan et al., 2019), and
            the report draws the Pareto front. Defaults to the metric alone.
        validation: Number in (0, 1), the share of the training examples to hold out.
        max_minutes: Positive number, most minutes of training over all trials; the trial in
            progress is finished.
        seed: Integer, determines the points tried and the training of each trial.
        resume: Whether to resume the search in `output`. Otherwise it is deleted.
        inherit: Whether a mutated network inherits its parent's weights where it can compute the
            same function; it is then trained for half the epochs, with the parent's optimizer
            state. Finally the best network is trained from scratch, see `SearchResult.retrained`.
            For evolution with `HyperResNet` and `HyperResNet1D`.
        early_stopping: `"median"` stops a trial whose best epoch so far is worse than the median,
            over the completed trials, of their mean up to the same epoch. `None` trains every trial
            to the end. Not for Hyperband, which stops trials itself.
        tensorboard: Whether each trial writes a log for TensorBoard, `tensorboard/NUMBER` in
            `output`.
        data_parallel: Whether each trial is trained on all devices of its process.
        cluster: The role of this process in a distributed search. Defaults to a search by one
            process.
        listener: A `Listener`, notified of trials, epochs and messages.

    Returns:
        A `SearchResult` with all trials; a worker's has none.

    Raises:
        EmptySpaceError: If no network of the space fits into its budget.
        SearchError: If ten trials in a row fail, another process writes to `output`, or the chief
            of a cluster cannot be reached.
        ValueError: If an argument is invalid, or `output` holds another search.

    Example:

    >>> digits = keras_residual.data.load("digits")  # doctest: +SKIP
    >>> space = HyperResNet((8, 8, 1), 10, max_parameters=20_000)  # doctest: +SKIP
    >>> print(search(space, digits, max_trials=30, epochs=10))  # doctest: +SKIP
    """
    tuner_class = ALGORITHMS[_checks.choice("algorithm", algorithm, tuple(ALGORITHMS))]
    _check_numbers(max_trials, seed, validation, max_minutes)
    epochs = hypermodel.base_recipe.epochs if epochs is None else _checks.integer("epochs", epochs)
    _check_inherit(inherit, algorithm, hypermodel)
    _check_early_stopping(early_stopping, algorithm)
    output = Path(output)
    tradeoff = _costs(objective, hypermodel)
    hypermodel, fit_arguments = _prepared(hypermodel, source, validation, seed, tradeoff, output)
    settings = {
        **_description(hypermodel, source),
        "algorithm": algorithm,
        "epochs": epochs,
        "validation": validation,
        "seed": seed,
        "inherit": inherit,
        "early_stopping": early_stopping,
    }
    # Several workers may be given one folder; only the chief writes the search.
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
                keep_models=algorithm == "hyperband",
                judged_epochs=epochs if early_stopping == "median" else None,
                distribution_strategy=distributed.strategy() if data_parallel else None,
                **_options(algorithm, max_trials, epochs, inherit),
            )
            fit_arguments |= {"epochs": epochs}
            logs = {"callbacks": [_tensorboard(output)]} if tensorboard else {}
            with _quick_garbage_collection():
                distributed.run(cluster, tuner, verbose=0, **fit_arguments, **logs)
            return _result(tuner, output, epochs, settings, fit_arguments)
    except FolderInUseError as error:
        raise SearchError(str(error)) from error


@contextlib.contextmanager
def _quick_garbage_collection():
    """Excludes the objects that exist before the trials from garbage collection between them.

    Keras Tuner collects twice per trial, which takes half a second with TensorFlow's modules.
    """
    frozen = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()


def _result(tuner, output, epochs, settings, fit_arguments):
    """Returns the result of a finished search, retraining its best network where weights were
    inherited."""
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
                '`inherit` needs algorithm="evolution", where each network has a parent. '
                f"Received: algorithm={algorithm!r}"
            )
        lineage.check_space(hypermodel)


def _check_early_stopping(early_stopping, algorithm):
    if early_stopping is None:
        return
    _checks.choice("early_stopping", early_stopping, EARLY_STOPPING)
    if algorithm == "hyperband":
        raise ValueError(
            '`early_stopping` must be None with algorithm="hyperband", which stops trials itself. '
            f"Received: early_stopping={early_stopping!r}"
        )


def _tensorboard(output):
    """Returns a callback; Keras Tuner appends the number of the trial to its folder."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError("`tensorboard` needs the TensorFlow backend. Received: tensorboard=True")
    return keras.callbacks.TensorBoard(str(output / "tensorboard"))


def _prepared(hypermodel, source, validation, seed, tradeoff, output):
    """Returns a copy of the space for this search, and the training data of its trials."""
    path = output / "latency.json"
    latencies = Latencies(path, hypermodel.latencies.known, hypermodel.quantization)
    hypermodel = hypermodel.prepared(tradeoff=tradeoff, latencies=latencies)
    if not isinstance(source, data.Dataset):
        return hypermodel, sources.of_arrays(hypermodel, source, validation)
    parts = sources.of_dataset(hypermodel, source, validation)
    mean, std = data.channel_statistics(parts.train)
    standardization = (mean.tolist(), std.tolist())
    return hypermodel.prepared(standardization=standardization), {"x": parts, "seed": seed}


def _description(hypermodel, source):
    """Returns the settings of the search as JSON values."""
    return {
        "space": hypermodel.description(),
        "objective": [hypermodel.measure.metric, *hypermodel.tradeoff],
        "source": sources.described(source),
    }


def _check_numbers(max_trials, seed, validation, max_minutes):
    _checks.integer("max_trials", max_trials)
    _checks.seed(seed)
    _checks.real("validation", validation, 0, 1, open_start=True, open_end=True)
    if max_minutes is not None:
        _checks.real("max_minutes", max_minutes, 0, math.inf, open_start=True, open_end=True)


def _costs(objective, hypermodel) -> tuple[str, ...]:
    metric, input_shape = hypermodel.measure.metric, hypermodel.input_shape
    if objective is None:
        return ()
    names = (objective,) if isinstance(objective, str) else tuple(objective)
    for name in names:
        _checks.choice("objective", name, (metric, *COSTS))
    if metric not in names:
        raise ValueError(f"`objective` must hold {metric!r}. Received: objective={objective!r}")
    if None in input_shape and {"file_size", "latency_ms"} & set(names):
        raise ValueError(
            "`objective` with 'file_size' or 'latency_ms' needs a fixed number of steps, as in "
            f"LiteRT. Received: objective={objective!r}, input_shape={input_shape}"
        )
    return tuple(name for name in names if name != metric)


def _options(algorithm, max_trials, epochs, inherit) -> dict[str, Any]:
    if algorithm == "evolution":
        return {"max_trials": max_trials, "inherit": inherit}
    if algorithm == "hyperband":
        # 0 iterations means no limit: `max_trials` or `max_minutes` ends the search.
        return {"max_epochs": epochs, "max_trials": max_trials, "hyperband_iterations": 0}
    if algorithm == "bayesian":
        return {"max_trials": max_trials, "num_initial_points": max(3, math.ceil(max_trials / 3))}
    return {"max_trials": max_trials}
