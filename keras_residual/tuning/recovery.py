"""What a killed search left, brought into order; damaged files set aside."""

import json
import os
from pathlib import Path

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from keras_residual._files import write_text

_ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


def read_trials(folder: Path, empty_state: dict) -> tuple[dict[str, Trial], list[str]]:
    """Reads all trials; renames files that cannot be read, and says so of each in a line.

    The trial of a damaged file counts as failed. If the oracle's own file is damaged, the finished
    trials are kept and its plan begins anew.

    Args:
        folder: Where the search is kept.
        empty_state: The state of an oracle that has not begun.

    Returns:
        The trials by their numbers, and the lines.
    """
    trials, lines = {}, []
    for path in sorted(folder.glob("trial_*/trial.json")):
        try:
            trial = Trial.load(str(path))
        except Exception as error:  # whatever other bytes make JSON and Keras Tuner raise
            aside = _set_aside(path)
            reason = f"{path} was damaged ({_first_line(error)}) and is now {aside.name}"
            lines.append(reason)
            trial_id = path.parent.name.removeprefix("trial_")
            trial = Trial(keras_tuner.HyperParameters(), trial_id, TrialStatus.FAILED, reason)
            write_text(path, json.dumps(trial.get_state()))
        trials[trial.trial_id] = trial
    path = folder / "oracle.json"
    try:
        json.loads(path.read_text(encoding="utf-8"))["keras_residual"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if path.exists():
            aside = _set_aside(path)
            lines.append(f"{path} was damaged ({_first_line(error)}) and is now {aside.name}")
        write_text(path, json.dumps(empty_state))
    return trials, lines


def _set_aside(path):
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged{number}")
    os.replace(path, aside)
    return aside


def reconciled(state: dict, trials: dict[str, Trial]) -> dict:
    """Returns the oracle's state brought in line with the trials' files, which may be newer.

    A process may have been killed between writing a trial and writing the oracle.
    """
    state = dict(state)
    known = sorted(trials, key=int)
    ended = [trial_id for trial_id in known if trials[trial_id].status in _ENDED]
    order = [trial_id for trial_id in state["end_order"] if trial_id in ended]
    state["end_order"] = order + [trial_id for trial_id in ended if trial_id not in order]
    started = [trial_id for trial_id in state["start_order"] if trial_id in trials]
    state["start_order"] = started + [trial_id for trial_id in known if trial_id not in started]
    waiting = [trial_id for trial_id in state["retry_queue"] if trial_id in trials]
    state["retry_queue"] = [trial_id for trial_id in waiting if trial_id not in ended]
    # Keras Tuner runs again what is under way in the file.
    state["ongoing_trials"] = {
        f"killed{number}": trial_id
        for number, trial_id in enumerate(known)
        if trial_id not in ended and trial_id not in state["retry_queue"]
    }
    return state


def _first_line(error):
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
