"""Keras Tuner's tuners, with the oracles of this package."""

import contextlib
import math
import os
import time
import warnings
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from keras_residual._files import write_text
from keras_residual.tuning import lineage, oracles, recovery
from keras_residual.tuning.budgeted_oracle import FAILURE, PARENT, REFUSED
from keras_residual.tuning.curves import CURVE, INHERITS
from keras_residual.tuning.errors import SearchError
from keras_residual.tuning.listener import Listener

_IDLE_SECONDS = 0.5
# Share of the epochs that a network with inherited weights is trained for.
_SHARE = 0.5
# Keras Tuner's name of the tuner in a search by one process.
_NAME = "tuner0"


class _Tuner:
    """Mixin for the tuners of Keras Tuner, listed before them in the bases.

    Args:
        hypermodel: A `HyperNetwork`, which has a budget.
        objective: As in Keras Tuner.
        directory: Folder of the project. A search that it holds is resumed.
        project_name: Name of the search's folder in `directory`.
        seed: Integer, determines the points tried and, with the number of a trial, its training.
        max_seconds: Most seconds of training, over all trials.
        lease: Seconds without a heartbeat after which a worker loses its trial; `None` in a search
            by one process.
        search_id: Identifier that chief and workers share; empty in a search by one process.
        identity: Identifier of the search in its files.
        listener: A `Listener`, notified of trials, epochs and messages.
        keep_models: Whether the best epoch of each trial is saved for `get_best_models`.
        distribution_strategy: A `tf.distribute.Strategy` for each trial.
        **options: Arguments of the oracle, such as `max_trials`.
    """

    oracle_class: type[Any]

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel,
        objective: Any,
        *,
        directory: str | os.PathLike[str] = ".",
        project_name: str = "search",
        seed: int = 0,
        max_seconds: float | None = None,
        lease: float | None = None,
        search_id: str = "",
        identity: str = "",
        listener: Any = None,
        keep_models: bool = True,
        distribution_strategy: Any = None,
        **options: Any,
    ):
        folder = Path(directory) / project_name
        # Keras Tuner takes 0 as "no seed", hence seed + 1 below.
        self.seed, self.listener = seed, listener or Listener()
        self.current_trial, self._idle, self._began = None, False, 0.0
        self._keep_models, self._inherits = keep_models, False
        self._epochs, self._stopped = math.inf, None
        # A worker replaces `oracle` by a proxy of the chief's; this stays the local one.
        self.own_oracle = self.oracle_class(
            hypermodel,
            folder,
            max_seconds,
            lease,
            search_id,
            identity,
            objective=objective,
            seed=seed + 1,
            **options,
        )
        if recovery.is_begun(folder):
            # Keras Tuner resumes a search only if this file exists.
            write_text(folder / f"{_NAME}.json", "{}")
        with contextlib.redirect_stdout(None):
            keras_tuner.Tuner.__init__(
                self,
                self.own_oracle,
                hypermodel,
                directory=str(directory),
                project_name=project_name,
                distribution_strategy=distribution_strategy,
            )
        self._populate_initial_space()
        trials = self.own_oracle.trials
        self.listener.search_began([trials[trial_id] for trial_id in self.own_oracle.end_order])
        for line in self.own_oracle.set_aside:
            self.listener.message(line)

    def _populate_initial_space(self):
        """Declares the space without building networks, as Keras Tuner would."""
        space = self.own_oracle.get_space()
        self.hypermodel.declare_hyperparameters(space)
        self.own_oracle.update_space(space)

    def pre_create_trial(self) -> None:
        """Waits briefly if the last request returned no trial."""
        if self._idle:
            time.sleep(_IDLE_SECONDS)
        self._idle = True

    def on_trial_begin(self, trial: Trial) -> None:
        if reason := trial.hyperparameters.values.get(REFUSED):
            raise SearchError(reason)
        self._idle, self._began = False, time.perf_counter()
        self._inherits, self._stopped = False, None
        self.current_trial = trial.trial_id
        self.listener.trial_began(trial)

    def on_epoch_end(
        self, trial: Trial, model: keras.Model, epoch: int, logs: dict[str, float] | None = None
    ) -> None:
        logs = dict(logs or {})
        self.listener.epoch_ended(trial, epoch, logs)
        quality = self.hypermodel.quality(logs)
        if quality is None or not math.isfinite(quality):
            return
        report = {CURVE: quality, INHERITS: float(self._inherits)}
        ours = self.oracle.update_trial(trial.trial_id, report, epoch)
        if ours.status == TrialStatus.STOPPED and epoch + 1 < self._epochs:
            self._stopped = epoch + 1
            model.stop_training = True

    def on_batch_end(
        self, trial: Trial, model: keras.Model, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise keras_tuner.errors.FailedTrialError(f"The loss became {loss}.")

    def on_trial_end(self, trial: Trial) -> None:
        self.current_trial = None
        super().on_trial_end(trial)
        self.listener.trial_ended(self.oracle.get_trial(trial.trial_id))

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> list[dict[str, float]]:
        """Trains and returns the metrics; a failure is reported in one line."""
        keras.utils.set_random_seed(self.seed + int(trial.trial_id))
        try:
            with warnings.catch_warnings():
                # Keras Tuner takes the best of values that may all be NaN.
                warnings.filterwarnings("ignore", "(All-NaN|Mean of empty)", RuntimeWarning)
                results = super().run_trial(trial, *args, **kwargs)
            for name, value in ((k, v) for metrics in results for k, v in metrics.items()):
                if not np.all(np.isfinite(value)):
                    raise FloatingPointError(f"The metric {name!r} became {value}.")
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            reason = _reason(error)
            trial.hyperparameters.values[FAILURE] = reason
            raise keras_tuner.errors.FailedTrialError(reason) from error
        own = {"seconds": time.perf_counter() - self._began}
        if self._stopped is not None:
            own["stopped"] = float(self._stopped)
        return [{**metrics, **own} for metrics in results]

    def _build_and_fit_model(self, trial, *args, **kwargs):
        self._epochs = kwargs.get("epochs") or math.inf
        if not self._keep_models:
            # Keras Tuner's checkpoint callback writes all weights after each epoch.
            path = self._get_checkpoint_fname(trial.trial_id)
            kwargs["callbacks"] = [
                callback
                for callback in kwargs["callbacks"]
                if getattr(callback, "filepath", None) != path
            ]
        return self._trained(trial, *args, **kwargs)

    def _trained(self, trial, *args, **kwargs):
        return super()._build_and_fit_model(trial, *args, **kwargs)


def _reason(error):
    text = " ".join(str(error).split())[:300]
    kind = type(error).__name__
    if isinstance(error, FloatingPointError):
        return text.split(". ")[0] + "."  # The rest names checkpoints that do not exist here.
    return text if kind == "FailedTrialError" else f"{kind}: {text}" if text else kind


class RandomSearch(_Tuner, keras_tuner.RandomSearch):
    """`keras_tuner.RandomSearch` within a budget."""

    oracle_class = oracles.RandomSearchOracle


class BayesianOptimization(_Tuner, keras_tuner.BayesianOptimization):
    """`keras_tuner.BayesianOptimization` within a budget."""

    oracle_class = oracles.BayesianOptimizationOracle


class GridSearch(_Tuner, keras_tuner.GridSearch):
    """`keras_tuner.GridSearch` within a budget."""

    oracle_class = oracles.GridSearchOracle


class Hyperband(_Tuner, keras_tuner.Hyperband):
    """`keras_tuner.Hyperband` within a budget."""

    oracle_class = oracles.HyperbandOracle


class Evolution(_Tuner, keras_tuner.Tuner):
    """Evolution (Real et al., 2019) within a budget, which Keras Tuner does not offer.

    With `inherit=True` a network inherits its parent's weights where it can compute the same
    function, and is then trained for half the epochs.
    """

    oracle_class = oracles.EvolutionOracle

    def _trained(self, trial, *args, **kwargs):
        if not self.own_oracle.inherit:
            return super()._trained(trial, *args, **kwargs)
        model = self._try_build(trial.hyperparameters)
        taken = self._take_over(trial, model)
        self._inherits = taken is not None
        if taken is not None:
            kwargs["epochs"] = self._epochs = math.ceil(_SHARE * kwargs["epochs"])
            kwargs["callbacks"] = [*kwargs["callbacks"], taken]
        metrics = self.hypermodel.fit(trial.hyperparameters, model, *args, **kwargs)
        lineage.keep(self._weights_file(trial.trial_id), model)
        return {**metrics, "inherited": float(self._inherits)}

    def _take_over(self, trial, model):
        """Initializes a network with its parent's weights, or reports why that is impossible.

        Returns:
            A callback that restores the state of the optimizer, `None` if nothing was inherited.
        """
        parent = trial.hyperparameters.values.get(PARENT)
        if parent is None:
            return None
        values = self.oracle.get_trial(parent).hyperparameters.values
        path, new = self._weights_file(parent), trial.hyperparameters.values
        taken = lineage.take_over(self.hypermodel, path, values, new, model)
        if taken.reason is not None:
            self.listener.message(f"trial {trial.trial_id} starts from scratch: {taken.reason}")
        return taken.optimizer

    def _weights_file(self, trial_id):
        return self.own_oracle.folder / f"trial_{trial_id}" / "weights.npz"
