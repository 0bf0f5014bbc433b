"""Recovers an interrupted search and replaces its damaged and missing files."""

import json
import math
import os
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from keras_residual._files import write_text
from keras_residual._words import counted, first_line
from keras_residual.tuning import curves, schema
from keras_residual.tuning.schema import count, digits

CURVE_IN_FILE = "curve"
"""Key of a trial's learning curve in its file."""
_ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)
_STATUSES = (*_ENDED, TrialStatus.RUNNING, TrialStatus.INVALID)
_NULL = type(None)
# Folders whose numbers exceed the number of trials by more than this do not belong to the search.
_MOST_BETWEEN = 1000
# An oracle's file that lists more than twice the trials there are, and ten, is damaged.
_MOST_ABSENT = 10
_MISSING, _DAMAGED = "was missing; its trial counts as failed", "was damaged"
_TRIAL = {
    "trial_id": digits,
    "hyperparameters": {"space": [dict], "values": {str: (str, float, bool)}},
    "metrics": {
        "metrics": {
            str: {"direction": (str, _NULL), "observations": [{"value": [float], "step": int}]}
        }
    },
    "score": (float, _NULL),
    "best_step": (int, _NULL),
    "status": str,
    "message": (str, _NULL),
}
_ORACLE = {
    "start_order": [digits],
    "end_order": [digits],
    "retry_queue": [digits],
    "run_times": {str: count},
    "seed_state": count,
    "tried_so_far": [str],
    "id_to_hash": {str: (str, _NULL)},
    "keras_residual": {"draws": count, "rejected": count, "starts": {str: count}},
}
_OF_SOME = {
    "position": count,
    "current_bracket": count,
    "current_iteration": count,
    "brackets": [{"bracket_num": count, "rounds": [[{"past_id": (str, _NULL), "id": digits}]]}],
}


def is_begun(folder: Path) -> bool:
    """Returns whether a folder holds a search, intact or damaged."""
    return (folder / "oracle.json").exists() or any(folder.glob("trial_*"))


def read_trials(folder: Path, oracle) -> tuple[dict[str, Trial], list[str]]:
    """Reads all trials; files that cannot be read are renamed and reported.

    A trial whose file is damaged or missing counts as failed, so that its number is not reused. If
    the oracle's own file is damaged or missing, the finished trials are kept and the algorithm
    starts over.

    Args:
        folder: Folder of the search.
        oracle: A new `BudgetedOracle`.

    Returns:
        The trials by id, and a message for each file that was replaced.
    """
    trials, lines = {}, []
    folders = sorted(folder.glob("trial_*"))
    for path in folders:
        trial_id = path.name.removeprefix("trial_")
        if trial_id.isascii() and trial_id.isdigit() and _is_near(trial_id, len(folders)):
            trials[trial_id] = _read_trial(path / "trial.json", trial_id, oracle, lines)
    state, empty = None, oracle.get_state()
    path = folder / "oracle.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        schema.check(state, {**_ORACLE, **{k: v for k, v in _OF_SOME.items() if k in empty}})
        # Earlier versions stored the curves of all trials here, the first ones stored none.
        schema.check(state["keras_residual"].get("curves", {}), {str: curves.STATE}, "curves")
        _check_plan(state, trials)
        oracle.check_state(state)
    except FileNotFoundError:
        state = None
        lines.append(
            f"{path} was missing; the search resumes after {counted(len(trials), 'trial')}"
        )
    except Exception as error:  # damaged files make the JSON reader raise many kinds of errors
        state = None
        lines.append(f"{path} {_DAMAGED} ({first_line(error, 200)}) and is now {_set_aside(path)}")
    for trial_id in _absent(trials, state):
        path = folder / f"trial_{trial_id}" / "trial.json"
        lines.append(f"{path} {_MISSING}")
        trials[trial_id] = _failed(path, trial_id, lines[-1])
    write_text(folder / "oracle.json", json.dumps(empty if state is None else state))
    return trials, lines


def _read_trial(path, trial_id, oracle, lines):
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        schema.check(state, _TRIAL)
        check_trial(state, trial_id, oracle)
        trial = Trial.from_state({**state, "hyperparameters": {"space": [], "values": {}}})
        # The space always comes from the oracle, not from the file.
        oracle.hypermodel.declare_hyperparameters(trial.hyperparameters)
        trial.hyperparameters.values = state["hyperparameters"]["values"]
        if CURVE_IN_FILE in state:
            schema.check(state[CURVE_IN_FILE], curves.STATE, CURVE_IN_FILE)
            oracle.curves.restore({trial_id: state[CURVE_IN_FILE]})
        return trial
    except FileNotFoundError:
        lines.append(f"{path} {_MISSING}")
    except Exception as error:  # damaged files make JSON and Keras Tuner raise many kinds of errors
        aside = _set_aside(path)
        lines.append(f"{path} {_DAMAGED} ({first_line(error, 200)}) and is now {aside}")
    return _failed(path, trial_id, lines[-1])


def check_trial(state: dict[str, Any], trial_id: str, oracle) -> None:
    """Checks what a trial's schema cannot: number, status, values and metrics.

    Raises:
        ValueError: If the trial does not belong to this search.
    """
    if state["trial_id"] != trial_id:
        raise ValueError(f"it is trial {state['trial_id']}")
    if state["status"] not in _STATUSES:
        raise ValueError(f"status is {state['status']!r}")
    values = state["hyperparameters"]["values"]
    if state["status"] != TrialStatus.FAILED or values:
        oracle.hypermodel.check_values(
            {name: value for name, value in values.items() if not name.startswith("tuner/")}
        )
    most = getattr(oracle, "max_epochs", math.inf)
    for name in ("tuner/epochs", "tuner/initial_epoch"):
        if not 0 <= values.get(name, 0) <= most:
            raise ValueError(f"{name} is {values[name]}")
    if state["status"] == TrialStatus.COMPLETED:
        _check_completed(state, oracle)


def _check_completed(state, oracle):
    """Checks that a completed trial has a finite score and every metric that the report shows."""
    # Tuners that are used without `search` may have any objective.
    names = (oracle.objective.name,)
    if names == ("score",):
        names = ("score", f"val_{oracle.hypermodel.measure.metric}", "seconds")
    metrics = state["metrics"]["metrics"]
    for name in names:
        if not metrics.get(name, {}).get("observations"):
            raise ValueError(f"the trial is completed and has no {name}")
    numbers = [number for metric in metrics.values() for number in _values(metric)]
    if state["score"] is None or not all(map(math.isfinite, [state["score"], *numbers])):
        raise ValueError("the score or a metric is not finite")


def _values(metric):
    for observation in metric["observations"]:
        if not observation["value"]:
            raise ValueError("an observation is empty")
        yield from observation["value"]


def is_lost(trial: Trial) -> bool:
    """Returns whether a trial failed only because its file was damaged or missing."""
    message = trial.message or ""
    return trial.status == TrialStatus.FAILED and (_MISSING in message or _DAMAGED in message)


def _is_near(trial_id, count):
    return len(trial_id) < 10 and int(trial_id) < count + _MOST_BETWEEN


def _ids(state):
    """Returns the ids of all trials that the oracle's state mentions."""
    rounds = [entries for bracket in state.get("brackets", ()) for entries in bracket["rounds"]]
    of_brackets = [entry["id"] for entries in rounds for entry in entries]
    before = [entry["past_id"] for entries in rounds for entry in entries if entry["past_id"]]
    return {
        *state["start_order"],
        *state["end_order"],
        *state["retry_queue"],
        *of_brackets,
        *before,
    }


def _check_plan(state, trials):
    ids = _ids(state)
    for trial_id in ids:
        schema.check(trial_id, digits, "the id of a trial")
    last = max((int(trial_id) for trial_id in ids if len(trial_id) < 10), default=-1)
    if any(len(trial_id) >= 10 for trial_id in ids) or last > 2 * len(trials) + _MOST_ABSENT:
        raise ValueError(f"it lists trial {max(ids, key=int)[:20]} of {len(trials)} trials")


def _absent(trials, state):
    """Yields the ids of trials whose files are missing, as trials are numbered without gaps."""
    ids = {*trials, *(_ids(state) if state is not None else ())}
    width = max(map(len, ids), default=1)
    known = {int(trial_id): trial_id for trial_id in sorted(ids)}
    present = {int(trial_id) for trial_id in trials}
    for number in range(max(known, default=-1) + 1):
        if number not in present:
            yield known.get(number, f"{number:0{width}d}")


def _failed(path, trial_id, reason):
    trial = Trial(keras_tuner.HyperParameters(), trial_id, TrialStatus.FAILED, reason)
    write_text(path, json.dumps(trial.get_state()))
    return trial


def _set_aside(path):
    """Renames a damaged file and returns its new name."""
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged{number}")
    os.replace(path, aside)
    return aside.name


def reconciled(state: dict[str, Any], trials: dict[str, Trial]) -> dict[str, Any]:
    """Returns the oracle's state, updated from the trials' files, which may be newer.

    The process may have been killed after it wrote a trial and before it wrote the oracle.
    """
    state = dict(state)
    known = sorted(trials, key=int)
    ended = [trial_id for trial_id in known if trials[trial_id].status in _ENDED]
    order = [trial_id for trial_id in dict.fromkeys(state["end_order"]) if trial_id in ended]
    state["end_order"] = order + [trial_id for trial_id in ended if trial_id not in order]
    started = [trial_id for trial_id in dict.fromkeys(state["start_order"]) if trial_id in trials]
    state["start_order"] = started + [trial_id for trial_id in known if trial_id not in started]
    waiting = [trial_id for trial_id in dict.fromkeys(state["retry_queue"]) if trial_id in trials]
    state["retry_queue"] = [trial_id for trial_id in waiting if trial_id not in ended]
    # Keras Tuner restarts the trials that are listed as ongoing.
    state["ongoing_trials"] = {
        f"killed{number}": trial_id
        for number, trial_id in enumerate(known)
        if trial_id not in ended and trial_id not in state["retry_queue"]
    }
    return state
