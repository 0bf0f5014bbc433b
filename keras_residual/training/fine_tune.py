"""Fine-tuning: a training in phases that freeze different layers."""

import shutil
from collections.abc import Callable
from typing import Any

import keras

from keras_residual.training import depth, freezing, frozen, phases
from keras_residual.training import resume as resuming
from keras_residual.training.best import BestEpoch
from keras_residual.training.epochs import run_epochs
from keras_residual.training.journal import Journal
from keras_residual.training.kept_batches import kept_batches
from keras_residual.training.objective import mixes
from keras_residual.training.progress import Progress
from keras_residual.training.replicas import is_chief
from keras_residual.training.run import Run
from keras_residual.training.variables import build_optimizer

# File for the outputs of the frozen part while it is frozen.
KEPT = ".frozen"
# Batch size of evaluations.
_EVALUATED = 100


def run_in_phases(run: Run) -> list[dict[str, Any]]:
    """Trains different layers in each phase, and returns the log.

    Raises:
        CheckpointError: If the folder holds a damaged checkpoint or that of another training.
        ValueError: If the recipe freezes a layer after which the model cannot be cut.
    """
    try:
        with freezing.as_before(run.model):
            return _FineTuning(run).train()
    finally:
        shutil.rmtree(run.output / KEPT, ignore_errors=True)


class _FineTuning:
    """A fine-tuning and its phases."""

    def __init__(self, run: Run):
        self.run, self.model, self.recipe = run, run.model, run.recipe
        self.phases = phases.plan(run.model, run.recipe, run.epochs)

    def train(self) -> list[dict[str, Any]]:
        """Runs the remaining phases, and returns the log of all epochs."""
        run, progress = self.run, self._begin()
        writes = is_chief(self.model)
        journal = Journal(run.output, progress, run.checkpoint_seconds, writes, whole=self.model)
        best = BestEpoch(self.model, run.output, progress, writes)
        callbacks = [*run.callbacks, *([best] if self.recipe.restore_best else []), journal]
        self.model.stop_training = False
        for phase in self.phases:
            done = len(progress.rows)
            if done >= phase.stop or self.model.stop_training:
                continue
            if done == phase.start:
                self._compile(phase)
            self._run(phase, done, callbacks)
        if self.recipe.restore_best:
            best.put_in_place()
        return progress.rows

    def _begin(self) -> Progress:
        """Compiles the model for the phase of the checkpoint, and restores the checkpoint."""
        run = self.run
        done = resuming.finished_epochs(run.output) if run.resume else 0
        begun = [phase for phase in self.phases if phase.start < done]
        self._compile(begun[-1] if begun else self.phases[0])
        return resuming.start(self.model, run.output, run.identity, run.resume)

    def _compile(self, phase: phases.Phase) -> None:
        """Freezes the layers of a phase, and compiles the model with the optimizer of the phase."""
        freezing.freeze(self.model, phase.until, self.recipe.freeze_normalization)
        variables = self._part(phase).trainable_variables
        factors = depth.rate_factors(self.model, self.recipe.layer_decay)
        by_variable = dict(zip(map(id, self.model.trainable_variables), factors, strict=True))
        optimizer = self.recipe.make_layerwise_optimizer(
            self.run.steps * phase.epochs,
            phase.learning_rate,
            [by_variable[id(variable)] for variable in variables],
        )
        build_optimizer(self.model, optimizer, variables)
        self.model.compile(optimizer, self.run.loss, metrics=_copies(self.run.metrics))

    def _part(self, phase) -> keras.Model:
        """Returns the part of the model that a phase trains separately, or the model."""
        return depth.above(self.model, phase.until) if self._keeps(phase) else self.model

    def _keeps(self, phase) -> bool:
        """Returns whether the outputs of the layers frozen in a phase are cached."""
        if not phase.versions:
            return False
        below = depth.below(self.model, phase.until)
        return frozen.bytes_needed(below, self._images(phase)) < frozen.LARGEST

    def _images(self, phase) -> int:
        return self.run.steps * self.recipe.batch_size * phase.versions

    def _run(self, phase, done, callbacks) -> None:
        """Runs the remaining epochs of a phase."""
        part = self._part(phase)
        # A new one, as the trained part is not the model that the optimizer was built for.
        part.compile(
            self.model.optimizer,
            self.run.loss,
            metrics=self.run.metrics,
            jit_compile=self.run.jit_compile,
        )
        data = self.run.data if part is self.model else self._kept(phase)
        steps = self.run.steps if part is self.model else len(data[0])
        span = (done, phase.stop, steps)
        run_epochs(part, data, span, callbacks, self.run.verbose, self.run.steps_per_call)
        self.model.stop_training = part.stop_training

    def _kept(self, phase) -> tuple[Any, ...]:
        """Returns batches of the frozen part's outputs."""
        forward = frozen.make_forward(depth.below(self.model, phase.until))
        folder, report = self.run.output / KEPT, self._report(phase)
        train, validation = self.run.data
        outputs = frozen.compute(
            forward,
            self._versions(train),
            phase.versions,
            folder / "training",
            report,
        )
        # The last batch of an epoch may be smaller than was counted with.
        report(self._images(phase))
        size = self.recipe.batch_size
        made = kept_batches(outputs, size, training=True, seed=self.run.seed)
        if validation is None:
            return made, None
        held_out = frozen.compute(forward, frozen.source(validation), 1, folder / "held_out")
        size, in_step = max(size, _EVALUATED), outputs.in_memory
        return made, kept_batches(held_out, size, training=False, in_step=in_step)

    def _versions(self, train) -> Callable[..., Any]:
        """Returns a function from the number of a version to its batches.

        The first version is not augmented, because a classifier on frozen features does best on
        images that it has seen: with another augmented version instead, 85.6 instead of 89.0 % on
        photographs of hands.
        """
        augmented = frozen.source(train, self.run.steps)
        if not hasattr(train, "unaugmented") or mixes(self.recipe):
            return augmented
        plain = frozen.source(train.unaugmented(), self.run.steps)
        return lambda version: (augmented if version else plain)(version)

    def _report(self, phase) -> Callable[[int], None]:
        """Returns a function that informs callbacks about images processed by the frozen part."""
        total, done = self._images(phase), 0
        listening = [c for c in self.run.callbacks if hasattr(c, "on_frozen_images")]

        def report(count):
            nonlocal done
            if done == total:
                return
            done = min(done + count, total)
            for callback in listening:
                callback.on_frozen_images(done, total)

        return report


def _copies(metrics):
    """Returns new metrics of the same kinds, because a metric belongs to one model."""
    return [
        metric if isinstance(metric, str) else type(metric).from_config(metric.get_config())
        for metric in metrics or ()
    ]
