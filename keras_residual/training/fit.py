"""Training that resumes where it was interrupted."""

import contextlib
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_residual import _checks
from keras_residual._description import described, write_into
from keras_residual._files import replacing
from keras_residual._locks import claimed
from keras_residual.training import resume as resuming
from keras_residual.training.averaging import AveragedWeights
from keras_residual.training.class_weights import weights_of_classes
from keras_residual.training.describing import describe
from keras_residual.training.epochs import run_epochs
from keras_residual.training.fine_tune import run_in_phases
from keras_residual.training.inputs import Inputs, number_of_steps, read
from keras_residual.training.journal import MODEL, Journal, columns
from keras_residual.training.losses import Accuracy
from keras_residual.training.objective import accuracy_of, mixes, objective
from keras_residual.training.quick_start import started_quickly
from keras_residual.training.recipe import Recipe
from keras_residual.training.recipes import find_recipe
from keras_residual.training.replicas import is_chief, scope_of
from keras_residual.training.run import Run
from keras_residual.training.variables import build_optimizer


def fit(
    model: keras.Model,
    data: object,
    recipe: Recipe | str = "quick",
    output: str | os.PathLike[str] | None = "runs/train",
    resume: bool = True,
    *,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    loss: str | Callable[..., Any] | None = None,
    metrics: Sequence[Any] | None = None,
    freeze: str | None = None,
    layer_decay: float | None = None,
    class_weights: str | Mapping[Any, Any] | None = None,
    class_weight: Mapping[Any, Any] | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    checkpoint_seconds: float | None = None,
    steps_per_call: int | None = None,
    jit_compile: bool | str = "auto",
    tensorboard: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> dict[str, list[float]]:
    """Trains a model by a recipe; the training can be interrupted at any moment.

    `output` receives `checkpoint.keras`, which Keras can load as the model with its optimizer, and
    which also holds the progress of the training; `checkpoint.previous.keras`, the one before it;
    and `log.csv`. Files are replaced atomically: if the process is killed at any moment, the same
    call resumes after the last saved epoch, with the same results as an uninterrupted training
    provided that `data` is reproducible. After the last epoch `output` also has `model.keras`, the
    model without its optimizer, with averaged weights if the recipe averages.

    Batches of `data.in_step` are made inside the compiled step, many steps per call; under
    `keras.distribution.DataParallel` or in a model made under `tf.distribute`, each device takes
    its part of a batch. Other batches are trained by `model.fit`.

    Args:
        model: The model. It is compiled here and has the last weights afterwards.
        data: A dataset of `data.load`, arrays `(x, y)`, or `(train, validation)`: each arrays
            `(x, y)`, a result of `data.in_step`, or batches as for `model.fit`; validation may be
            `None`. `train` may be a function from the number of an epoch, from 0, to the batches of
            that epoch and all later ones: then a resumed training sees the same batches as an
            uninterrupted one. Images of a dataset are resized to the input size of the model. The
            image options of a recipe apply to datasets only.
        recipe: A `Recipe` or the name of one of `recipes`.
        output: The folder to write to. With `None` nothing is written, and an interrupted training
            starts over.
        resume: Whether to resume the training in `output`. Otherwise its files are removed.
        epochs: Positive integer. Defaults to the recipe's. A finished training continues if it is
            increased.
        steps_per_epoch: Positive integer, required if `train` has no length.
        loss: Loss of the model. Defaults to the one implied by its output, the labels and the
            recipe, see `objective`.
        metrics: Metrics of the model. Default to those that belong to the loss.
        freeze: Name of the last frozen layer, such as `"stage3"`: it and all layers below do not
            train, and their outputs are computed once. Defaults to the recipe's.
        layer_decay: Factor of the learning rate from each block to the one below, such as `0.75`.
            Defaults to the recipe's.
        class_weights: `"balanced"`, which gives rare classes more weight in the loss, or a mapping
            from numbers or names of classes to weights.
        class_weight: The same under its name in `keras.Model.fit`.
        seed: Non-negative integer, determines order and augmentation of a dataset.
        settings: JSON values that identify the training, such as its seed and the name of its data.
            A training is resumed only with the same settings.
        checkpoint_seconds: Least time between two checkpoints. By default they take 3 % of the
            time, and at most a minute passes between them; `0` for one after each epoch.
        steps_per_call: Steps per call if batches are made in the step. Defaults to an eighth of an
            epoch.
        jit_compile: Whether the step is compiled by XLA, as in `model.compile`.
        tensorboard: Whether to write a log for TensorBoard to `output/tensorboard`.
        callbacks: More callbacks.
        verbose: As in `model.fit`.

    Returns:
        The value of each metric after each epoch, including those before an interruption.

    Raises:
        CheckpointError: If `output` holds a damaged checkpoint or that of another training.
        FolderInUseError: If another process writes to `output`.
        FloatingPointError: If the loss becomes NaN or infinite; the last good checkpoint is kept.
        ValueError: If an argument is not accepted, or the labels do not imply a loss.

    Example:

    >>> dataset = keras_residual.data.load("digits")  # doctest: +SKIP
    >>> history = fit(model, dataset, "quick", "runs/digits")  # doctest: +SKIP
    """
    recipe = _changed(find_recipe(recipe), freeze=freeze, layer_decay=layer_decay)
    inputs = read(model, data, recipe, seed)
    steps = number_of_steps(inputs.train, steps_per_epoch)
    settings = {**inputs.settings, **(settings or {})}
    if class_weight is not None:
        if class_weights is not None:
            raise ValueError(
                "`class_weight` and `class_weights` are two names of one argument: give one. "
                f"Received: class_weight={class_weight!r}, class_weights={class_weights!r}"
            )
        class_weights = class_weight
    if class_weights is not None:
        class_weights = _class_weights(class_weights, model, inputs, steps, loss)
        settings["class_weights"] = class_weights
    with scope_of(model):
        loss, metrics = _loss_and_metrics(model, inputs, recipe, loss, metrics, class_weights)
    if output is None and tensorboard:
        raise ValueError("`tensorboard` needs a folder to write to. Received: output=None")
    run = Run(
        model=model,
        inputs=inputs,
        recipe=recipe,
        epochs=recipe.epochs_of(steps) if epochs is None else _checks.integer("epochs", epochs),
        steps=steps,
        output=None if output is None else Path(output),
        identity={**recipe.identity(), "model": model.name, "steps_per_epoch": steps, **settings},
        resume=resume,
        loss=loss,
        metrics=metrics,
        callbacks=[*([_tensorboard(Path(output))] if tensorboard else []), *callbacks],
        seed=seed,
        jit_compile=jit_compile,
        verbose=verbose,
        steps_per_call=steps_per_call,
        checkpoint_seconds=checkpoint_seconds,
    )
    if hasattr(data, "batches"):
        describe(model, data, recipe)
    with started_quickly(run.steps * run.epochs):
        rows = _run_without_files(run) if run.output is None else _run_with_files(run)
    names = [name for name in columns(rows) if name != "epoch"]
    return {name: [row.get(name, math.nan) for row in rows] for name in names}


def _run_with_files(run: Run) -> list[dict[str, Any]]:
    writes = is_chief(run.model)
    with claimed(run.output) if writes else contextlib.nullcontext():
        rows = (run_in_phases if run.recipe.in_phases else _run_whole)(run)
        if writes:
            _save_without_optimizer(run.model, run.output / MODEL)
    return rows


def _run_without_files(run: Run) -> list[dict[str, Any]]:
    if not run.recipe.in_phases:
        return _run_whole(run)
    # Phases store the outputs of the frozen layers, and the best epoch, in files.
    with tempfile.TemporaryDirectory() as folder:
        return run_in_phases(replace(run, output=Path(folder), checkpoint_seconds=math.inf))


def _run_whole(run: Run) -> list[dict[str, Any]]:
    """Trains all layers in all epochs, and returns the log."""
    model, recipe = run.model, run.recipe
    with scope_of(model):
        optimizer = recipe.make_optimizer(run.steps * run.epochs)
        model.compile(optimizer, run.loss, metrics=run.metrics, jit_compile=run.jit_compile)
        build_optimizer(model, model.optimizer, model.trainable_variables)
        progress = resuming.start(model, run.output, run.identity, run.resume)
    journal = Journal(run.output, progress, run.checkpoint_seconds, is_chief(model))
    average = AveragedWeights(run.inputs.train, run.steps) if recipe.ema else None
    callbacks = [*([average] if average else []), *run.callbacks, journal]
    span = (len(progress.rows), run.epochs, run.steps)
    if span[0] < span[1]:
        run_epochs(model, run.data, span, callbacks, run.verbose, run.steps_per_call)
    if average:
        average.set_model(model)
        average.put_in_place()
    return progress.rows


def _changed(recipe: Recipe, **changes) -> Recipe:
    """Returns the recipe with the arguments that are given."""
    return replace(recipe, **{name: value for name, value in changes.items() if value is not None})


def _class_weights(class_weights, model, inputs: Inputs, steps, loss) -> list[float]:
    if loss is not None:
        raise ValueError(
            "`class_weights` is part of the loss that follows from the labels: leave out `loss`, "
            f"or weigh the classes in it. Received: class_weights={class_weights!r}, loss={loss!r}"
        )
    inputs.kind_of_labels(model)
    units = model.output_shape[-1]
    return weights_of_classes(class_weights, inputs.train, steps, units, inputs.class_names)


def _loss_and_metrics(
    model, inputs: Inputs, recipe, loss, metrics, class_weights
) -> tuple[Any, ...]:
    """Returns the given loss and metrics, or those implied by the labels."""
    if loss is None:
        chosen = objective(model, inputs.kind_of_labels(model), recipe, class_weights)
        if metrics is None:
            return chosen.loss, list(chosen.metrics)
        return chosen.loss, _with_accuracy(metrics, lambda: accuracy_of(chosen))
    if metrics is None:
        try:
            metrics = objective(model, inputs.kind_of_labels(model), recipe).metrics
        except ValueError:
            # A custom loss may be for labels of an unknown kind.
            metrics = ()
    return loss, _with_accuracy(metrics, Accuracy) if mixes(recipe) else metrics


def _with_accuracy(metrics, make: Callable[..., Any]):
    """Replaces the word "accuracy", which Keras would resolve by shapes only, by a metric."""
    if not isinstance(metrics, (list, tuple)):
        return metrics
    return [make() if isinstance(m, str) and m in ("accuracy", "acc") else m for m in metrics]


def _tensorboard(output):
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'TensorBoard logs need: pip install "keras-residual[tensorboard]"'
        ) from error
    return keras.callbacks.TensorBoard(output / "tensorboard")


def _save_without_optimizer(model, path):
    with replacing(path) as partial:
        # An uncompiled model of the same layers has no optimizer to save.
        keras.Model(model.input, model.output, name=model.name).save(partial)
        if description := described(model):
            write_into(partial, description)
