"""Saves weights for the trials that inherit them, and trains the best network from scratch."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_residual import data
from keras_residual._files import replacing, write_text
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.tuning import optimizer_state
from keras_residual.tuning.comparison import check_settings, check_sizes
from keras_residual.tuning.inheritance import NotKeptError, inherited, weights_of
from keras_residual.tuning.tried import of_space

RETRAINED = "retrained.json"


def check_space(hypermodel) -> None:
    """Checks that networks of a space can inherit weights.

    Raises:
        ValueError: If they are no residual networks.
    """
    if getattr(hypermodel, "family", None) is not ResNetArchitecture:
        raise ValueError(
            "`inherit` needs a space of residual networks, HyperResNet or HyperResNet1D. "
            f"Received: {type(hypermodel).__name__}"
        )


def may_inherit(hypermodel, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Returns whether a changed network may be able to compute the same function as its parent.

    It is judged by the options alone: whether it can is known only once the network is built.

    Args:
        hypermodel: The space of both networks.
        before: The parent's values of the knobs.
        after: The network's values of the knobs.
    """
    try:
        architectures = [_architecture(hypermodel, values) for values in (before, after)]
        check_settings(*architectures)
        check_sizes(*architectures)
    except NotKeptError:
        return False
    except ValueError:
        pass  # There is no such network; the search replaces it.
    return True


def keep(path: Path, model: keras.Model) -> None:
    """Saves a trained network's weights and optimizer state for trials that inherit them."""
    try:
        weights = weights_of(model)
    except NotKeptError:
        return  # `take_over` then reports the missing file.
    arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in weights.items()}
    arrays |= optimizer_state.state_of(model, weights)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


@dataclasses.dataclass(frozen=True)
class TakenOver:
    """Whether and how a network inherited its parent's weights.

    Attributes:
        reason: Why the network inherited nothing, or `None`.
        optimizer: A callback that restores the parent's optimizer state.
    """

    reason: str | None
    optimizer: optimizer_state.Continues | None = None


def take_over(
    hypermodel, path: Path, before: Mapping[str, Any], after: Mapping[str, Any], model: keras.Model
) -> TakenOver:
    """Initializes a network from its parent's weights, so that it computes the same function.

    Args:
        hypermodel: The space of both networks.
        path: The file of the parent's weights.
        before: The parent's values of the knobs.
        after: The network's values of the knobs.
        model: The network.

    Returns:
        A `TakenOver`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            old = dict(file)
    except (OSError, ValueError, EOFError) as error:
        kind = type(error).__name__
        return TakenOver(f"the weights of its parent cannot be read ({kind}: {path})")
    state = {name: old.pop(name) for name in list(old) if optimizer_state.is_state(name)}
    try:
        variables = weights_of(model)
        new = {name: keras.ops.convert_to_numpy(variable) for name, variable in variables.items()}
        architectures = [_architecture(hypermodel, values) for values in (before, after)]
        found = inherited(*architectures, old, new, hypermodel.input_shape[:-1])
    except NotKeptError as error:
        return TakenOver(str(error))
    for name, variable in variables.items():
        variable.assign(found.weights[name])
    return TakenOver(None, optimizer_state.Continues(state, variables, found.carried))


def _architecture(hypermodel, values):
    options = hypermodel.options(hypermodel.values(of_space(values)))
    options = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    return dataclasses.replace(hypermodel.base, **options)


def retrained(hypermodel, row, output: Path, seed: int, **fit_arguments) -> dict[str, Any]:
    """Trains the network of a trial from scratch and returns its metrics.

    The metrics are saved, so that a resumed search does not train the network again.

    Args:
        hypermodel: The space.
        row: The trial.
        output: The folder of the search.
        seed: Determines the initial weights.
        **fit_arguments: Arguments of `HyperNetwork.fit`, as for the trials.
    """
    path, identity = output / RETRAINED, {"trial": row.trial, "values": row.values}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if {name: kept[name] for name in identity} == identity:
            return {name: float(value) for name, value in kept["metrics"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass  # Missing or damaged: the network is trained, perhaps again.
    hp = keras_tuner.HyperParameters()
    hp.values = dict(row.values)
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if isinstance(fit_arguments["x"], data.Dataset):
        fit_arguments["seed"] = seed
    metrics = hypermodel.fit(hp, hypermodel.build(hp), verbose=0, **fit_arguments)
    metrics = {name: float(value) for name, value in metrics.items()}
    write_text(path, json.dumps({**identity, "metrics": metrics}, indent=2) + "\n")
    return metrics
