"""Base of the oracles: budget, time limit, leases of workers, and files that survive crashes."""

import collections
import contextlib
import itertools
import json
import math
import time
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from keras_residual._files import write_text
from keras_residual.tuning import recovery
from keras_residual.tuning.curves import CURVE, Curves
from keras_residual.tuning.hypermodel import HyperNetwork
from keras_residual.tuning.proposals import Proposals
from keras_residual.tuning.tried import ENDED, Tried

FAILURE = "tuner/failure"
"""Key in a trial's values of the reason why it failed; Keras Tuner does not send messages."""
REFUSED = "tuner/refused"
"""Key in a trial's values of the reason why a worker is refused."""
# The entries of an oracle's state that change during a search.
_PROGRESS = {
    "ongoing_trials",
    "start_order",
    "end_order",
    "run_times",
    "retry_queue",
    "seed_state",
    "tried_so_far",
    "id_to_hash",
    "brackets",
    "current_bracket",
    "current_iteration",
}
PARENT = "tuner/parent"
"""Key in a trial's values of the trial whose weights the network may inherit."""
_STARTS = 3
_FAILURES = 10


class BudgetedOracle(Proposals):
    """Mixin for the oracles of Keras Tuner, listed before them in the bases.

    - The first trial is the default of the space, made narrower if it exceeds the budget.
    - A point that the hypermodel objects to is replaced before it becomes a trial.
    - Files are written atomically; damaged ones are renamed and reported when they are read.
    - A trial during which the process has died three times counts as failed.
    - With a lease, the trial of a worker that sends no heartbeat for that long goes to another.
    - The search ends after `max_seconds` of training, or ten failures in a row.

    Args:
        hypermodel: A `HyperNetwork`.
        folder: Folder of the search.
        max_seconds: Most seconds of training, over all trials; `None` for no limit.
        lease: Seconds without a heartbeat after which a worker loses its trial; `None` in a search
            by one process.
        search_id: Identifier of the search, which workers append to their names; empty in a search
            by one process.
        identity: Identifier of the search in its files.
        judged_epochs: Epochs of a trial, if trials are stopped by the median rule, or `None`.
        **options: Those of Keras Tuner's oracle.
    """

    def __init__(
        self,
        hypermodel: HyperNetwork,
        folder: Path,
        max_seconds: float | None = None,
        lease: float | None = None,
        search_id: str = "",
        identity: str = "",
        judged_epochs: int | None = None,
        **options,
    ):
        # At its own limit Keras Tuner raises before it has saved the last trial.
        super().__init__(max_consecutive_failed_trials=math.inf, **options)
        self.hypermodel, self.folder = hypermodel, folder
        self.max_seconds, self.lease, self.search_id = max_seconds, lease, search_id
        self.identity = identity
        self.draws = self.rejected = 0
        self.starts, self.curves = collections.Counter(), Curves(judged_epochs)
        self._tried = Tried(self)
        self._holds, self._is_behind = 0, False
        self.set_aside: list[str] = []
        self.heard: dict[str, float] = {}
        self.end_announced = False
        self.verbose = 0

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        if self.search_id:
            tuner_id, _, search_id = tuner_id.rpartition("@")
            if search_id != self.search_id:
                return self._refusal()
        self.heard[tuner_id] = time.monotonic()
        if tuner_id not in self.ongoing_trials:
            self._take_over(tuner_id)
        if self._is_over() and tuner_id not in self.ongoing_trials:
            return self._idle_or_stopped(tuner_id)
        with self._saving_once():
            return self._started(tuner_id)

    def _started(self, tuner_id):
        while True:
            trial = super().create_trial(tuner_id)
            if trial.status == TrialStatus.STOPPED:
                return self._idle_or_stopped(tuner_id)
            if trial.status != TrialStatus.RUNNING:
                return trial
            self.starts[trial.trial_id] += 1
            self.save()
            if self.starts[trial.trial_id] <= _STARTS:
                return trial
            trial.status = TrialStatus.FAILED
            trial.message = f"The process ended {_STARTS} times during this trial (out of memory?)."
            self.end_trial(trial)

    def _refusal(self):
        point = keras_tuner.HyperParameters()
        point.values[REFUSED] = (
            "The chief runs another search; start the worker with the chief's options."
        )
        return Trial(point, status=TrialStatus.RUNNING)

    def _take_over(self, tuner_id):
        """Reassigns the trial of a lost worker."""
        for other in self.expired():
            self.forget(other)
            if trial := self.ongoing_trials.pop(other, None):
                self.ongoing_trials[tuner_id] = trial
                return

    def expired(self) -> list[str]:
        """Returns the workers whose lease has run out."""
        if self.lease is None:
            return []
        late = time.monotonic() - self.lease
        return [worker for worker, heard in list(self.heard.items()) if heard < late]

    def forget(self, worker: str) -> None:
        """Removes a worker, so that the chief does not wait for its next request."""
        self.heard.pop(worker, None)
        self.tuner_ids.discard(worker)

    def _idle_or_stopped(self, tuner_id):
        """Returns that the search has ended, or to wait as another's trial may come back."""
        waiting = bool(self.ongoing_trials)
        (self.tuner_ids.add if waiting else self.tuner_ids.discard)(tuner_id)
        status = TrialStatus.IDLE if waiting else TrialStatus.STOPPED
        self.end_announced |= not waiting
        return Trial(self.get_space(), status=status)

    def _is_over(self):
        if self.all_failed():
            return True
        if self.max_seconds is None:
            return False
        used = sum(
            trial.metrics.get_last_value("seconds")
            for trial in self.trials.values()
            if trial.metrics.exists("seconds")
        )
        return used >= self.max_seconds

    def all_failed(self) -> str | None:
        """Returns the last trial's message if too many trials in a row have failed."""
        ended = (self.trials[trial_id] for trial_id in reversed(self.end_order))
        known = (trial for trial in ended if not recovery.is_lost(trial))
        last = list(itertools.islice(known, _FAILURES))
        failed = len(last) == _FAILURES and all(t.status == TrialStatus.FAILED for t in last)
        return last[0].message if failed else None

    @keras_tuner.synchronized
    def get_trial(self, trial_id):
        """Returns a trial and renews the lease of the worker that trains it."""
        for worker, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                self.heard[worker] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def update_trial(self, trial_id, metrics, step=0):
        if self._has_ended(trial_id):
            return self.trials[trial_id]
        if CURVE not in metrics:
            return super().update_trial(trial_id, metrics, step)
        self.curves.add(trial_id, step, metrics)
        trial = self.get_trial(trial_id)
        if not self.curves.is_hopeless(trial_id, self._completed()):
            return trial
        # The stored trial stays RUNNING until its worker ends it.
        return Trial.from_state({**trial.get_state(), "status": TrialStatus.STOPPED})

    def _completed(self):
        return [
            trial_id
            for trial_id in self.end_order
            if self.trials[trial_id].status == TrialStatus.COMPLETED
        ]

    def _has_ended(self, trial_id):
        """Returns whether a trial has ended, as when another worker ran that of a lost one."""
        trial = self.trials.get(trial_id)
        return trial is not None and trial.status in ENDED and trial_id in self.end_order

    @keras_tuner.synchronized
    def end_trial(self, trial):
        if self._has_ended(trial.trial_id):
            return
        ours = self.trials[trial.trial_id]
        reason = trial.hyperparameters.values.pop(FAILURE, None)
        trial.message = reason or trial.message
        # Values sent over the network have lost digits and the order of the space.
        trial.hyperparameters = ours.hyperparameters
        with self._saving_once():
            super().end_trial(trial)
            self.save()  # Keras Tuner saved while the trial was still listed as ongoing.

    def save(self):
        self._is_behind = self._holds > 0
        if not self._is_behind:
            write_text(self.folder / "oracle.json", json.dumps(self.get_state()))

    @contextlib.contextmanager
    def _saving_once(self):
        """Writes the oracle's file at the end, where Keras Tuner would write it several times."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
        if self._is_behind:
            self.save()

    def _save_trial(self, trial):
        state, curve = trial.get_state(), self.curves.state(trial.trial_id)
        if curve is not None:
            state[recovery.CURVE_IN_FILE] = curve
        write_text(self.folder / f"trial_{trial.trial_id}" / "trial.json", json.dumps(state))

    def reload(self):
        trials, lines = recovery.read_trials(self.folder, self)
        self.set_aside += lines
        # Keras Tuner finds trials by a glob pattern, which fails if a folder's name has brackets.
        self.trials.update(trials)
        super().reload()

    def get_state(self):
        own = {
            "search": self.identity,
            "draws": self.draws,
            "rejected": self.rejected,
            "starts": dict(self.starts),
        }
        return {**super().get_state(), "keras_residual": own}

    def check_state(self, state: dict[str, Any]) -> None:
        """Checks the algorithm's own state, which has the right schema.

        Raises:
            ValueError: If it belongs to another search.
        """

    def set_state(self, state):
        own = state["keras_residual"]
        self.draws, self.rejected = own["draws"], own["rejected"]
        self.starts.update(own["starts"])
        self.curves.restore(own.get("curves", {}))
        state = recovery.reconciled(state, self.trials)
        # All other entries follow from the arguments.
        given = {k: v for k, v in super().get_state().items() if k not in _PROGRESS}
        super().set_state({**state, **given})
        self._tried = Tried(self)
        self._holds, self._is_behind = 0, False
